-- Tasklane, tenant schema. One schema is one workspace (one customer), so no table
-- carries a tenant column: the schema is the boundary, and the login can reach no other.
--
-- Conventions of every file in this folder:
--   * names are unqualified: the search_path is "<tenant schema>, <shared schema>";
--   * trigger functions run as the caller, whose path nobody guarantees, so they name
--     tables through TG_TABLE_SCHEMA and never through the path;
--   * no view, CHECK or generated column calls a function of ours: the application's
--     role has USAGE and DML, and may have no EXECUTE;
--   * a table that already has rows is changed in steps that hold no long lock.

CREATE DOMAIN email_address AS text
    CONSTRAINT email_address_shape
    CHECK (value ~ '^[^@[:space:]]+@[^@[:space:]]+$' AND length(value) <= 254);

CREATE FUNCTION touch_updated_at() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$$;

-- Settings: a table of exactly one row, held to one by its primary key.
CREATE TABLE workspace (
    singleton      boolean     NOT NULL DEFAULT true,
    display_name   text        NOT NULL DEFAULT 'My workspace',
    -- A code of the shared table "plans". No foreign key: it would need REFERENCES on a
    -- shared table, and would make a restore of one tenant depend on another schema.
    plan_code      text        NOT NULL DEFAULT 'free',
    time_zone      text        NOT NULL DEFAULT 'UTC',
    week_starts_on smallint    NOT NULL DEFAULT 1,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT workspace_pkey           PRIMARY KEY (singleton),
    CONSTRAINT workspace_single_row     CHECK (singleton),
    CONSTRAINT workspace_display_name   CHECK (length(display_name) BETWEEN 1 AND 120),
    CONSTRAINT workspace_week_starts_on CHECK (week_starts_on BETWEEN 0 AND 6)
);

CREATE TRIGGER workspace_touch BEFORE UPDATE ON workspace
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

INSERT INTO workspace DEFAULT VALUES;
