-- The list of dead letters over all pools goes along the times, and looks at a bounded number of rows (gateway/operator/dead_letters.c).
-- When making it was broken off, it is invalid; so what is there under its name is dropped first.
DROP INDEX CONCURRENTLY IF EXISTS dead_letter_at;
CREATE INDEX CONCURRENTLY dead_letter_at ON dead_letter (last_at, id);
