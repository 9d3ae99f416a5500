ALTER TABLE projects VALIDATE CONSTRAINT projects_visibility;
ALTER TABLE projects VALIDATE CONSTRAINT projects_team_visibility;

-- What this workspace switched on or off. The flags and their defaults are in the shared
-- table "feature_flags", which every tenant may read; a choice of one customer is that
-- customer's data and stays here.
CREATE TABLE feature_overrides (
    flag       text        NOT NULL,
    enabled    boolean     NOT NULL,
    changed_by bigint,
    changed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT feature_overrides_pkey            PRIMARY KEY (flag),
    CONSTRAINT feature_overrides_changed_by_fkey FOREIGN KEY (changed_by) REFERENCES members (id) ON DELETE SET NULL,
    CONSTRAINT feature_overrides_flag            CHECK (flag ~ '^[a-z][a-z0-9_]{1,59}$')
);
