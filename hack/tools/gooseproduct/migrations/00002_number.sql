-- +goose Up
ALTER TABLE note ADD COLUMN number integer;
UPDATE note SET number = body::integer;

-- +goose Down
ALTER TABLE note DROP COLUMN number;
