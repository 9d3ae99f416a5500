-- A constant default is stored in the catalog and rewrites nothing, whatever the size of
-- the table. The CHECK comes NOT VALID, and 0018 proves the rows that were there before.
ALTER TABLE projects
    ADD COLUMN visibility text NOT NULL DEFAULT 'workspace',
    ADD CONSTRAINT projects_visibility
        CHECK (visibility IN ('workspace', 'members', 'team')) NOT VALID;

-- Private to a team that does not exist would be private to nobody.
ALTER TABLE projects
    ADD CONSTRAINT projects_team_visibility
        CHECK (visibility <> 'team' OR team_id IS NOT NULL) NOT VALID;
