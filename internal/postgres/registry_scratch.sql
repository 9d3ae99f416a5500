-- Schemas in which a version of a MigrationSet is tried before any tenant gets it. They are no tenants:
-- nothing counts, places or adopts them. A row whose lock nobody holds was left by a crash.
CREATE TABLE IF NOT EXISTS tenantry.scratch (
    set_uid     text COLLATE "C" PRIMARY KEY, -- one at a time for each MigrationSet
    set_name    text        NOT NULL,
    digest      text        NOT NULL,
    schema_name text COLLATE "C" NOT NULL UNIQUE,
    owner_role  text        NOT NULL UNIQUE,
    keeper_role text        NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);
