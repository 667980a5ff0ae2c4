-- As in 0040.

ALTER TABLE project ALTER COLUMN labour_cost SET DEFAULT 0;
ALTER TABLE project ALTER COLUMN order_cost SET DEFAULT 0;
ALTER TABLE project ALTER COLUMN contract_cost SET DEFAULT 0;
DO $count$
DECLARE
    company uuid;
BEGIN
    FOR company IN SELECT DISTINCT company_id FROM project WHERE labour_cost IS NULL LOOP
        PERFORM FROM company_sequence WHERE company_id = company FOR UPDATE;
        PERFORM FROM project WHERE company_id = company AND labour_cost IS NULL FOR NO KEY UPDATE;
        UPDATE project AS r SET ("labour_cost",
        "order_cost",
        "contract_cost",
        "task_count",
        "task_progress",
        "task_estimates",
        "task_hours",
        "task_hours_done",
        "task_progress_unestimated")
        = ROW(coalesce("of_time_entry"."labour_cost", 0),
        coalesce("of_purchase_order"."order_cost", 0),
        coalesce("of_project_subcontractor"."contract_cost", 0),
        coalesce("of_task"."task_count", 0),
        coalesce("of_task"."task_progress", 0),
        coalesce("of_task"."task_estimates", 0),
        coalesce("of_task"."task_hours", 0),
        coalesce("of_task"."task_hours_done", 0),
        coalesce("of_task"."task_progress_unestimated", 0))
        FROM project AS t
        LEFT JOIN (SELECT child.company_id, child."project_id" AS id,
        sum(CASE WHEN child.status <> 'terminated' THEN coalesce((child.contract_amount)::numeric, 0) ELSE 0 END) AS "contract_cost"
        FROM "project_subcontractor" AS child WHERE child.company_id = company GROUP BY 1, 2) AS "of_project_subcontractor" ON "of_project_subcontractor".company_id = t.company_id AND "of_project_subcontractor".id = t.id
        LEFT JOIN (SELECT child.company_id, child."project_id" AS id,
        sum(CASE WHEN child.status = 'received' THEN coalesce((child.total)::numeric, 0) ELSE 0 END) AS "order_cost"
        FROM "purchase_order" AS child WHERE child.company_id = company GROUP BY 1, 2) AS "of_purchase_order" ON "of_purchase_order".company_id = t.company_id AND "of_purchase_order".id = t.id
        LEFT JOIN (SELECT child.company_id, child."project_id" AS id,
        sum(coalesce((1)::numeric, 0)) AS "task_count",
        sum(coalesce((child.progress)::numeric, 0)) AS "task_progress",
        sum(CASE WHEN child.estimated_hours IS NOT NULL THEN coalesce((1)::numeric, 0) ELSE 0 END) AS "task_estimates",
        sum(coalesce((child.estimated_hours)::numeric, 0)) AS "task_hours",
        sum(coalesce((child.estimated_hours * child.progress)::numeric, 0)) AS "task_hours_done",
        sum(CASE WHEN child.estimated_hours IS NULL THEN coalesce((child.progress)::numeric, 0) ELSE 0 END) AS "task_progress_unestimated"
        FROM "task" AS child WHERE child.company_id = company GROUP BY 1, 2) AS "of_task" ON "of_task".company_id = t.company_id AND "of_task".id = t.id
        LEFT JOIN (SELECT child.company_id, child."project_id" AS id,
        sum(coalesce((child.amount)::numeric, 0)) AS "labour_cost"
        FROM "time_entry" AS child WHERE child.company_id = company GROUP BY 1, 2) AS "of_time_entry" ON "of_time_entry".company_id = t.company_id AND "of_time_entry".id = t.id
        WHERE t.company_id = company AND r.company_id = company AND r.id = t.id AND r.labour_cost IS NULL;
        COMMIT;
    END LOOP;
END
$count$;
