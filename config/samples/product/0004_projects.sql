-- "key" is the prefix that people see in task numbers, as in WEB-42. It is unique for
-- ever, archived projects included: an old link must not lead to a new project.
CREATE TABLE projects (
    id          bigint      GENERATED ALWAYS AS IDENTITY,
    key         text        NOT NULL,
    name        text        NOT NULL,
    description text        NOT NULL DEFAULT '',
    team_id     bigint,
    lead_id     bigint,
    starts_on   date,
    ends_on     date,
    archived_at timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT projects_pkey         PRIMARY KEY (id),
    CONSTRAINT projects_key_key      UNIQUE (key),
    CONSTRAINT projects_team_id_fkey FOREIGN KEY (team_id) REFERENCES teams (id) ON DELETE SET NULL,
    CONSTRAINT projects_lead_id_fkey FOREIGN KEY (lead_id) REFERENCES members (id) ON DELETE SET NULL,
    CONSTRAINT projects_key          CHECK (key ~ '^[A-Z][A-Z0-9]{1,9}$'),
    CONSTRAINT projects_name         CHECK (length(name) BETWEEN 1 AND 200),
    CONSTRAINT projects_description  CHECK (length(description) <= 20000),
    CONSTRAINT projects_dates        CHECK (ends_on >= starts_on)
);

CREATE INDEX projects_team_id_idx ON projects (team_id);
CREATE INDEX projects_lead_id_idx ON projects (lead_id);
CREATE INDEX projects_active_idx ON projects (name) WHERE archived_at IS NULL;

CREATE TRIGGER projects_touch BEFORE UPDATE ON projects
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

CREATE TABLE project_members (
    project_id bigint      NOT NULL,
    member_id  bigint      NOT NULL,
    added_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT project_members_pkey            PRIMARY KEY (project_id, member_id),
    CONSTRAINT project_members_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE,
    CONSTRAINT project_members_member_id_fkey  FOREIGN KEY (member_id) REFERENCES members (id) ON DELETE CASCADE
);

CREATE INDEX project_members_member_id_idx ON project_members (member_id);
