-- The indexes of text search: trigrams, company by company (0018_text_search.sql has the conditions that they serve). They are made
-- while commands run. When making one was broken off, it is invalid; so what is there under its name is dropped first.
DROP INDEX CONCURRENTLY IF EXISTS project_text;
CREATE INDEX CONCURRENTLY project_text ON project USING gin
    ((company_id::text),
     lower(number || E'\x1f' || name || coalesce(E'\x1f' || description, '') || coalesce(E'\x1f' || address, '')) gin_trgm_ops);
DROP INDEX CONCURRENTLY IF EXISTS task_text;
CREATE INDEX CONCURRENTLY task_text ON task USING gin
    ((company_id::text), lower(title || coalesce(E'\x1f' || description, '')) gin_trgm_ops);
