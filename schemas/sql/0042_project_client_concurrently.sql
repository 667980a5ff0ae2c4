-- The index of the filter, which also serves the foreign key. When making it was broken off, it is invalid; so what is there is dropped first.
DROP INDEX CONCURRENTLY IF EXISTS project_list_client_id;
CREATE INDEX CONCURRENTLY project_list_client_id ON project (company_id, client_id, created_at, id) WHERE client_id IS NOT NULL;
