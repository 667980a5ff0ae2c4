-- The indexes of the filters with x-indexed: (company_id, id of the parent, the column, created_at, id). A list that has such a filter walks
-- along its index and reads nothing that does not match (gateway/resources/plan.c). Those of a project's status and manager_id are 0003's.
-- When making one was broken off, it is invalid; so what is there under its name is dropped first.
DROP INDEX CONCURRENTLY IF EXISTS project_list_priority;
CREATE INDEX CONCURRENTLY project_list_priority ON project (company_id, priority, created_at, id);
DROP INDEX CONCURRENTLY IF EXISTS task_list_assignee;
CREATE INDEX CONCURRENTLY task_list_assignee ON task (company_id, project_id, assignee_id, created_at, id)
    WHERE assignee_id IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS task_list_parent;
CREATE INDEX CONCURRENTLY task_list_parent ON task (company_id, project_id, parent_task_id, created_at, id)
    WHERE parent_task_id IS NOT NULL;

-- What else begins with these columns would do for a list as well, in the eyes of the planner, which then sorts all rows of a value. Nothing
-- asks for the tasks of a person in all projects any more. The foreign key of parent_task_id asks for equal ids, and that is all that a hash
-- index answers.
DROP INDEX CONCURRENTLY IF EXISTS task_parent_hash;
CREATE INDEX CONCURRENTLY task_parent_hash ON task USING hash (parent_task_id) WHERE parent_task_id IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS task_parent;
DROP INDEX CONCURRENTLY IF EXISTS task_assignee;
