-- Apart from 0010, so that its lock is gone when the scan begins: SHARE UPDATE EXCLUSIVE
-- on tasks and ROW SHARE on sprints stop no reader and no writer.
ALTER TABLE tasks VALIDATE CONSTRAINT tasks_sprint_fkey;
