-- Which account may enter which workspace: what the sign-in page needs before a tenant is
-- known. It lists customers next to each other, hence no tenant may ever read it.
CREATE TABLE account_tenants (
    account_id uuid        NOT NULL,
    -- "<namespace>/<name>" of the Tenant.
    tenant     text        NOT NULL,
    invited_at timestamptz NOT NULL DEFAULT now(),
    joined_at  timestamptz,
    CONSTRAINT account_tenants_pkey            PRIMARY KEY (account_id, tenant),
    CONSTRAINT account_tenants_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE,
    CONSTRAINT account_tenants_tenant          CHECK (tenant ~ '^[a-z0-9-]{1,63}/[a-z0-9.-]{1,253}$'),
    CONSTRAINT account_tenants_joined_at       CHECK (joined_at >= invited_at)
);

CREATE INDEX account_tenants_tenant_idx ON account_tenants (tenant);
