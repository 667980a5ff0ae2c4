-- The tasks that were there before. From here on a new project begins with nothing to count, because the trigger is there.

ALTER TABLE project ALTER COLUMN task_count SET DEFAULT 0;
ALTER TABLE project ALTER COLUMN task_progress SET DEFAULT 0;
ALTER TABLE project ALTER COLUMN task_estimates SET DEFAULT 0;
ALTER TABLE project ALTER COLUMN task_hours SET DEFAULT 0;
ALTER TABLE project ALTER COLUMN task_hours_done SET DEFAULT 0;
ALTER TABLE project ALTER COLUMN task_progress_unestimated SET DEFAULT 0;
DO $count$
DECLARE
    company uuid;
BEGIN
    FOR company IN SELECT DISTINCT company_id FROM project WHERE task_count IS NULL LOOP
        PERFORM FROM company_sequence WHERE company_id = company FOR UPDATE;
        PERFORM FROM project WHERE company_id = company AND task_count IS NULL FOR NO KEY UPDATE;
        UPDATE project AS r SET ("task_count",
        "task_progress",
        "task_estimates",
        "task_hours",
        "task_hours_done",
        "task_progress_unestimated")
        = ROW(coalesce("of_task"."task_count", 0),
        coalesce("of_task"."task_progress", 0),
        coalesce("of_task"."task_estimates", 0),
        coalesce("of_task"."task_hours", 0),
        coalesce("of_task"."task_hours_done", 0),
        coalesce("of_task"."task_progress_unestimated", 0))
        FROM project AS t
        LEFT JOIN (SELECT child.company_id, child."project_id" AS id,
        sum(coalesce((1)::numeric, 0)) AS "task_count",
        sum(coalesce((child.progress)::numeric, 0)) AS "task_progress",
        sum(CASE WHEN child.estimated_hours IS NOT NULL THEN coalesce((1)::numeric, 0) ELSE 0 END) AS "task_estimates",
        sum(coalesce((child.estimated_hours)::numeric, 0)) AS "task_hours",
        sum(coalesce((child.estimated_hours * child.progress)::numeric, 0)) AS "task_hours_done",
        sum(CASE WHEN child.estimated_hours IS NULL THEN coalesce((child.progress)::numeric, 0) ELSE 0 END) AS "task_progress_unestimated"
        FROM "task" AS child WHERE child.company_id = company GROUP BY 1, 2) AS "of_task" ON "of_task".company_id = t.company_id AND "of_task".id = t.id
        WHERE t.company_id = company AND r.company_id = company AND r.id = t.id AND r.task_count IS NULL;
        COMMIT;
    END LOOP;
END
$count$;
