-- Roles are rows and not an enum: products add and rename roles, and a value can never
-- be taken out of an enum again.
CREATE TABLE roles (
    name                text     NOT NULL,
    rank                smallint NOT NULL,
    can_manage_members  boolean  NOT NULL DEFAULT false,
    can_manage_projects boolean  NOT NULL DEFAULT false,
    can_edit_tasks      boolean  NOT NULL DEFAULT false,
    description         text     NOT NULL DEFAULT '',
    CONSTRAINT roles_pkey     PRIMARY KEY (name),
    CONSTRAINT roles_rank_key UNIQUE (rank)
);

INSERT INTO roles (name, rank, can_manage_members, can_manage_projects, can_edit_tasks, description) VALUES
    ('owner',  10, true,  true,  true,  'Everything, including billing and deleting the workspace'),
    ('admin',  20, true,  true,  true,  'Members, projects and settings'),
    ('member', 30, false, true,  true,  'Creates projects and works on tasks'),
    ('guest',  40, false, false, false, 'Reads and comments where invited');

-- A member is an account's profile in this workspace. The account itself (login, password
-- hash, sessions) lives in the shared schema, where only the sign-in service may look.
CREATE TABLE members (
    id             bigint        GENERATED ALWAYS AS IDENTITY,
    account_id     uuid,
    email          email_address NOT NULL,
    full_name      text          NOT NULL,
    role           text          NOT NULL DEFAULT 'member',
    joined_at      timestamptz   NOT NULL DEFAULT now(),
    deactivated_at timestamptz,
    updated_at     timestamptz   NOT NULL DEFAULT now(),
    CONSTRAINT members_pkey           PRIMARY KEY (id),
    -- Null until the invitation is accepted; many nulls are fine.
    CONSTRAINT members_account_id_key UNIQUE (account_id),
    CONSTRAINT members_role_fkey      FOREIGN KEY (role) REFERENCES roles (name) ON UPDATE CASCADE,
    CONSTRAINT members_full_name      CHECK (length(full_name) BETWEEN 1 AND 200),
    CONSTRAINT members_deactivated_at CHECK (deactivated_at >= joined_at)
);

-- Addresses differ by more than case, and a person who left may be invited again.
CREATE UNIQUE INDEX members_active_email_key ON members (lower(email)) WHERE deactivated_at IS NULL;
CREATE INDEX members_role_idx ON members (role);

CREATE TRIGGER members_touch BEFORE UPDATE ON members
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
