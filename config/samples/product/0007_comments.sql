CREATE TABLE comments (
    id         bigint      GENERATED ALWAYS AS IDENTITY,
    task_id    bigint      NOT NULL,
    author_id  bigint,
    body       text        NOT NULL,
    edited_at  timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT comments_pkey           PRIMARY KEY (id),
    CONSTRAINT comments_task_id_fkey   FOREIGN KEY (task_id) REFERENCES tasks (id) ON DELETE CASCADE,
    CONSTRAINT comments_author_id_fkey FOREIGN KEY (author_id) REFERENCES members (id) ON DELETE SET NULL,
    CONSTRAINT comments_body           CHECK (length(body) BETWEEN 1 AND 50000)
);

CREATE INDEX comments_task_idx ON comments (task_id, id);
CREATE INDEX comments_author_id_idx ON comments (author_id);

CREATE TABLE mentions (
    comment_id bigint      NOT NULL,
    member_id  bigint      NOT NULL,
    read_at    timestamptz,
    CONSTRAINT mentions_pkey            PRIMARY KEY (comment_id, member_id),
    CONSTRAINT mentions_comment_id_fkey FOREIGN KEY (comment_id) REFERENCES comments (id) ON DELETE CASCADE,
    CONSTRAINT mentions_member_id_fkey  FOREIGN KEY (member_id) REFERENCES members (id) ON DELETE CASCADE
);

-- The inbox only ever asks for unread ones, and they are few.
CREATE INDEX mentions_unread_idx ON mentions (member_id) WHERE read_at IS NULL;

-- An edit is stamped by the database: a client cannot change words and keep quiet about it.
CREATE FUNCTION stamp_comment_edit() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.edited_at := now();
    RETURN NEW;
END
$$;

CREATE TRIGGER comments_stamp_edit BEFORE UPDATE OF body ON comments
    FOR EACH ROW WHEN (OLD.body IS DISTINCT FROM NEW.body)
    EXECUTE FUNCTION stamp_comment_edit();
