-- +goose Up
ALTER TABLE note ADD COLUMN label text;

-- +goose Down
ALTER TABLE note DROP COLUMN label;
