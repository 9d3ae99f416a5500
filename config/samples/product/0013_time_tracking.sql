CREATE TABLE time_entries (
    id         bigint      GENERATED ALWAYS AS IDENTITY,
    task_id    bigint      NOT NULL,
    member_id  bigint      NOT NULL,
    note       text        NOT NULL DEFAULT '',
    started_at timestamptz NOT NULL DEFAULT now(),
    ended_at   timestamptz,
    -- Null while the timer runs.
    spent      interval    GENERATED ALWAYS AS (ended_at - started_at) STORED,
    CONSTRAINT time_entries_pkey           PRIMARY KEY (id),
    CONSTRAINT time_entries_task_id_fkey   FOREIGN KEY (task_id) REFERENCES tasks (id) ON DELETE CASCADE,
    CONSTRAINT time_entries_member_id_fkey FOREIGN KEY (member_id) REFERENCES members (id),
    CONSTRAINT time_entries_note           CHECK (length(note) <= 500),
    CONSTRAINT time_entries_order          CHECK (ended_at > started_at)
);

CREATE INDEX time_entries_task_id_idx ON time_entries (task_id);
CREATE INDEX time_entries_member_idx ON time_entries (member_id, started_at DESC);
-- One running timer a person, whatever two browser tabs do at once.
CREATE UNIQUE INDEX time_entries_one_running_key ON time_entries (member_id) WHERE ended_at IS NULL;
