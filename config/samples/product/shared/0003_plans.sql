-- The price list. Public by nature, so tenants may read it.
CREATE TABLE plans (
    code          text     NOT NULL,
    name          text     NOT NULL,
    position      smallint NOT NULL,
    monthly_cents integer  NOT NULL,
    currency      text     NOT NULL DEFAULT 'EUR',
    -- Null is unlimited.
    max_members   integer,
    max_projects  integer,
    retired_at    timestamptz,
    CONSTRAINT plans_pkey          PRIMARY KEY (code),
    CONSTRAINT plans_position_key  UNIQUE (position),
    CONSTRAINT plans_code          CHECK (code ~ '^[a-z][a-z0-9-]{1,39}$'),
    CONSTRAINT plans_monthly_cents CHECK (monthly_cents >= 0),
    CONSTRAINT plans_currency      CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT plans_limits        CHECK (max_members > 0 AND max_projects > 0)
);

INSERT INTO plans (code, name, position, monthly_cents, max_members, max_projects) VALUES
    ('free',     'Free',     10,    0,   10,    3),
    ('team',     'Team',     20,  900,  100,  100),
    ('business', 'Business', 30, 1900, NULL, NULL);
