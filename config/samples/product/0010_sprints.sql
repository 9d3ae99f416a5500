CREATE TABLE sprints (
    id         bigint      GENERATED ALWAYS AS IDENTITY,
    project_id bigint      NOT NULL,
    name       text        NOT NULL,
    goal       text        NOT NULL DEFAULT '',
    starts_on  date        NOT NULL,
    ends_on    date        NOT NULL,
    -- Both ends count: a sprint that ends on Friday is still on on Friday.
    period     daterange   GENERATED ALWAYS AS (daterange(starts_on, ends_on, '[]')) STORED,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT sprints_pkey              PRIMARY KEY (id),
    CONSTRAINT sprints_project_id_id_key UNIQUE (project_id, id),
    CONSTRAINT sprints_project_id_fkey   FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE,
    CONSTRAINT sprints_name              CHECK (length(name) BETWEEN 1 AND 120),
    CONSTRAINT sprints_dates             CHECK (ends_on >= starts_on),
    -- One sprint at a time in a project. A range of one number stands in for "project_id
    -- WITH =", which would need the extension btree_gist, and tenants install none.
    CONSTRAINT sprints_no_overlap EXCLUDE USING gist (
        int8range(project_id, project_id, '[]') WITH &&, period WITH &&)
);

CREATE TRIGGER sprints_log AFTER INSERT OR UPDATE OR DELETE ON sprints
    FOR EACH ROW EXECUTE FUNCTION log_activity();

-- Nullable and without a default: a change of the catalog only. NOT VALID spares the scan
-- of tasks while both tables are locked; 0011 does it under a lock that lets writers through.
ALTER TABLE tasks
    ADD COLUMN sprint_id bigint,
    ADD CONSTRAINT tasks_sprint_fkey FOREIGN KEY (project_id, sprint_id)
        REFERENCES sprints (project_id, id) ON DELETE SET NULL (sprint_id) NOT VALID;
