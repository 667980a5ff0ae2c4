-- The indexes of 0019. Nobody searches by them any more (0025_text_blocks.sql).
DROP INDEX CONCURRENTLY IF EXISTS project_text;
DROP INDEX CONCURRENTLY IF EXISTS task_text;
