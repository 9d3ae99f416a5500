CREATE SCHEMA IF NOT EXISTS tenantry;
REVOKE ALL ON SCHEMA tenantry FROM PUBLIC;

-- Whose registry this is, and where it was written: a copy of the database elsewhere names roles
-- that belong to the original.
CREATE TABLE tenantry.identity (
    only_row          boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    marker            text        NOT NULL,
    system_identifier text        NOT NULL,
    database_oid      bigint      NOT NULL,
    registry_version  integer     NOT NULL,
    created_at        timestamptz NOT NULL DEFAULT now()
);

-- One row a tenant: the fence. What may be done to a schema is decided by the UID here.
CREATE TABLE tenantry.tenant (
    schema_name   text COLLATE "C" PRIMARY KEY,
    tenant_uid    text        NOT NULL UNIQUE,
    namespace     text        NOT NULL,
    name          text        NOT NULL,
    owner_role    text        NOT NULL UNIQUE,
    app_role      text        NOT NULL UNIQUE,
    keeper_role   text        NOT NULL, -- made the two, and manages them
    state         text        NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'retained', 'deleting', 'dropping')),
    version       text        NOT NULL DEFAULT '',
    digest        text        NOT NULL DEFAULT '',
    migration_set text        NOT NULL DEFAULT '',
    login_proof   text        NOT NULL DEFAULT '', -- see Record
    created_at    timestamptz NOT NULL DEFAULT now(),
    adopted_at    timestamptz, -- when the schema, which was there before, became a Tenant's
    baseline      text        NOT NULL DEFAULT '' -- the version that it then had, as somebody said
);

CREATE TABLE tenantry.domain (
    host        text COLLATE "C" PRIMARY KEY,
    schema_name text COLLATE "C" NOT NULL REFERENCES tenantry.tenant ON DELETE CASCADE,
    position    integer NOT NULL CHECK (position >= 0), -- 0 is the primary domain
    UNIQUE (schema_name, position) DEFERRABLE INITIALLY DEFERRED
);

CREATE TABLE tenantry.shared_schema (
    schema_name   text COLLATE "C" PRIMARY KEY,
    owner_role    text NOT NULL UNIQUE,
    migration_set text NOT NULL DEFAULT '',
    version       text NOT NULL DEFAULT '' -- that of its ledger when it was last read
);

-- Files of migrations as they were when first applied to any schema of this database.
CREATE TABLE tenantry.migration_file (
    set_name   text COLLATE "C" NOT NULL,
    version    text COLLATE "C" NOT NULL,
    name       text        NOT NULL,
    checksum   text        NOT NULL,
    first_used timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (set_name, version)
);
