-- As in 0039, for everything that projects, invoices and orders sum up. The function of tasks is made anew, because it writes all sums of a
-- project; its triggers are there.

CREATE OR REPLACE FUNCTION invoice_item_sums() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $sums$
#variable_conflict use_column
BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE "invoice" AS t SET ("subtotal", "tax_amount", "total", "balance", "status", "paid_at", "is_overdue")
        = (SELECT f."subtotal", f."tax_amount", f."total", f."balance", f."status", f."paid_at", f."is_overdue" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."status", new."paid_at", new."tax_amount", new."total", new."balance", (new.status = 'overdue') AS "is_overdue" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."status", new."tax_amount", new."total", new."balance", (CASE WHEN new.status = 'paid' THEN coalesce(new.paid_at, now()) END) AS "paid_at" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."paid_at", new."tax_amount", new."total", new."balance", (CASE WHEN new.status IN ('sent', 'overdue') AND new.balance <= 0 THEN 'paid' ELSE new.status END) AS "status" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."status", new."paid_at", new."tax_amount", new."total", round((new.total - new.paid_amount)::numeric, 2) AS "balance" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."status", new."paid_at", new."tax_amount", round((new.subtotal + new.tax_amount)::numeric, 2) AS "total" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."status", new."paid_at", round((new.subtotal * new.tax_rate / 100)::numeric, 2) AS "tax_amount" FROM (SELECT t."subtotal" + d."subtotal" AS "subtotal",
        t."tax_rate" AS "tax_rate",
        t."paid_amount" AS "paid_amount",
        t."status" AS "status",
        t."paid_at" AS "paid_at") AS new) AS new) AS new) AS new) AS new) AS new) AS f)
        FROM (SELECT k.company_id, k.id,
        sum(k."subtotal") AS "subtotal"
        FROM (SELECT child.company_id, child."invoice_id" AS id,
        (coalesce(round((child.amount)::numeric, 2), 0)) AS "subtotal"
        FROM new_rows AS child) AS k WHERE k.id IS NOT NULL GROUP BY 1, 2
        HAVING sum(k."subtotal") <> 0) AS d
        WHERE t.company_id = d.company_id AND t.id = d.id;
    ELSIF TG_OP = 'UPDATE' THEN
        UPDATE "invoice" AS t SET ("subtotal", "tax_amount", "total", "balance", "status", "paid_at", "is_overdue")
        = (SELECT f."subtotal", f."tax_amount", f."total", f."balance", f."status", f."paid_at", f."is_overdue" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."status", new."paid_at", new."tax_amount", new."total", new."balance", (new.status = 'overdue') AS "is_overdue" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."status", new."tax_amount", new."total", new."balance", (CASE WHEN new.status = 'paid' THEN coalesce(new.paid_at, now()) END) AS "paid_at" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."paid_at", new."tax_amount", new."total", new."balance", (CASE WHEN new.status IN ('sent', 'overdue') AND new.balance <= 0 THEN 'paid' ELSE new.status END) AS "status" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."status", new."paid_at", new."tax_amount", new."total", round((new.total - new.paid_amount)::numeric, 2) AS "balance" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."status", new."paid_at", new."tax_amount", round((new.subtotal + new.tax_amount)::numeric, 2) AS "total" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."status", new."paid_at", round((new.subtotal * new.tax_rate / 100)::numeric, 2) AS "tax_amount" FROM (SELECT t."subtotal" + d."subtotal" AS "subtotal",
        t."tax_rate" AS "tax_rate",
        t."paid_amount" AS "paid_amount",
        t."status" AS "status",
        t."paid_at" AS "paid_at") AS new) AS new) AS new) AS new) AS new) AS new) AS f)
        FROM (SELECT k.company_id, k.id,
        sum(k."subtotal") AS "subtotal"
        FROM (SELECT child.company_id, child."invoice_id" AS id,
        -(coalesce(round((child.amount)::numeric, 2), 0)) AS "subtotal"
        FROM old_rows AS child
        UNION ALL SELECT child.company_id, child."invoice_id" AS id,
        (coalesce(round((child.amount)::numeric, 2), 0)) AS "subtotal"
        FROM new_rows AS child) AS k WHERE k.id IS NOT NULL GROUP BY 1, 2
        HAVING sum(k."subtotal") <> 0) AS d
        WHERE t.company_id = d.company_id AND t.id = d.id;
    ELSIF TG_OP = 'DELETE' THEN
        UPDATE "invoice" AS t SET ("subtotal", "tax_amount", "total", "balance", "status", "paid_at", "is_overdue")
        = (SELECT f."subtotal", f."tax_amount", f."total", f."balance", f."status", f."paid_at", f."is_overdue" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."status", new."paid_at", new."tax_amount", new."total", new."balance", (new.status = 'overdue') AS "is_overdue" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."status", new."tax_amount", new."total", new."balance", (CASE WHEN new.status = 'paid' THEN coalesce(new.paid_at, now()) END) AS "paid_at" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."paid_at", new."tax_amount", new."total", new."balance", (CASE WHEN new.status IN ('sent', 'overdue') AND new.balance <= 0 THEN 'paid' ELSE new.status END) AS "status" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."status", new."paid_at", new."tax_amount", new."total", round((new.total - new.paid_amount)::numeric, 2) AS "balance" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."status", new."paid_at", new."tax_amount", round((new.subtotal + new.tax_amount)::numeric, 2) AS "total" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."status", new."paid_at", round((new.subtotal * new.tax_rate / 100)::numeric, 2) AS "tax_amount" FROM (SELECT t."subtotal" + d."subtotal" AS "subtotal",
        t."tax_rate" AS "tax_rate",
        t."paid_amount" AS "paid_amount",
        t."status" AS "status",
        t."paid_at" AS "paid_at") AS new) AS new) AS new) AS new) AS new) AS new) AS f)
        FROM (SELECT k.company_id, k.id,
        sum(k."subtotal") AS "subtotal"
        FROM (SELECT child.company_id, child."invoice_id" AS id,
        -(coalesce(round((child.amount)::numeric, 2), 0)) AS "subtotal"
        FROM old_rows AS child) AS k WHERE k.id IS NOT NULL GROUP BY 1, 2
        HAVING sum(k."subtotal") <> 0) AS d
        WHERE t.company_id = d.company_id AND t.id = d.id;
    END IF;
    RETURN NULL;
END
$sums$;
REVOKE ALL ON FUNCTION invoice_item_sums() FROM PUBLIC;
CREATE OR REPLACE TRIGGER sums_of_insert AFTER INSERT ON invoice_item REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT WHEN (current_setting('cortex.sums', true) IS DISTINCT FROM 'own') EXECUTE FUNCTION invoice_item_sums();
CREATE OR REPLACE TRIGGER sums_of_update AFTER UPDATE ON invoice_item REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT WHEN (current_setting('cortex.sums', true) IS DISTINCT FROM 'own') EXECUTE FUNCTION invoice_item_sums();
CREATE OR REPLACE TRIGGER sums_of_delete AFTER DELETE ON invoice_item REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT WHEN (current_setting('cortex.sums', true) IS DISTINCT FROM 'own') EXECUTE FUNCTION invoice_item_sums();
CREATE OR REPLACE FUNCTION project_subcontractor_sums() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $sums$
#variable_conflict use_column
BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE "project" AS t SET ("labour_cost", "order_cost", "contract_cost", "actual_cost", "task_count", "task_progress", "task_estimates", "task_hours", "task_hours_done", "task_progress_unestimated", "progress")
        = (SELECT f."labour_cost", f."order_cost", f."contract_cost", CASE WHEN f."labour_cost" + f."order_cost" + f."contract_cost" + f."task_count" + f."task_progress" + f."task_estimates" + f."task_hours" + f."task_hours_done" + f."task_progress_unestimated" IS NULL THEN t."actual_cost" ELSE f."actual_cost" END, f."task_count", f."task_progress", f."task_estimates", f."task_hours", f."task_hours_done", f."task_progress_unestimated", CASE WHEN f."labour_cost" + f."order_cost" + f."contract_cost" + f."task_count" + f."task_progress" + f."task_estimates" + f."task_hours" + f."task_hours_done" + f."task_progress_unestimated" IS NULL THEN t."progress" ELSE f."progress" END FROM (SELECT new."labour_cost", new."order_cost", new."contract_cost", new."task_count", new."task_progress", new."task_estimates", new."task_hours", new."task_hours_done", new."task_progress_unestimated", new."actual_cost", round((coalesce(div(new.task_estimates * new.task_hours_done + new.task_hours * new.task_progress_unestimated, nullif(new.task_hours * new.task_count, 0)), div(new.task_progress, nullif(new.task_count, 0)), 0))::numeric, 0) AS "progress" FROM (SELECT new."labour_cost", new."order_cost", new."contract_cost", new."task_count", new."task_progress", new."task_estimates", new."task_hours", new."task_hours_done", new."task_progress_unestimated", round((new.labour_cost + new.order_cost + new.contract_cost)::numeric, 2) AS "actual_cost" FROM (SELECT t."labour_cost" AS "labour_cost",
        t."order_cost" AS "order_cost",
        t."contract_cost" + d."contract_cost" AS "contract_cost",
        t."task_count" AS "task_count",
        t."task_progress" AS "task_progress",
        t."task_estimates" AS "task_estimates",
        t."task_hours" AS "task_hours",
        t."task_hours_done" AS "task_hours_done",
        t."task_progress_unestimated" AS "task_progress_unestimated") AS new) AS new) AS f)
        FROM (SELECT k.company_id, k.id,
        sum(k."contract_cost") AS "contract_cost"
        FROM (SELECT child.company_id, child."project_id" AS id,
        (CASE WHEN child.status <> 'terminated' THEN coalesce((child.contract_amount)::numeric, 0) ELSE 0 END) AS "contract_cost"
        FROM new_rows AS child) AS k WHERE k.id IS NOT NULL GROUP BY 1, 2
        HAVING sum(k."contract_cost") <> 0) AS d
        WHERE t.company_id = d.company_id AND t.id = d.id;
    ELSIF TG_OP = 'UPDATE' THEN
        UPDATE "project" AS t SET ("labour_cost", "order_cost", "contract_cost", "actual_cost", "task_count", "task_progress", "task_estimates", "task_hours", "task_hours_done", "task_progress_unestimated", "progress")
        = (SELECT f."labour_cost", f."order_cost", f."contract_cost", CASE WHEN f."labour_cost" + f."order_cost" + f."contract_cost" + f."task_count" + f."task_progress" + f."task_estimates" + f."task_hours" + f."task_hours_done" + f."task_progress_unestimated" IS NULL THEN t."actual_cost" ELSE f."actual_cost" END, f."task_count", f."task_progress", f."task_estimates", f."task_hours", f."task_hours_done", f."task_progress_unestimated", CASE WHEN f."labour_cost" + f."order_cost" + f."contract_cost" + f."task_count" + f."task_progress" + f."task_estimates" + f."task_hours" + f."task_hours_done" + f."task_progress_unestimated" IS NULL THEN t."progress" ELSE f."progress" END FROM (SELECT new."labour_cost", new."order_cost", new."contract_cost", new."task_count", new."task_progress", new."task_estimates", new."task_hours", new."task_hours_done", new."task_progress_unestimated", new."actual_cost", round((coalesce(div(new.task_estimates * new.task_hours_done + new.task_hours * new.task_progress_unestimated, nullif(new.task_hours * new.task_count, 0)), div(new.task_progress, nullif(new.task_count, 0)), 0))::numeric, 0) AS "progress" FROM (SELECT new."labour_cost", new."order_cost", new."contract_cost", new."task_count", new."task_progress", new."task_estimates", new."task_hours", new."task_hours_done", new."task_progress_unestimated", round((new.labour_cost + new.order_cost + new.contract_cost)::numeric, 2) AS "actual_cost" FROM (SELECT t."labour_cost" AS "labour_cost",
        t."order_cost" AS "order_cost",
        t."contract_cost" + d."contract_cost" AS "contract_cost",
        t."task_count" AS "task_count",
        t."task_progress" AS "task_progress",
        t."task_estimates" AS "task_estimates",
        t."task_hours" AS "task_hours",
        t."task_hours_done" AS "task_hours_done",
        t."task_progress_unestimated" AS "task_progress_unestimated") AS new) AS new) AS f)
        FROM (SELECT k.company_id, k.id,
        sum(k."contract_cost") AS "contract_cost"
        FROM (SELECT child.company_id, child."project_id" AS id,
        -(CASE WHEN child.status <> 'terminated' THEN coalesce((child.contract_amount)::numeric, 0) ELSE 0 END) AS "contract_cost"
        FROM old_rows AS child
        UNION ALL SELECT child.company_id, child."project_id" AS id,
        (CASE WHEN child.status <> 'terminated' THEN coalesce((child.contract_amount)::numeric, 0) ELSE 0 END) AS "contract_cost"
        FROM new_rows AS child) AS k WHERE k.id IS NOT NULL GROUP BY 1, 2
        HAVING sum(k."contract_cost") <> 0) AS d
        WHERE t.company_id = d.company_id AND t.id = d.id;
    ELSIF TG_OP = 'DELETE' THEN
        UPDATE "project" AS t SET ("labour_cost", "order_cost", "contract_cost", "actual_cost", "task_count", "task_progress", "task_estimates", "task_hours", "task_hours_done", "task_progress_unestimated", "progress")
        = (SELECT f."labour_cost", f."order_cost", f."contract_cost", CASE WHEN f."labour_cost" + f."order_cost" + f."contract_cost" + f."task_count" + f."task_progress" + f."task_estimates" + f."task_hours" + f."task_hours_done" + f."task_progress_unestimated" IS NULL THEN t."actual_cost" ELSE f."actual_cost" END, f."task_count", f."task_progress", f."task_estimates", f."task_hours", f."task_hours_done", f."task_progress_unestimated", CASE WHEN f."labour_cost" + f."order_cost" + f."contract_cost" + f."task_count" + f."task_progress" + f."task_estimates" + f."task_hours" + f."task_hours_done" + f."task_progress_unestimated" IS NULL THEN t."progress" ELSE f."progress" END FROM (SELECT new."labour_cost", new."order_cost", new."contract_cost", new."task_count", new."task_progress", new."task_estimates", new."task_hours", new."task_hours_done", new."task_progress_unestimated", new."actual_cost", round((coalesce(div(new.task_estimates * new.task_hours_done + new.task_hours * new.task_progress_unestimated, nullif(new.task_hours * new.task_count, 0)), div(new.task_progress, nullif(new.task_count, 0)), 0))::numeric, 0) AS "progress" FROM (SELECT new."labour_cost", new."order_cost", new."contract_cost", new."task_count", new."task_progress", new."task_estimates", new."task_hours", new."task_hours_done", new."task_progress_unestimated", round((new.labour_cost + new.order_cost + new.contract_cost)::numeric, 2) AS "actual_cost" FROM (SELECT t."labour_cost" AS "labour_cost",
        t."order_cost" AS "order_cost",
        t."contract_cost" + d."contract_cost" AS "contract_cost",
        t."task_count" AS "task_count",
        t."task_progress" AS "task_progress",
        t."task_estimates" AS "task_estimates",
        t."task_hours" AS "task_hours",
        t."task_hours_done" AS "task_hours_done",
        t."task_progress_unestimated" AS "task_progress_unestimated") AS new) AS new) AS f)
        FROM (SELECT k.company_id, k.id,
        sum(k."contract_cost") AS "contract_cost"
        FROM (SELECT child.company_id, child."project_id" AS id,
        -(CASE WHEN child.status <> 'terminated' THEN coalesce((child.contract_amount)::numeric, 0) ELSE 0 END) AS "contract_cost"
        FROM old_rows AS child) AS k WHERE k.id IS NOT NULL GROUP BY 1, 2
        HAVING sum(k."contract_cost") <> 0) AS d
        WHERE t.company_id = d.company_id AND t.id = d.id;
    END IF;
    RETURN NULL;
END
$sums$;
REVOKE ALL ON FUNCTION project_subcontractor_sums() FROM PUBLIC;
CREATE OR REPLACE TRIGGER sums_of_insert AFTER INSERT ON project_subcontractor REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT WHEN (current_setting('cortex.sums', true) IS DISTINCT FROM 'own') EXECUTE FUNCTION project_subcontractor_sums();
CREATE OR REPLACE TRIGGER sums_of_update AFTER UPDATE ON project_subcontractor REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT WHEN (current_setting('cortex.sums', true) IS DISTINCT FROM 'own') EXECUTE FUNCTION project_subcontractor_sums();
CREATE OR REPLACE TRIGGER sums_of_delete AFTER DELETE ON project_subcontractor REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT WHEN (current_setting('cortex.sums', true) IS DISTINCT FROM 'own') EXECUTE FUNCTION project_subcontractor_sums();
CREATE OR REPLACE FUNCTION purchase_order_sums() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $sums$
#variable_conflict use_column
BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE "project" AS t SET ("labour_cost", "order_cost", "contract_cost", "actual_cost", "task_count", "task_progress", "task_estimates", "task_hours", "task_hours_done", "task_progress_unestimated", "progress")
        = (SELECT f."labour_cost", f."order_cost", f."contract_cost", CASE WHEN f."labour_cost" + f."order_cost" + f."contract_cost" + f."task_count" + f."task_progress" + f."task_estimates" + f."task_hours" + f."task_hours_done" + f."task_progress_unestimated" IS NULL THEN t."actual_cost" ELSE f."actual_cost" END, f."task_count", f."task_progress", f."task_estimates", f."task_hours", f."task_hours_done", f."task_progress_unestimated", CASE WHEN f."labour_cost" + f."order_cost" + f."contract_cost" + f."task_count" + f."task_progress" + f."task_estimates" + f."task_hours" + f."task_hours_done" + f."task_progress_unestimated" IS NULL THEN t."progress" ELSE f."progress" END FROM (SELECT new."labour_cost", new."order_cost", new."contract_cost", new."task_count", new."task_progress", new."task_estimates", new."task_hours", new."task_hours_done", new."task_progress_unestimated", new."actual_cost", round((coalesce(div(new.task_estimates * new.task_hours_done + new.task_hours * new.task_progress_unestimated, nullif(new.task_hours * new.task_count, 0)), div(new.task_progress, nullif(new.task_count, 0)), 0))::numeric, 0) AS "progress" FROM (SELECT new."labour_cost", new."order_cost", new."contract_cost", new."task_count", new."task_progress", new."task_estimates", new."task_hours", new."task_hours_done", new."task_progress_unestimated", round((new.labour_cost + new.order_cost + new.contract_cost)::numeric, 2) AS "actual_cost" FROM (SELECT t."labour_cost" AS "labour_cost",
        t."order_cost" + d."order_cost" AS "order_cost",
        t."contract_cost" AS "contract_cost",
        t."task_count" AS "task_count",
        t."task_progress" AS "task_progress",
        t."task_estimates" AS "task_estimates",
        t."task_hours" AS "task_hours",
        t."task_hours_done" AS "task_hours_done",
        t."task_progress_unestimated" AS "task_progress_unestimated") AS new) AS new) AS f)
        FROM (SELECT k.company_id, k.id,
        sum(k."order_cost") AS "order_cost"
        FROM (SELECT child.company_id, child."project_id" AS id,
        (CASE WHEN child.status = 'received' THEN coalesce((child.total)::numeric, 0) ELSE 0 END) AS "order_cost"
        FROM new_rows AS child) AS k WHERE k.id IS NOT NULL GROUP BY 1, 2
        HAVING sum(k."order_cost") <> 0) AS d
        WHERE t.company_id = d.company_id AND t.id = d.id;
    ELSIF TG_OP = 'UPDATE' THEN
        UPDATE "project" AS t SET ("labour_cost", "order_cost", "contract_cost", "actual_cost", "task_count", "task_progress", "task_estimates", "task_hours", "task_hours_done", "task_progress_unestimated", "progress")
        = (SELECT f."labour_cost", f."order_cost", f."contract_cost", CASE WHEN f."labour_cost" + f."order_cost" + f."contract_cost" + f."task_count" + f."task_progress" + f."task_estimates" + f."task_hours" + f."task_hours_done" + f."task_progress_unestimated" IS NULL THEN t."actual_cost" ELSE f."actual_cost" END, f."task_count", f."task_progress", f."task_estimates", f."task_hours", f."task_hours_done", f."task_progress_unestimated", CASE WHEN f."labour_cost" + f."order_cost" + f."contract_cost" + f."task_count" + f."task_progress" + f."task_estimates" + f."task_hours" + f."task_hours_done" + f."task_progress_unestimated" IS NULL THEN t."progress" ELSE f."progress" END FROM (SELECT new."labour_cost", new."order_cost", new."contract_cost", new."task_count", new."task_progress", new."task_estimates", new."task_hours", new."task_hours_done", new."task_progress_unestimated", new."actual_cost", round((coalesce(div(new.task_estimates * new.task_hours_done + new.task_hours * new.task_progress_unestimated, nullif(new.task_hours * new.task_count, 0)), div(new.task_progress, nullif(new.task_count, 0)), 0))::numeric, 0) AS "progress" FROM (SELECT new."labour_cost", new."order_cost", new."contract_cost", new."task_count", new."task_progress", new."task_estimates", new."task_hours", new."task_hours_done", new."task_progress_unestimated", round((new.labour_cost + new.order_cost + new.contract_cost)::numeric, 2) AS "actual_cost" FROM (SELECT t."labour_cost" AS "labour_cost",
        t."order_cost" + d."order_cost" AS "order_cost",
        t."contract_cost" AS "contract_cost",
        t."task_count" AS "task_count",
        t."task_progress" AS "task_progress",
        t."task_estimates" AS "task_estimates",
        t."task_hours" AS "task_hours",
        t."task_hours_done" AS "task_hours_done",
        t."task_progress_unestimated" AS "task_progress_unestimated") AS new) AS new) AS f)
        FROM (SELECT k.company_id, k.id,
        sum(k."order_cost") AS "order_cost"
        FROM (SELECT child.company_id, child."project_id" AS id,
        -(CASE WHEN child.status = 'received' THEN coalesce((child.total)::numeric, 0) ELSE 0 END) AS "order_cost"
        FROM old_rows AS child
        UNION ALL SELECT child.company_id, child."project_id" AS id,
        (CASE WHEN child.status = 'received' THEN coalesce((child.total)::numeric, 0) ELSE 0 END) AS "order_cost"
        FROM new_rows AS child) AS k WHERE k.id IS NOT NULL GROUP BY 1, 2
        HAVING sum(k."order_cost") <> 0) AS d
        WHERE t.company_id = d.company_id AND t.id = d.id;
    ELSIF TG_OP = 'DELETE' THEN
        UPDATE "project" AS t SET ("labour_cost", "order_cost", "contract_cost", "actual_cost", "task_count", "task_progress", "task_estimates", "task_hours", "task_hours_done", "task_progress_unestimated", "progress")
        = (SELECT f."labour_cost", f."order_cost", f."contract_cost", CASE WHEN f."labour_cost" + f."order_cost" + f."contract_cost" + f."task_count" + f."task_progress" + f."task_estimates" + f."task_hours" + f."task_hours_done" + f."task_progress_unestimated" IS NULL THEN t."actual_cost" ELSE f."actual_cost" END, f."task_count", f."task_progress", f."task_estimates", f."task_hours", f."task_hours_done", f."task_progress_unestimated", CASE WHEN f."labour_cost" + f."order_cost" + f."contract_cost" + f."task_count" + f."task_progress" + f."task_estimates" + f."task_hours" + f."task_hours_done" + f."task_progress_unestimated" IS NULL THEN t."progress" ELSE f."progress" END FROM (SELECT new."labour_cost", new."order_cost", new."contract_cost", new."task_count", new."task_progress", new."task_estimates", new."task_hours", new."task_hours_done", new."task_progress_unestimated", new."actual_cost", round((coalesce(div(new.task_estimates * new.task_hours_done + new.task_hours * new.task_progress_unestimated, nullif(new.task_hours * new.task_count, 0)), div(new.task_progress, nullif(new.task_count, 0)), 0))::numeric, 0) AS "progress" FROM (SELECT new."labour_cost", new."order_cost", new."contract_cost", new."task_count", new."task_progress", new."task_estimates", new."task_hours", new."task_hours_done", new."task_progress_unestimated", round((new.labour_cost + new.order_cost + new.contract_cost)::numeric, 2) AS "actual_cost" FROM (SELECT t."labour_cost" AS "labour_cost",
        t."order_cost" + d."order_cost" AS "order_cost",
        t."contract_cost" AS "contract_cost",
        t."task_count" AS "task_count",
        t."task_progress" AS "task_progress",
        t."task_estimates" AS "task_estimates",
        t."task_hours" AS "task_hours",
        t."task_hours_done" AS "task_hours_done",
        t."task_progress_unestimated" AS "task_progress_unestimated") AS new) AS new) AS f)
        FROM (SELECT k.company_id, k.id,
        sum(k."order_cost") AS "order_cost"
        FROM (SELECT child.company_id, child."project_id" AS id,
        -(CASE WHEN child.status = 'received' THEN coalesce((child.total)::numeric, 0) ELSE 0 END) AS "order_cost"
        FROM old_rows AS child) AS k WHERE k.id IS NOT NULL GROUP BY 1, 2
        HAVING sum(k."order_cost") <> 0) AS d
        WHERE t.company_id = d.company_id AND t.id = d.id;
    END IF;
    RETURN NULL;
END
$sums$;
REVOKE ALL ON FUNCTION purchase_order_sums() FROM PUBLIC;
CREATE OR REPLACE TRIGGER sums_of_insert AFTER INSERT ON purchase_order REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT WHEN (current_setting('cortex.sums', true) IS DISTINCT FROM 'own') EXECUTE FUNCTION purchase_order_sums();
CREATE OR REPLACE TRIGGER sums_of_update AFTER UPDATE ON purchase_order REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT WHEN (current_setting('cortex.sums', true) IS DISTINCT FROM 'own') EXECUTE FUNCTION purchase_order_sums();
CREATE OR REPLACE TRIGGER sums_of_delete AFTER DELETE ON purchase_order REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT WHEN (current_setting('cortex.sums', true) IS DISTINCT FROM 'own') EXECUTE FUNCTION purchase_order_sums();
CREATE OR REPLACE FUNCTION purchase_order_item_sums() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $sums$
#variable_conflict use_column
BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE "purchase_order" AS t SET ("subtotal", "tax_amount", "total")
        = (SELECT f."subtotal", f."tax_amount", f."total" FROM (SELECT new."subtotal", new."tax_rate", new."tax_amount", round((new.subtotal + new.tax_amount)::numeric, 2) AS "total" FROM (SELECT new."subtotal", new."tax_rate", round((new.subtotal * new.tax_rate / 100)::numeric, 2) AS "tax_amount" FROM (SELECT t."subtotal" + d."subtotal" AS "subtotal",
        t."tax_rate" AS "tax_rate") AS new) AS new) AS f)
        FROM (SELECT k.company_id, k.id,
        sum(k."subtotal") AS "subtotal"
        FROM (SELECT child.company_id, child."purchase_order_id" AS id,
        (coalesce(round((child.amount)::numeric, 2), 0)) AS "subtotal"
        FROM new_rows AS child) AS k WHERE k.id IS NOT NULL GROUP BY 1, 2
        HAVING sum(k."subtotal") <> 0) AS d
        WHERE t.company_id = d.company_id AND t.id = d.id;
    ELSIF TG_OP = 'UPDATE' THEN
        UPDATE "purchase_order" AS t SET ("subtotal", "tax_amount", "total")
        = (SELECT f."subtotal", f."tax_amount", f."total" FROM (SELECT new."subtotal", new."tax_rate", new."tax_amount", round((new.subtotal + new.tax_amount)::numeric, 2) AS "total" FROM (SELECT new."subtotal", new."tax_rate", round((new.subtotal * new.tax_rate / 100)::numeric, 2) AS "tax_amount" FROM (SELECT t."subtotal" + d."subtotal" AS "subtotal",
        t."tax_rate" AS "tax_rate") AS new) AS new) AS f)
        FROM (SELECT k.company_id, k.id,
        sum(k."subtotal") AS "subtotal"
        FROM (SELECT child.company_id, child."purchase_order_id" AS id,
        -(coalesce(round((child.amount)::numeric, 2), 0)) AS "subtotal"
        FROM old_rows AS child
        UNION ALL SELECT child.company_id, child."purchase_order_id" AS id,
        (coalesce(round((child.amount)::numeric, 2), 0)) AS "subtotal"
        FROM new_rows AS child) AS k WHERE k.id IS NOT NULL GROUP BY 1, 2
        HAVING sum(k."subtotal") <> 0) AS d
        WHERE t.company_id = d.company_id AND t.id = d.id;
    ELSIF TG_OP = 'DELETE' THEN
        UPDATE "purchase_order" AS t SET ("subtotal", "tax_amount", "total")
        = (SELECT f."subtotal", f."tax_amount", f."total" FROM (SELECT new."subtotal", new."tax_rate", new."tax_amount", round((new.subtotal + new.tax_amount)::numeric, 2) AS "total" FROM (SELECT new."subtotal", new."tax_rate", round((new.subtotal * new.tax_rate / 100)::numeric, 2) AS "tax_amount" FROM (SELECT t."subtotal" + d."subtotal" AS "subtotal",
        t."tax_rate" AS "tax_rate") AS new) AS new) AS f)
        FROM (SELECT k.company_id, k.id,
        sum(k."subtotal") AS "subtotal"
        FROM (SELECT child.company_id, child."purchase_order_id" AS id,
        -(coalesce(round((child.amount)::numeric, 2), 0)) AS "subtotal"
        FROM old_rows AS child) AS k WHERE k.id IS NOT NULL GROUP BY 1, 2
        HAVING sum(k."subtotal") <> 0) AS d
        WHERE t.company_id = d.company_id AND t.id = d.id;
    END IF;
    RETURN NULL;
END
$sums$;
REVOKE ALL ON FUNCTION purchase_order_item_sums() FROM PUBLIC;
CREATE OR REPLACE TRIGGER sums_of_insert AFTER INSERT ON purchase_order_item REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT WHEN (current_setting('cortex.sums', true) IS DISTINCT FROM 'own') EXECUTE FUNCTION purchase_order_item_sums();
CREATE OR REPLACE TRIGGER sums_of_update AFTER UPDATE ON purchase_order_item REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT WHEN (current_setting('cortex.sums', true) IS DISTINCT FROM 'own') EXECUTE FUNCTION purchase_order_item_sums();
CREATE OR REPLACE TRIGGER sums_of_delete AFTER DELETE ON purchase_order_item REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT WHEN (current_setting('cortex.sums', true) IS DISTINCT FROM 'own') EXECUTE FUNCTION purchase_order_item_sums();
CREATE OR REPLACE FUNCTION task_sums() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $sums$
#variable_conflict use_column
BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE "project" AS t SET ("labour_cost", "order_cost", "contract_cost", "actual_cost", "task_count", "task_progress", "task_estimates", "task_hours", "task_hours_done", "task_progress_unestimated", "progress")
        = (SELECT f."labour_cost", f."order_cost", f."contract_cost", CASE WHEN f."labour_cost" + f."order_cost" + f."contract_cost" + f."task_count" + f."task_progress" + f."task_estimates" + f."task_hours" + f."task_hours_done" + f."task_progress_unestimated" IS NULL THEN t."actual_cost" ELSE f."actual_cost" END, f."task_count", f."task_progress", f."task_estimates", f."task_hours", f."task_hours_done", f."task_progress_unestimated", CASE WHEN f."labour_cost" + f."order_cost" + f."contract_cost" + f."task_count" + f."task_progress" + f."task_estimates" + f."task_hours" + f."task_hours_done" + f."task_progress_unestimated" IS NULL THEN t."progress" ELSE f."progress" END FROM (SELECT new."labour_cost", new."order_cost", new."contract_cost", new."task_count", new."task_progress", new."task_estimates", new."task_hours", new."task_hours_done", new."task_progress_unestimated", new."actual_cost", round((coalesce(div(new.task_estimates * new.task_hours_done + new.task_hours * new.task_progress_unestimated, nullif(new.task_hours * new.task_count, 0)), div(new.task_progress, nullif(new.task_count, 0)), 0))::numeric, 0) AS "progress" FROM (SELECT new."labour_cost", new."order_cost", new."contract_cost", new."task_count", new."task_progress", new."task_estimates", new."task_hours", new."task_hours_done", new."task_progress_unestimated", round((new.labour_cost + new.order_cost + new.contract_cost)::numeric, 2) AS "actual_cost" FROM (SELECT t."labour_cost" AS "labour_cost",
        t."order_cost" AS "order_cost",
        t."contract_cost" AS "contract_cost",
        t."task_count" + d."task_count" AS "task_count",
        t."task_progress" + d."task_progress" AS "task_progress",
        t."task_estimates" + d."task_estimates" AS "task_estimates",
        t."task_hours" + d."task_hours" AS "task_hours",
        t."task_hours_done" + d."task_hours_done" AS "task_hours_done",
        t."task_progress_unestimated" + d."task_progress_unestimated" AS "task_progress_unestimated") AS new) AS new) AS f)
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
        UPDATE "project" AS t SET ("labour_cost", "order_cost", "contract_cost", "actual_cost", "task_count", "task_progress", "task_estimates", "task_hours", "task_hours_done", "task_progress_unestimated", "progress")
        = (SELECT f."labour_cost", f."order_cost", f."contract_cost", CASE WHEN f."labour_cost" + f."order_cost" + f."contract_cost" + f."task_count" + f."task_progress" + f."task_estimates" + f."task_hours" + f."task_hours_done" + f."task_progress_unestimated" IS NULL THEN t."actual_cost" ELSE f."actual_cost" END, f."task_count", f."task_progress", f."task_estimates", f."task_hours", f."task_hours_done", f."task_progress_unestimated", CASE WHEN f."labour_cost" + f."order_cost" + f."contract_cost" + f."task_count" + f."task_progress" + f."task_estimates" + f."task_hours" + f."task_hours_done" + f."task_progress_unestimated" IS NULL THEN t."progress" ELSE f."progress" END FROM (SELECT new."labour_cost", new."order_cost", new."contract_cost", new."task_count", new."task_progress", new."task_estimates", new."task_hours", new."task_hours_done", new."task_progress_unestimated", new."actual_cost", round((coalesce(div(new.task_estimates * new.task_hours_done + new.task_hours * new.task_progress_unestimated, nullif(new.task_hours * new.task_count, 0)), div(new.task_progress, nullif(new.task_count, 0)), 0))::numeric, 0) AS "progress" FROM (SELECT new."labour_cost", new."order_cost", new."contract_cost", new."task_count", new."task_progress", new."task_estimates", new."task_hours", new."task_hours_done", new."task_progress_unestimated", round((new.labour_cost + new.order_cost + new.contract_cost)::numeric, 2) AS "actual_cost" FROM (SELECT t."labour_cost" AS "labour_cost",
        t."order_cost" AS "order_cost",
        t."contract_cost" AS "contract_cost",
        t."task_count" + d."task_count" AS "task_count",
        t."task_progress" + d."task_progress" AS "task_progress",
        t."task_estimates" + d."task_estimates" AS "task_estimates",
        t."task_hours" + d."task_hours" AS "task_hours",
        t."task_hours_done" + d."task_hours_done" AS "task_hours_done",
        t."task_progress_unestimated" + d."task_progress_unestimated" AS "task_progress_unestimated") AS new) AS new) AS f)
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
        UPDATE "project" AS t SET ("labour_cost", "order_cost", "contract_cost", "actual_cost", "task_count", "task_progress", "task_estimates", "task_hours", "task_hours_done", "task_progress_unestimated", "progress")
        = (SELECT f."labour_cost", f."order_cost", f."contract_cost", CASE WHEN f."labour_cost" + f."order_cost" + f."contract_cost" + f."task_count" + f."task_progress" + f."task_estimates" + f."task_hours" + f."task_hours_done" + f."task_progress_unestimated" IS NULL THEN t."actual_cost" ELSE f."actual_cost" END, f."task_count", f."task_progress", f."task_estimates", f."task_hours", f."task_hours_done", f."task_progress_unestimated", CASE WHEN f."labour_cost" + f."order_cost" + f."contract_cost" + f."task_count" + f."task_progress" + f."task_estimates" + f."task_hours" + f."task_hours_done" + f."task_progress_unestimated" IS NULL THEN t."progress" ELSE f."progress" END FROM (SELECT new."labour_cost", new."order_cost", new."contract_cost", new."task_count", new."task_progress", new."task_estimates", new."task_hours", new."task_hours_done", new."task_progress_unestimated", new."actual_cost", round((coalesce(div(new.task_estimates * new.task_hours_done + new.task_hours * new.task_progress_unestimated, nullif(new.task_hours * new.task_count, 0)), div(new.task_progress, nullif(new.task_count, 0)), 0))::numeric, 0) AS "progress" FROM (SELECT new."labour_cost", new."order_cost", new."contract_cost", new."task_count", new."task_progress", new."task_estimates", new."task_hours", new."task_hours_done", new."task_progress_unestimated", round((new.labour_cost + new.order_cost + new.contract_cost)::numeric, 2) AS "actual_cost" FROM (SELECT t."labour_cost" AS "labour_cost",
        t."order_cost" AS "order_cost",
        t."contract_cost" AS "contract_cost",
        t."task_count" + d."task_count" AS "task_count",
        t."task_progress" + d."task_progress" AS "task_progress",
        t."task_estimates" + d."task_estimates" AS "task_estimates",
        t."task_hours" + d."task_hours" AS "task_hours",
        t."task_hours_done" + d."task_hours_done" AS "task_hours_done",
        t."task_progress_unestimated" + d."task_progress_unestimated" AS "task_progress_unestimated") AS new) AS new) AS f)
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
CREATE OR REPLACE FUNCTION time_entry_sums() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $sums$
#variable_conflict use_column
BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE "project" AS t SET ("labour_cost", "order_cost", "contract_cost", "actual_cost", "task_count", "task_progress", "task_estimates", "task_hours", "task_hours_done", "task_progress_unestimated", "progress")
        = (SELECT f."labour_cost", f."order_cost", f."contract_cost", CASE WHEN f."labour_cost" + f."order_cost" + f."contract_cost" + f."task_count" + f."task_progress" + f."task_estimates" + f."task_hours" + f."task_hours_done" + f."task_progress_unestimated" IS NULL THEN t."actual_cost" ELSE f."actual_cost" END, f."task_count", f."task_progress", f."task_estimates", f."task_hours", f."task_hours_done", f."task_progress_unestimated", CASE WHEN f."labour_cost" + f."order_cost" + f."contract_cost" + f."task_count" + f."task_progress" + f."task_estimates" + f."task_hours" + f."task_hours_done" + f."task_progress_unestimated" IS NULL THEN t."progress" ELSE f."progress" END FROM (SELECT new."labour_cost", new."order_cost", new."contract_cost", new."task_count", new."task_progress", new."task_estimates", new."task_hours", new."task_hours_done", new."task_progress_unestimated", new."actual_cost", round((coalesce(div(new.task_estimates * new.task_hours_done + new.task_hours * new.task_progress_unestimated, nullif(new.task_hours * new.task_count, 0)), div(new.task_progress, nullif(new.task_count, 0)), 0))::numeric, 0) AS "progress" FROM (SELECT new."labour_cost", new."order_cost", new."contract_cost", new."task_count", new."task_progress", new."task_estimates", new."task_hours", new."task_hours_done", new."task_progress_unestimated", round((new.labour_cost + new.order_cost + new.contract_cost)::numeric, 2) AS "actual_cost" FROM (SELECT t."labour_cost" + d."labour_cost" AS "labour_cost",
        t."order_cost" AS "order_cost",
        t."contract_cost" AS "contract_cost",
        t."task_count" AS "task_count",
        t."task_progress" AS "task_progress",
        t."task_estimates" AS "task_estimates",
        t."task_hours" AS "task_hours",
        t."task_hours_done" AS "task_hours_done",
        t."task_progress_unestimated" AS "task_progress_unestimated") AS new) AS new) AS f)
        FROM (SELECT k.company_id, k.id,
        sum(k."labour_cost") AS "labour_cost"
        FROM (SELECT child.company_id, child."project_id" AS id,
        (coalesce((child.amount)::numeric, 0)) AS "labour_cost"
        FROM new_rows AS child) AS k WHERE k.id IS NOT NULL GROUP BY 1, 2
        HAVING sum(k."labour_cost") <> 0) AS d
        WHERE t.company_id = d.company_id AND t.id = d.id;
    ELSIF TG_OP = 'UPDATE' THEN
        UPDATE "project" AS t SET ("labour_cost", "order_cost", "contract_cost", "actual_cost", "task_count", "task_progress", "task_estimates", "task_hours", "task_hours_done", "task_progress_unestimated", "progress")
        = (SELECT f."labour_cost", f."order_cost", f."contract_cost", CASE WHEN f."labour_cost" + f."order_cost" + f."contract_cost" + f."task_count" + f."task_progress" + f."task_estimates" + f."task_hours" + f."task_hours_done" + f."task_progress_unestimated" IS NULL THEN t."actual_cost" ELSE f."actual_cost" END, f."task_count", f."task_progress", f."task_estimates", f."task_hours", f."task_hours_done", f."task_progress_unestimated", CASE WHEN f."labour_cost" + f."order_cost" + f."contract_cost" + f."task_count" + f."task_progress" + f."task_estimates" + f."task_hours" + f."task_hours_done" + f."task_progress_unestimated" IS NULL THEN t."progress" ELSE f."progress" END FROM (SELECT new."labour_cost", new."order_cost", new."contract_cost", new."task_count", new."task_progress", new."task_estimates", new."task_hours", new."task_hours_done", new."task_progress_unestimated", new."actual_cost", round((coalesce(div(new.task_estimates * new.task_hours_done + new.task_hours * new.task_progress_unestimated, nullif(new.task_hours * new.task_count, 0)), div(new.task_progress, nullif(new.task_count, 0)), 0))::numeric, 0) AS "progress" FROM (SELECT new."labour_cost", new."order_cost", new."contract_cost", new."task_count", new."task_progress", new."task_estimates", new."task_hours", new."task_hours_done", new."task_progress_unestimated", round((new.labour_cost + new.order_cost + new.contract_cost)::numeric, 2) AS "actual_cost" FROM (SELECT t."labour_cost" + d."labour_cost" AS "labour_cost",
        t."order_cost" AS "order_cost",
        t."contract_cost" AS "contract_cost",
        t."task_count" AS "task_count",
        t."task_progress" AS "task_progress",
        t."task_estimates" AS "task_estimates",
        t."task_hours" AS "task_hours",
        t."task_hours_done" AS "task_hours_done",
        t."task_progress_unestimated" AS "task_progress_unestimated") AS new) AS new) AS f)
        FROM (SELECT k.company_id, k.id,
        sum(k."labour_cost") AS "labour_cost"
        FROM (SELECT child.company_id, child."project_id" AS id,
        -(coalesce((child.amount)::numeric, 0)) AS "labour_cost"
        FROM old_rows AS child
        UNION ALL SELECT child.company_id, child."project_id" AS id,
        (coalesce((child.amount)::numeric, 0)) AS "labour_cost"
        FROM new_rows AS child) AS k WHERE k.id IS NOT NULL GROUP BY 1, 2
        HAVING sum(k."labour_cost") <> 0) AS d
        WHERE t.company_id = d.company_id AND t.id = d.id;
    ELSIF TG_OP = 'DELETE' THEN
        UPDATE "project" AS t SET ("labour_cost", "order_cost", "contract_cost", "actual_cost", "task_count", "task_progress", "task_estimates", "task_hours", "task_hours_done", "task_progress_unestimated", "progress")
        = (SELECT f."labour_cost", f."order_cost", f."contract_cost", CASE WHEN f."labour_cost" + f."order_cost" + f."contract_cost" + f."task_count" + f."task_progress" + f."task_estimates" + f."task_hours" + f."task_hours_done" + f."task_progress_unestimated" IS NULL THEN t."actual_cost" ELSE f."actual_cost" END, f."task_count", f."task_progress", f."task_estimates", f."task_hours", f."task_hours_done", f."task_progress_unestimated", CASE WHEN f."labour_cost" + f."order_cost" + f."contract_cost" + f."task_count" + f."task_progress" + f."task_estimates" + f."task_hours" + f."task_hours_done" + f."task_progress_unestimated" IS NULL THEN t."progress" ELSE f."progress" END FROM (SELECT new."labour_cost", new."order_cost", new."contract_cost", new."task_count", new."task_progress", new."task_estimates", new."task_hours", new."task_hours_done", new."task_progress_unestimated", new."actual_cost", round((coalesce(div(new.task_estimates * new.task_hours_done + new.task_hours * new.task_progress_unestimated, nullif(new.task_hours * new.task_count, 0)), div(new.task_progress, nullif(new.task_count, 0)), 0))::numeric, 0) AS "progress" FROM (SELECT new."labour_cost", new."order_cost", new."contract_cost", new."task_count", new."task_progress", new."task_estimates", new."task_hours", new."task_hours_done", new."task_progress_unestimated", round((new.labour_cost + new.order_cost + new.contract_cost)::numeric, 2) AS "actual_cost" FROM (SELECT t."labour_cost" + d."labour_cost" AS "labour_cost",
        t."order_cost" AS "order_cost",
        t."contract_cost" AS "contract_cost",
        t."task_count" AS "task_count",
        t."task_progress" AS "task_progress",
        t."task_estimates" AS "task_estimates",
        t."task_hours" AS "task_hours",
        t."task_hours_done" AS "task_hours_done",
        t."task_progress_unestimated" AS "task_progress_unestimated") AS new) AS new) AS f)
        FROM (SELECT k.company_id, k.id,
        sum(k."labour_cost") AS "labour_cost"
        FROM (SELECT child.company_id, child."project_id" AS id,
        -(coalesce((child.amount)::numeric, 0)) AS "labour_cost"
        FROM old_rows AS child) AS k WHERE k.id IS NOT NULL GROUP BY 1, 2
        HAVING sum(k."labour_cost") <> 0) AS d
        WHERE t.company_id = d.company_id AND t.id = d.id;
    END IF;
    RETURN NULL;
END
$sums$;
REVOKE ALL ON FUNCTION time_entry_sums() FROM PUBLIC;
CREATE OR REPLACE TRIGGER sums_of_insert AFTER INSERT ON time_entry REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT WHEN (current_setting('cortex.sums', true) IS DISTINCT FROM 'own') EXECUTE FUNCTION time_entry_sums();
CREATE OR REPLACE TRIGGER sums_of_update AFTER UPDATE ON time_entry REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT WHEN (current_setting('cortex.sums', true) IS DISTINCT FROM 'own') EXECUTE FUNCTION time_entry_sums();
CREATE OR REPLACE TRIGGER sums_of_delete AFTER DELETE ON time_entry REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT WHEN (current_setting('cortex.sums', true) IS DISTINCT FROM 'own') EXECUTE FUNCTION time_entry_sums();
