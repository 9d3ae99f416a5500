-- Tasklane, shared schema: what exists once for all customers. Sign-in, plans and feature
-- flags; no customer's content. Tenants may read "plans" and "feature_flags" and nothing
-- else here: every other table has rows of many customers side by side, and belongs to the
-- sign-in service alone. These files grant nothing; who may read what is said where the
-- files are used, next to the database.

-- A name of its own, and not the touch_updated_at of the tenants' schemas: this schema comes
-- after theirs in the search_path, and must never answer for an object they lack.
CREATE FUNCTION auth_touch_updated_at() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$$;

-- One person, one account, in however many workspaces.
CREATE TABLE accounts (
    id                uuid        NOT NULL DEFAULT gen_random_uuid(),
    email             text        NOT NULL,
    -- A PHC string ($argon2id$...). The CHECK is there for the day somebody stores the password.
    password_hash     text,
    full_name         text        NOT NULL DEFAULT '',
    email_verified_at timestamptz,
    disabled_at       timestamptz,
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT accounts_pkey          PRIMARY KEY (id),
    CONSTRAINT accounts_email         CHECK (email ~ '^[^@[:space:]]+@[^@[:space:]]+$' AND length(email) <= 254),
    CONSTRAINT accounts_password_hash CHECK (password_hash ~ '^\$[a-z0-9-]+\$')
);

CREATE UNIQUE INDEX accounts_email_key ON accounts (lower(email));

CREATE TRIGGER accounts_touch BEFORE UPDATE ON accounts
    FOR EACH ROW EXECUTE FUNCTION auth_touch_updated_at();
