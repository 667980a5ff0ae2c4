-- The indexes of the fields with x-sort: (company_id, id of the parent, the column, id). A list that is sorted by such a field walks along its
-- index, in either direction (gateway/resources/list_sql.c). When making one was broken off, it is invalid; so what is there under its name
-- is dropped first.
DROP INDEX CONCURRENTLY IF EXISTS project_sort_name;
CREATE INDEX CONCURRENTLY project_sort_name ON project (company_id, name, id);
DROP INDEX CONCURRENTLY IF EXISTS task_sort_due_date;
CREATE INDEX CONCURRENTLY task_sort_due_date ON task (company_id, project_id, due_date, id);

-- A table has eight indexes at most. That of the priority gives way: it has four values, which do not lead to few rows. Such a list is read in
-- bounded steps like any other.
DROP INDEX CONCURRENTLY IF EXISTS project_list_priority;
