-- Plain views: a materialised one can be refreshed by its owner only, and the application
-- is not the owner. security_invoker makes them read with the caller's rights, so that a
-- view never shows more than its reader may see in the tables below it.

CREATE VIEW project_progress WITH (security_invoker = true) AS
SELECT p.id AS project_id,
       p.key,
       p.name,
       count(t.id)                                             AS tasks,
       count(t.id) FILTER (WHERE s.category = 'active')        AS active,
       count(t.id) FILTER (WHERE s.category = 'done')          AS done,
       count(t.id) FILTER (WHERE s.category = 'canceled')      AS canceled,
       count(t.id) FILTER (WHERE t.completed_at IS NULL AND t.due_on < current_date) AS overdue,
       -- Canceled work is no work: it neither helps nor hurts the percentage.
       COALESCE(round(100.0 * count(t.id) FILTER (WHERE s.category = 'done')
           / NULLIF(count(t.id) FILTER (WHERE s.category <> 'canceled'), 0)), 0)::integer AS percent_done
FROM projects p
LEFT JOIN tasks t ON t.project_id = p.id
LEFT JOIN workflow_states s ON s.id = t.state_id
WHERE p.archived_at IS NULL
GROUP BY p.id, p.key, p.name;

CREATE VIEW member_workload WITH (security_invoker = true) AS
SELECT m.id AS member_id,
       m.full_name,
       count(t.id)                                                   AS open_tasks,
       count(t.id) FILTER (WHERE t.priority >= 'high')               AS important,
       count(t.id) FILTER (WHERE t.due_on < current_date)            AS overdue,
       COALESCE(sum(t.estimate), 0)                                  AS estimate
FROM members m
LEFT JOIN tasks t ON t.assignee_id = m.id AND t.completed_at IS NULL
WHERE m.deactivated_at IS NULL
GROUP BY m.id, m.full_name;

CREATE VIEW sprint_burndown WITH (security_invoker = true) AS
SELECT s.id AS sprint_id,
       d.day::date AS day,
       COALESCE(sum(t.estimate) FILTER (WHERE t.completed_at IS NULL OR t.completed_at >= d.day + interval '1 day'), 0)
           AS remaining
FROM sprints s
CROSS JOIN LATERAL generate_series(s.starts_on::timestamp, s.ends_on::timestamp, interval '1 day') AS d (day)
LEFT JOIN tasks t ON t.project_id = s.project_id AND t.sprint_id = s.id
GROUP BY s.id, d.day;
