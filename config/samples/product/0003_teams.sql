CREATE TABLE teams (
    id         bigint      GENERATED ALWAYS AS IDENTITY,
    slug       text        NOT NULL,
    name       text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT teams_pkey     PRIMARY KEY (id),
    CONSTRAINT teams_slug_key UNIQUE (slug),
    CONSTRAINT teams_slug     CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND length(slug) <= 40),
    CONSTRAINT teams_name     CHECK (length(name) BETWEEN 1 AND 120)
);

CREATE TABLE team_members (
    team_id   bigint      NOT NULL,
    member_id bigint      NOT NULL,
    is_lead   boolean     NOT NULL DEFAULT false,
    added_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT team_members_pkey           PRIMARY KEY (team_id, member_id),
    CONSTRAINT team_members_team_id_fkey   FOREIGN KEY (team_id) REFERENCES teams (id) ON DELETE CASCADE,
    CONSTRAINT team_members_member_id_fkey FOREIGN KEY (member_id) REFERENCES members (id) ON DELETE CASCADE
);

-- The primary key answers "who is in this team"; this one "which teams am I in", and keeps
-- the removal of a member from scanning the table.
CREATE INDEX team_members_member_id_idx ON team_members (member_id);
CREATE UNIQUE INDEX team_members_one_lead_key ON team_members (team_id) WHERE is_lead;

CREATE TRIGGER teams_touch BEFORE UPDATE ON teams
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
