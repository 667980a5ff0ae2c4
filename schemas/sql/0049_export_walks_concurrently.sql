-- An export walks over the entities of a company in the order of their creation, whatever they belong to. When making an index was broken off,
-- it is invalid; so what is there under its name is dropped first.
DROP INDEX CONCURRENTLY IF EXISTS project_member_walk;
CREATE INDEX CONCURRENTLY project_member_walk ON project_member (company_id, created_at, id);
DROP INDEX CONCURRENTLY IF EXISTS milestone_walk;
CREATE INDEX CONCURRENTLY milestone_walk ON milestone (company_id, created_at, id);
DROP INDEX CONCURRENTLY IF EXISTS rfi_walk;
CREATE INDEX CONCURRENTLY rfi_walk ON rfi (company_id, created_at, id);
DROP INDEX CONCURRENTLY IF EXISTS time_entry_walk;
CREATE INDEX CONCURRENTLY time_entry_walk ON time_entry (company_id, created_at, id);
DROP INDEX CONCURRENTLY IF EXISTS invoice_item_walk;
CREATE INDEX CONCURRENTLY invoice_item_walk ON invoice_item (company_id, created_at, id);
DROP INDEX CONCURRENTLY IF EXISTS project_subcontractor_walk;
CREATE INDEX CONCURRENTLY project_subcontractor_walk ON project_subcontractor (company_id, created_at, id);
DROP INDEX CONCURRENTLY IF EXISTS purchase_order_item_walk;
CREATE INDEX CONCURRENTLY purchase_order_item_walk ON purchase_order_item (company_id, created_at, id);
DROP INDEX CONCURRENTLY IF EXISTS comment_walk;
CREATE INDEX CONCURRENTLY comment_walk ON comment (company_id, created_at, id);
