-- What is computed of amounts has the decimals of the company's currency (currency_decimals, 0055): an amount in yen has none. Most amounts are
-- whole, and for these nothing is looked up.
CREATE FUNCTION money_round(company uuid, amount numeric) RETURNS numeric
    LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT CASE WHEN amount = trunc(amount) THEN amount ELSE round(amount, public.currency_decimals(company)) END
$$;

REVOKE ALL ON FUNCTION money_round(uuid, numeric) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION money_round(uuid, numeric) TO cortex_engine;

-- As in 0046: the taxes of invoices and orders are such amounts.
CREATE OR REPLACE FUNCTION invoice_item_sums() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $sums$
#variable_conflict use_column
BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE "invoice" AS t SET ("subtotal", "tax_amount", "total", "balance", "status", "paid_at", "is_overdue")
        = (SELECT f."subtotal", f."tax_amount", f."total", f."balance", f."status", f."paid_at", f."is_overdue" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."status", new."paid_at", new."tax_amount", new."total", new."balance", (new.status = 'overdue') AS "is_overdue" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."status", new."tax_amount", new."total", new."balance", (CASE WHEN new.status = 'paid' THEN coalesce(new.paid_at, now()) END) AS "paid_at" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."paid_at", new."tax_amount", new."total", new."balance", (CASE WHEN new.status IN ('sent', 'overdue') AND new.balance <= 0 THEN 'paid' ELSE new.status END) AS "status" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."status", new."paid_at", new."tax_amount", new."total", round((new.total - new.paid_amount)::numeric, 2) AS "balance" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."status", new."paid_at", new."tax_amount", round((new.subtotal + new.tax_amount)::numeric, 2) AS "total" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."status", new."paid_at", money_round(t.company_id, (new.subtotal * new.tax_rate / 100)::numeric) AS "tax_amount" FROM (SELECT t."subtotal" + d."subtotal" AS "subtotal",
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
        = (SELECT f."subtotal", f."tax_amount", f."total", f."balance", f."status", f."paid_at", f."is_overdue" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."status", new."paid_at", new."tax_amount", new."total", new."balance", (new.status = 'overdue') AS "is_overdue" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."status", new."tax_amount", new."total", new."balance", (CASE WHEN new.status = 'paid' THEN coalesce(new.paid_at, now()) END) AS "paid_at" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."paid_at", new."tax_amount", new."total", new."balance", (CASE WHEN new.status IN ('sent', 'overdue') AND new.balance <= 0 THEN 'paid' ELSE new.status END) AS "status" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."status", new."paid_at", new."tax_amount", new."total", round((new.total - new.paid_amount)::numeric, 2) AS "balance" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."status", new."paid_at", new."tax_amount", round((new.subtotal + new.tax_amount)::numeric, 2) AS "total" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."status", new."paid_at", money_round(t.company_id, (new.subtotal * new.tax_rate / 100)::numeric) AS "tax_amount" FROM (SELECT t."subtotal" + d."subtotal" AS "subtotal",
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
        = (SELECT f."subtotal", f."tax_amount", f."total", f."balance", f."status", f."paid_at", f."is_overdue" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."status", new."paid_at", new."tax_amount", new."total", new."balance", (new.status = 'overdue') AS "is_overdue" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."status", new."tax_amount", new."total", new."balance", (CASE WHEN new.status = 'paid' THEN coalesce(new.paid_at, now()) END) AS "paid_at" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."paid_at", new."tax_amount", new."total", new."balance", (CASE WHEN new.status IN ('sent', 'overdue') AND new.balance <= 0 THEN 'paid' ELSE new.status END) AS "status" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."status", new."paid_at", new."tax_amount", new."total", round((new.total - new.paid_amount)::numeric, 2) AS "balance" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."status", new."paid_at", new."tax_amount", round((new.subtotal + new.tax_amount)::numeric, 2) AS "total" FROM (SELECT new."subtotal", new."tax_rate", new."paid_amount", new."status", new."paid_at", money_round(t.company_id, (new.subtotal * new.tax_rate / 100)::numeric) AS "tax_amount" FROM (SELECT t."subtotal" + d."subtotal" AS "subtotal",
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
CREATE OR REPLACE FUNCTION purchase_order_item_sums() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $sums$
#variable_conflict use_column
BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE "purchase_order" AS t SET ("subtotal", "tax_amount", "total")
        = (SELECT f."subtotal", f."tax_amount", f."total" FROM (SELECT new."subtotal", new."tax_rate", new."tax_amount", round((new.subtotal + new.tax_amount)::numeric, 2) AS "total" FROM (SELECT new."subtotal", new."tax_rate", money_round(t.company_id, (new.subtotal * new.tax_rate / 100)::numeric) AS "tax_amount" FROM (SELECT t."subtotal" + d."subtotal" AS "subtotal",
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
        = (SELECT f."subtotal", f."tax_amount", f."total" FROM (SELECT new."subtotal", new."tax_rate", new."tax_amount", round((new.subtotal + new.tax_amount)::numeric, 2) AS "total" FROM (SELECT new."subtotal", new."tax_rate", money_round(t.company_id, (new.subtotal * new.tax_rate / 100)::numeric) AS "tax_amount" FROM (SELECT t."subtotal" + d."subtotal" AS "subtotal",
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
        = (SELECT f."subtotal", f."tax_amount", f."total" FROM (SELECT new."subtotal", new."tax_rate", new."tax_amount", round((new.subtotal + new.tax_amount)::numeric, 2) AS "total" FROM (SELECT new."subtotal", new."tax_rate", money_round(t.company_id, (new.subtotal * new.tax_rate / 100)::numeric) AS "tax_amount" FROM (SELECT t."subtotal" + d."subtotal" AS "subtotal",
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
