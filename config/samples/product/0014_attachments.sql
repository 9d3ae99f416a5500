-- The files are in object storage; here is what they are. A row is written when the upload
-- has finished, so the hash and the size are facts and not promises.
CREATE TABLE attachments (
    id           uuid        NOT NULL DEFAULT gen_random_uuid(),
    task_id      bigint      NOT NULL,
    uploader_id  bigint,
    file_name    text        NOT NULL,
    media_type   text        NOT NULL,
    size_bytes   bigint      NOT NULL,
    sha256       bytea       NOT NULL,
    storage_key  text        NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT attachments_pkey             PRIMARY KEY (id),
    CONSTRAINT attachments_storage_key_key  UNIQUE (storage_key),
    CONSTRAINT attachments_task_id_fkey     FOREIGN KEY (task_id) REFERENCES tasks (id) ON DELETE CASCADE,
    CONSTRAINT attachments_uploader_id_fkey FOREIGN KEY (uploader_id) REFERENCES members (id) ON DELETE SET NULL,
    CONSTRAINT attachments_file_name        CHECK (length(file_name) BETWEEN 1 AND 255 AND file_name !~ '[/\\]'),
    CONSTRAINT attachments_media_type       CHECK (media_type ~ '^[a-z0-9.+-]+/[a-z0-9.+-]+$'),
    CONSTRAINT attachments_size_bytes       CHECK (size_bytes BETWEEN 1 AND 5368709120),
    CONSTRAINT attachments_sha256           CHECK (octet_length(sha256) = 32)
);

CREATE INDEX attachments_task_id_idx ON attachments (task_id);
CREATE INDEX attachments_uploader_id_idx ON attachments (uploader_id);
