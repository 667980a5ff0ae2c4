-- Workers add to these sums by difference, in the statement that changes a task, and say so (cortex.sums). Whoever else writes a task (a worker
-- of the version before, psql, an import) fires this trigger. It also sets the progress, to what workers of the version before set it to.

CREATE OR REPLACE FUNCTION task_sums() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $sums$
#variable_conflict use_column
BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE "project" AS t SET ("task_count", "task_progress", "task_estimates", "task_hours", "task_hours_done", "task_progress_unestimated", "progress")
        = (SELECT f."task_count", f."task_progress", f."task_estimates", f."task_hours", f."task_hours_done", f."task_progress_unestimated", CASE WHEN f."task_count" + f."task_progress" + f."task_estimates" + f."task_hours" + f."task_hours_done" + f."task_progress_unestimated" IS NULL THEN t."progress" ELSE f."progress" END FROM (SELECT new."task_count", new."task_progress", new."task_estimates", new."task_hours", new."task_hours_done", new."task_progress_unestimated", round((coalesce(div(new.task_estimates * new.task_hours_done + new.task_hours * new.task_progress_unestimated, nullif(new.task_hours * new.task_count, 0)), div(new.task_progress, nullif(new.task_count, 0)), 0))::numeric, 0) AS "progress" FROM (SELECT t."task_count" + d."task_count" AS "task_count",
        t."task_progress" + d."task_progress" AS "task_progress",
        t."task_estimates" + d."task_estimates" AS "task_estimates",
        t."task_hours" + d."task_hours" AS "task_hours",
        t."task_hours_done" + d."task_hours_done" AS "task_hours_done",
        t."task_progress_unestimated" + d."task_progress_unestimated" AS "task_progress_unestimated") AS new) AS f)
        FROM (SELECT k.company_id, k.id,
        sum(k."task_count") AS "task_count",
        sum(k."task_progress") AS "task_progress",
        sum(k."task_estimates") AS "task_estimates",
        sum(k."task_hours") AS "task_hours",
        sum(k."task_hours_done") AS "task_hours_done",
        sum(k."task_progress_unestimated") AS "task_progress_unestimated"
        FROM (SELECT child.company_id, child."project_id" AS id,
        (coalesce((1)::numeric, 0)) AS "task_count",
        (coalesce((child.progress)::numeric, 0)) AS "task_progress",
        (CASE WHEN child.estimated_hours IS NOT NULL THEN coalesce((1)::numeric, 0) ELSE 0 END) AS "task_estimates",
        (coalesce((child.estimated_hours)::numeric, 0)) AS "task_hours",
        (coalesce((child.estimated_hours * child.progress)::numeric, 0)) AS "task_hours_done",
        (CASE WHEN child.estimated_hours IS NULL THEN coalesce((child.progress)::numeric, 0) ELSE 0 END) AS "task_progress_unestimated"
        FROM new_rows AS child) AS k WHERE k.id IS NOT NULL GROUP BY 1, 2
        HAVING sum(k."task_count") <> 0
        OR sum(k."task_progress") <> 0
        OR sum(k."task_estimates") <> 0
        OR sum(k."task_hours") <> 0
        OR sum(k."task_hours_done") <> 0
        OR sum(k."task_progress_unestimated") <> 0) AS d
        WHERE t.company_id = d.company_id AND t.id = d.id;
    ELSIF TG_OP = 'UPDATE' THEN
        UPDATE "project" AS t SET ("task_count", "task_progress", "task_estimates", "task_hours", "task_hours_done", "task_progress_unestimated", "progress")
        = (SELECT f."task_count", f."task_progress", f."task_estimates", f."task_hours", f."task_hours_done", f."task_progress_unestimated", CASE WHEN f."task_count" + f."task_progress" + f."task_estimates" + f."task_hours" + f."task_hours_done" + f."task_progress_unestimated" IS NULL THEN t."progress" ELSE f."progress" END FROM (SELECT new."task_count", new."task_progress", new."task_estimates", new."task_hours", new."task_hours_done", new."task_progress_unestimated", round((coalesce(div(new.task_estimates * new.task_hours_done + new.task_hours * new.task_progress_unestimated, nullif(new.task_hours * new.task_count, 0)), div(new.task_progress, nullif(new.task_count, 0)), 0))::numeric, 0) AS "progress" FROM (SELECT t."task_count" + d."task_count" AS "task_count",
        t."task_progress" + d."task_progress" AS "task_progress",
        t."task_estimates" + d."task_estimates" AS "task_estimates",
        t."task_hours" + d."task_hours" AS "task_hours",
        t."task_hours_done" + d."task_hours_done" AS "task_hours_done",
        t."task_progress_unestimated" + d."task_progress_unestimated" AS "task_progress_unestimated") AS new) AS f)
        FROM (SELECT k.company_id, k.id,
        sum(k."task_count") AS "task_count",
        sum(k."task_progress") AS "task_progress",
        sum(k."task_estimates") AS "task_estimates",
        sum(k."task_hours") AS "task_hours",
        sum(k."task_hours_done") AS "task_hours_done",
        sum(k."task_progress_unestimated") AS "task_progress_unestimated"
        FROM (SELECT child.company_id, child."project_id" AS id,
        -(coalesce((1)::numeric, 0)) AS "task_count",
        -(coalesce((child.progress)::numeric, 0)) AS "task_progress",
        -(CASE WHEN child.estimated_hours IS NOT NULL THEN coalesce((1)::numeric, 0) ELSE 0 END) AS "task_estimates",
        -(coalesce((child.estimated_hours)::numeric, 0)) AS "task_hours",
        -(coalesce((child.estimated_hours * child.progress)::numeric, 0)) AS "task_hours_done",
        -(CASE WHEN child.estimated_hours IS NULL THEN coalesce((child.progress)::numeric, 0) ELSE 0 END) AS "task_progress_unestimated"
        FROM old_rows AS child
        UNION ALL SELECT child.company_id, child."project_id" AS id,
        (coalesce((1)::numeric, 0)) AS "task_count",
        (coalesce((child.progress)::numeric, 0)) AS "task_progress",
        (CASE WHEN child.estimated_hours IS NOT NULL THEN coalesce((1)::numeric, 0) ELSE 0 END) AS "task_estimates",
        (coalesce((child.estimated_hours)::numeric, 0)) AS "task_hours",
        (coalesce((child.estimated_hours * child.progress)::numeric, 0)) AS "task_hours_done",
        (CASE WHEN child.estimated_hours IS NULL THEN coalesce((child.progress)::numeric, 0) ELSE 0 END) AS "task_progress_unestimated"
        FROM new_rows AS child) AS k WHERE k.id IS NOT NULL GROUP BY 1, 2
        HAVING sum(k."task_count") <> 0
        OR sum(k."task_progress") <> 0
        OR sum(k."task_estimates") <> 0
        OR sum(k."task_hours") <> 0
        OR sum(k."task_hours_done") <> 0
        OR sum(k."task_progress_unestimated") <> 0) AS d
        WHERE t.company_id = d.company_id AND t.id = d.id;
    ELSIF TG_OP = 'DELETE' THEN
        UPDATE "project" AS t SET ("task_count", "task_progress", "task_estimates", "task_hours", "task_hours_done", "task_progress_unestimated", "progress")
        = (SELECT f."task_count", f."task_progress", f."task_estimates", f."task_hours", f."task_hours_done", f."task_progress_unestimated", CASE WHEN f."task_count" + f."task_progress" + f."task_estimates" + f."task_hours" + f."task_hours_done" + f."task_progress_unestimated" IS NULL THEN t."progress" ELSE f."progress" END FROM (SELECT new."task_count", new."task_progress", new."task_estimates", new."task_hours", new."task_hours_done", new."task_progress_unestimated", round((coalesce(div(new.task_estimates * new.task_hours_done + new.task_hours * new.task_progress_unestimated, nullif(new.task_hours * new.task_count, 0)), div(new.task_progress, nullif(new.task_count, 0)), 0))::numeric, 0) AS "progress" FROM (SELECT t."task_count" + d."task_count" AS "task_count",
        t."task_progress" + d."task_progress" AS "task_progress",
        t."task_estimates" + d."task_estimates" AS "task_estimates",
        t."task_hours" + d."task_hours" AS "task_hours",
        t."task_hours_done" + d."task_hours_done" AS "task_hours_done",
        t."task_progress_unestimated" + d."task_progress_unestimated" AS "task_progress_unestimated") AS new) AS f)
        FROM (SELECT k.company_id, k.id,
        sum(k."task_count") AS "task_count",
        sum(k."task_progress") AS "task_progress",
        sum(k."task_estimates") AS "task_estimates",
        sum(k."task_hours") AS "task_hours",
        sum(k."task_hours_done") AS "task_hours_done",
        sum(k."task_progress_unestimated") AS "task_progress_unestimated"
        FROM (SELECT child.company_id, child."project_id" AS id,
        -(coalesce((1)::numeric, 0)) AS "task_count",
        -(coalesce((child.progress)::numeric, 0)) AS "task_progress",
        -(CASE WHEN child.estimated_hours IS NOT NULL THEN coalesce((1)::numeric, 0) ELSE 0 END) AS "task_estimates",
        -(coalesce((child.estimated_hours)::numeric, 0)) AS "task_hours",
        -(coalesce((child.estimated_hours * child.progress)::numeric, 0)) AS "task_hours_done",
        -(CASE WHEN child.estimated_hours IS NULL THEN coalesce((child.progress)::numeric, 0) ELSE 0 END) AS "task_progress_unestimated"
        FROM old_rows AS child) AS k WHERE k.id IS NOT NULL GROUP BY 1, 2
        HAVING sum(k."task_count") <> 0
        OR sum(k."task_progress") <> 0
        OR sum(k."task_estimates") <> 0
        OR sum(k."task_hours") <> 0
        OR sum(k."task_hours_done") <> 0
        OR sum(k."task_progress_unestimated") <> 0) AS d
        WHERE t.company_id = d.company_id AND t.id = d.id;
    END IF;
    RETURN NULL;
END
$sums$;
REVOKE ALL ON FUNCTION task_sums() FROM PUBLIC;
CREATE OR REPLACE TRIGGER sums_of_insert AFTER INSERT ON task REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT WHEN (current_setting('cortex.sums', true) IS DISTINCT FROM 'own') EXECUTE FUNCTION task_sums();
CREATE OR REPLACE TRIGGER sums_of_update AFTER UPDATE ON task REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT WHEN (current_setting('cortex.sums', true) IS DISTINCT FROM 'own') EXECUTE FUNCTION task_sums();
CREATE OR REPLACE TRIGGER sums_of_delete AFTER DELETE ON task REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT WHEN (current_setting('cortex.sums', true) IS DISTINCT FROM 'own') EXECUTE FUNCTION task_sums();
