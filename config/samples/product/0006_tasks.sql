CREATE TYPE task_priority AS ENUM ('none', 'low', 'medium', 'high', 'urgent');

-- The last number given out in each project. A table of its own, so that taking a number
-- locks this narrow row and not the project that everybody reads and references.
CREATE TABLE task_numbers (
    project_id  bigint  NOT NULL,
    last_number integer NOT NULL,
    CONSTRAINT task_numbers_pkey            PRIMARY KEY (project_id),
    CONSTRAINT task_numbers_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE,
    CONSTRAINT task_numbers_last_number     CHECK (last_number > 0)
);

CREATE TABLE tasks (
    id           bigint        GENERATED ALWAYS AS IDENTITY,
    project_id   bigint        NOT NULL,
    number       integer       NOT NULL,
    parent_id    bigint,
    title        text          NOT NULL,
    body         text          NOT NULL DEFAULT '',
    state_id     bigint        NOT NULL,
    priority     task_priority NOT NULL DEFAULT 'none',
    assignee_id  bigint,
    reporter_id  bigint,
    estimate     numeric(5,1),
    due_on       date,
    started_at   timestamptz,
    completed_at timestamptz,
    created_at   timestamptz   NOT NULL DEFAULT now(),
    updated_at   timestamptz   NOT NULL DEFAULT now(),
    -- Here from the first day: a stored generated column added later rewrites the table
    -- under ACCESS EXCLUSIVE. The configuration is named, because the one-argument
    -- to_tsvector depends on a setting and is not immutable.
    search tsvector GENERATED ALWAYS AS (
        setweight(to_tsvector('simple', title), 'A') || setweight(to_tsvector('simple', body), 'B')
    ) STORED,
    CONSTRAINT tasks_pkey               PRIMARY KEY (id),
    CONSTRAINT tasks_project_number_key UNIQUE (project_id, number),
    -- Only the target of the composite key below, which keeps a sub-task in its parent's project.
    CONSTRAINT tasks_project_id_id_key  UNIQUE (project_id, id),
    CONSTRAINT tasks_project_id_fkey    FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE,
    CONSTRAINT tasks_parent_fkey        FOREIGN KEY (project_id, parent_id)
        REFERENCES tasks (project_id, id) ON DELETE SET NULL (parent_id),
    CONSTRAINT tasks_state_id_fkey      FOREIGN KEY (state_id) REFERENCES workflow_states (id),
    CONSTRAINT tasks_assignee_id_fkey   FOREIGN KEY (assignee_id) REFERENCES members (id) ON DELETE SET NULL,
    CONSTRAINT tasks_reporter_id_fkey   FOREIGN KEY (reporter_id) REFERENCES members (id) ON DELETE SET NULL,
    CONSTRAINT tasks_number             CHECK (number > 0),
    CONSTRAINT tasks_parent             CHECK (parent_id <> id),
    CONSTRAINT tasks_title              CHECK (length(title) BETWEEN 1 AND 500),
    CONSTRAINT tasks_body               CHECK (length(body) <= 100000),
    CONSTRAINT tasks_estimate           CHECK (estimate >= 0)
);

CREATE INDEX tasks_parent_idx ON tasks (project_id, parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX tasks_state_id_idx ON tasks (state_id);
CREATE INDEX tasks_assignee_open_idx ON tasks (assignee_id, due_on) WHERE completed_at IS NULL;
CREATE INDEX tasks_reporter_id_idx ON tasks (reporter_id);
CREATE INDEX tasks_search_idx ON tasks USING gin (search);

-- Numbers a new task. One statement, so two inserts wait for each other on the counter's
-- row and can never take the same number; a number given to a rolled back insert is reused.
CREATE FUNCTION assign_task_number() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        'INSERT INTO %1$I.task_numbers AS n (project_id, last_number) VALUES ($1, 1)
         ON CONFLICT (project_id) DO UPDATE SET last_number = n.last_number + 1
         RETURNING last_number', TG_TABLE_SCHEMA)
    INTO NEW.number USING NEW.project_id;
    RETURN NEW;
END
$$;

-- Keeps started_at and completed_at true to the category of the task's state: reports and
-- the partial indexes above read them without a join.
CREATE FUNCTION stamp_task_state() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    category text;
BEGIN
    EXECUTE format('SELECT category::text FROM %I.workflow_states WHERE id = $1', TG_TABLE_SCHEMA)
    INTO category USING NEW.state_id;
    IF category IN ('active', 'done') THEN
        NEW.started_at := COALESCE(NEW.started_at, now());
    END IF;
    IF category IN ('done', 'canceled') THEN
        NEW.completed_at := COALESCE(NEW.completed_at, now());
    ELSE
        NEW.completed_at := NULL;
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER tasks_assign_number BEFORE INSERT ON tasks
    FOR EACH ROW EXECUTE FUNCTION assign_task_number();
CREATE TRIGGER tasks_stamp_state BEFORE INSERT OR UPDATE OF state_id ON tasks
    FOR EACH ROW EXECUTE FUNCTION stamp_task_state();
CREATE TRIGGER tasks_touch BEFORE UPDATE ON tasks
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
