-- The indexes of more fields with x-sort, as in 0044. Lists are sorted by money along a column of cents: the comparisons of numeric are not
-- leakproof, so row-level security keeps them from every index. Such a column makes its table be written anew, once.
ALTER TABLE purchase_order ADD COLUMN IF NOT EXISTS total_cents bigint GENERATED ALWAYS AS ((total * 100)::bigint) STORED;
ALTER TABLE project_subcontractor
    ADD COLUMN IF NOT EXISTS contract_amount_cents bigint GENERATED ALWAYS AS ((contract_amount * 100)::bigint) STORED;

DROP INDEX CONCURRENTLY IF EXISTS client_sort_name;
CREATE INDEX CONCURRENTLY client_sort_name ON client (company_id, name, id);

DROP INDEX CONCURRENTLY IF EXISTS subcontractor_sort_name;
CREATE INDEX CONCURRENTLY subcontractor_sort_name ON subcontractor (company_id, name, id);

DROP INDEX CONCURRENTLY IF EXISTS milestone_sort_due_date;
CREATE INDEX CONCURRENTLY milestone_sort_due_date ON milestone (company_id, project_id, due_date, id);

DROP INDEX CONCURRENTLY IF EXISTS rfi_sort_due_date;
CREATE INDEX CONCURRENTLY rfi_sort_due_date ON rfi (company_id, project_id, due_date, id);

DROP INDEX CONCURRENTLY IF EXISTS document_sort_name;
CREATE INDEX CONCURRENTLY document_sort_name ON document (company_id, name, id);

DROP INDEX CONCURRENTLY IF EXISTS time_entry_sort_worked_on;
CREATE INDEX CONCURRENTLY time_entry_sort_worked_on ON time_entry (company_id, project_id, worked_on, id);

DROP INDEX CONCURRENTLY IF EXISTS purchase_order_sort_total;
CREATE INDEX CONCURRENTLY purchase_order_sort_total ON purchase_order (company_id, total_cents, id);

DROP INDEX CONCURRENTLY IF EXISTS project_subcontractor_sort_contract_amount;
CREATE INDEX CONCURRENTLY project_subcontractor_sort_contract_amount ON project_subcontractor (company_id, project_id, contract_amount_cents, id);
