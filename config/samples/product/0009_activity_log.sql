-- What changed, when and by whom. It has no foreign keys on purpose: it outlives what it
-- describes, and a deleted project must not take its own trace along.
CREATE TABLE activity (
    id          bigint      GENERATED ALWAYS AS IDENTITY,
    occurred_at timestamptz NOT NULL DEFAULT now(),
    -- The member in the application's setting "tasklane.actor"; null for the system.
    actor_id    bigint,
    entity      text        NOT NULL,
    entity_id   bigint      NOT NULL,
    action      text        NOT NULL,
    changes     jsonb       NOT NULL DEFAULT '{}',
    CONSTRAINT activity_pkey   PRIMARY KEY (id),
    CONSTRAINT activity_action CHECK (action IN ('insert', 'update', 'delete'))
);

-- Rows arrive in the order of time, which is all that BRIN needs: a few pages where a
-- B-tree would grow with the table.
CREATE INDEX activity_occurred_at_idx ON activity USING brin (occurred_at);

-- Logs the caller's change in the caller's transaction and with the caller's rights: no
-- SECURITY DEFINER, hence nothing to be tricked into.
CREATE FUNCTION log_activity() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    -- Derived by other triggers, or too large to be worth keeping twice.
    ignored constant text[] := ARRAY['updated_at', 'search', 'started_at', 'completed_at'];
    was     jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) - ignored END;
    becomes jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) - ignored END;
    diff    jsonb;
BEGIN
    CASE TG_OP
        WHEN 'INSERT' THEN diff := becomes;
        WHEN 'DELETE' THEN diff := was;
        ELSE
            SELECT jsonb_object_agg(key, jsonb_build_array(o.value, n.value)) INTO diff
            FROM jsonb_each(was) o JOIN jsonb_each(becomes) n USING (key)
            WHERE o.value IS DISTINCT FROM n.value;
    END CASE;
    IF diff IS NOT NULL THEN
        EXECUTE format(
            'INSERT INTO %I.activity (actor_id, entity, entity_id, action, changes) VALUES ($1, $2, $3, $4, $5)',
            TG_TABLE_SCHEMA)
        USING NULLIF(current_setting('tasklane.actor', true), '')::bigint, TG_TABLE_NAME,
              (COALESCE(becomes, was) ->> 'id')::bigint, lower(TG_OP), diff;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER projects_log AFTER INSERT OR UPDATE OR DELETE ON projects
    FOR EACH ROW EXECUTE FUNCTION log_activity();
CREATE TRIGGER tasks_log AFTER INSERT OR UPDATE OR DELETE ON tasks
    FOR EACH ROW EXECUTE FUNCTION log_activity();
CREATE TRIGGER comments_log AFTER INSERT OR UPDATE OR DELETE ON comments
    FOR EACH ROW EXECUTE FUNCTION log_activity();

-- The application has DML on every table, this one included; history is still not edited.
CREATE FUNCTION refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', HINT = 'Write a new row instead.';
END
$$;

CREATE TRIGGER activity_append_only BEFORE UPDATE OR DELETE ON activity
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
