CREATE TABLE webhooks (
    id          bigint      GENERATED ALWAYS AS IDENTITY,
    url         text        NOT NULL,
    events      text[]      NOT NULL,
    -- Encrypted by the application: a dump of this schema must not sign requests.
    secret_enc  bytea       NOT NULL,
    disabled_at timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT webhooks_pkey   PRIMARY KEY (id),
    CONSTRAINT webhooks_url    CHECK (url ~ '^https://' AND length(url) <= 2000),
    CONSTRAINT webhooks_events CHECK (cardinality(events) BETWEEN 1 AND 20
        AND events <@ ARRAY['project.created', 'task.created', 'task.done', 'comment.created'])
);

-- Written in the transaction of the change it tells about, sent by a worker afterwards: an
-- event is neither lost by a crash nor sent for a change that was rolled back. Workers take
-- rows with FOR UPDATE SKIP LOCKED.
CREATE TABLE outbox (
    id           bigint      GENERATED ALWAYS AS IDENTITY,
    event        text        NOT NULL,
    payload      jsonb       NOT NULL,
    attempts     smallint    NOT NULL DEFAULT 0,
    next_try_at  timestamptz NOT NULL DEFAULT now(),
    delivered_at timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT outbox_pkey     PRIMARY KEY (id),
    CONSTRAINT outbox_attempts CHECK (attempts BETWEEN 0 AND 20)
);

-- Only what is still to send; the index stays small however long the history gets.
CREATE INDEX outbox_pending_idx ON outbox (next_try_at, id) WHERE delivered_at IS NULL;

CREATE FUNCTION enqueue_created() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO %I.outbox (event, payload) VALUES ($1, $2)', TG_TABLE_SCHEMA)
    USING TG_ARGV[0], jsonb_build_object('id', NEW.id, 'at', NEW.created_at);
    RETURN NULL;
END
$$;

CREATE TRIGGER projects_enqueue AFTER INSERT ON projects
    FOR EACH ROW EXECUTE FUNCTION enqueue_created('project.created');
CREATE TRIGGER tasks_enqueue AFTER INSERT ON tasks
    FOR EACH ROW EXECUTE FUNCTION enqueue_created('task.created');
CREATE TRIGGER comments_enqueue AFTER INSERT ON comments
    FOR EACH ROW EXECUTE FUNCTION enqueue_created('comment.created');
