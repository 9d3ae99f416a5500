-- The board of a sprint, and the deletion of one. CONCURRENTLY, because tasks is the
-- busiest table there is; it cannot run in a transaction, so it is alone in its file.
-- Neither partial nor on an expression, so that builds in many schemas at once do not
-- wait for each other (PostgreSQL 14 and later skip such "safe" builds).
-- No IF NOT EXISTS: it would take an invalid index left by a crash for a finished one.
CREATE INDEX CONCURRENTLY tasks_sprint_idx ON tasks (project_id, sprint_id, state_id);
