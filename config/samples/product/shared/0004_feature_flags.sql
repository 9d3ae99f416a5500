-- Flags and their defaults for everybody. There is no column for one customer's setting, and
-- there must not be: tenants may read this table. Theirs is in feature_overrides.
CREATE TABLE feature_flags (
    name            text        NOT NULL,
    description     text        NOT NULL,
    default_enabled boolean     NOT NULL DEFAULT false,
    -- The cheapest plan that includes it; null is all of them.
    min_plan        text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT feature_flags_pkey          PRIMARY KEY (name),
    CONSTRAINT feature_flags_min_plan_fkey FOREIGN KEY (min_plan) REFERENCES plans (code),
    CONSTRAINT feature_flags_name          CHECK (name ~ '^[a-z][a-z0-9_]{1,59}$')
);

CREATE INDEX feature_flags_min_plan_idx ON feature_flags (min_plan);

INSERT INTO feature_flags (name, description, default_enabled, min_plan) VALUES
    ('sprints',       'Plan work in sprints',             true,  NULL),
    ('time_tracking', 'Timers on tasks',                  true,  'team'),
    ('webhooks',      'Signed HTTP callbacks',            true,  'team'),
    ('audit_export',  'Export the activity log as a file', false, 'business');
