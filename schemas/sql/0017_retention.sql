-- What is kept for a number of days and then deleted: one function for all tables, a step at a time. Which tables these are, and for how
-- long, is in workers/engine/housekeeping/retention.def. Nothing here touches `inbox`: its key stays unique over all its rows, so a command
-- that comes again finds its result whenever it comes, and the migration costs a large inbox nothing.

-- Where the present run over a table stands. What was deleted before it is still in the index until a vacuum, and is not walked again.
CREATE TABLE retention_cursor (
    what    text        PRIMARY KEY,
    reached timestamptz NOT NULL
) WITH (fillfactor = 20);

-- Deletes up to `most` rows of the table `what`, the oldest first, whose `at` (an expression that an index begins with) is more than so
-- many days ago and for which `condition` holds; returns how many. With the rights of whoever calls it. The rows are found by the index and
-- deleted by their place: no other index is looked at.
CREATE FUNCTION retention_expire(what text, at text, condition text, days integer, most integer) RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp SET enable_seqscan = off AS $$
DECLARE
    from_at timestamptz := coalesce((SELECT c.reached FROM public.retention_cursor AS c WHERE c.what = retention_expire.what), '-infinity');
    last_at timestamptz;
    gone    integer;
BEGIN
    EXECUTE format('WITH gone AS (DELETE FROM public.%1$I WHERE ctid = ANY (ARRAY('
                   '  SELECT ctid FROM public.%1$I WHERE %2$s >= $1 AND %2$s < now() - make_interval(days => $2) AND %3$s'
                   '  ORDER BY %2$s LIMIT $3)) RETURNING %2$s AS at)'
                   ' SELECT count(*), max(at) FROM gone', what, at, condition)
        INTO gone, last_at USING from_at, days, most;
    -- A run that has found everything leaves the next one to begin at the beginning.
    INSERT INTO public.retention_cursor AS c VALUES (what, CASE WHEN gone < most THEN '-infinity' ELSE last_at END)
        ON CONFLICT ON CONSTRAINT retention_cursor_pkey DO UPDATE SET reached = EXCLUDED.reached WHERE c.reached <> EXCLUDED.reached;
    RETURN gone;
END
$$;

-- Workers of the version before call this one.
CREATE OR REPLACE FUNCTION inbox_expire(days integer, most integer) RETURNS integer
    LANGUAGE sql SET search_path = pg_catalog, public, pg_temp
    RETURN public.retention_expire('inbox', 'at', 'true', days, most);

-- Drops the oldest partition of `events` that ended more than so many days ago; returns whether there was one. It does not ask what is left
-- of `inbox`, which may be behind: the caller keeps events for at least as long as results. Whoever reads `events` for long holds the drop
-- up, and everybody waits behind the drop: so it gives up soon and is tried again. (events_drop_before is of the version before.)
CREATE FUNCTION events_expire(days integer) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
    SET timezone = 'UTC'
    SET lock_timeout = '100ms' AS $$
DECLARE
    keep_from timestamptz := now() - make_interval(days => greatest(days, 1));
    part      regclass;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('cortex.events_partitions'));
    SELECT inhrelid::regclass INTO part FROM pg_inherits
        WHERE inhparent = 'public.events'::regclass
          AND inhrelid::regclass::text ~ '^(public\.)?events_[0-9]{8}$'
          AND (to_date(right(inhrelid::regclass::text, 8), 'YYYYMMDD') + 1)::timestamptz <= keep_from
        ORDER BY right(inhrelid::regclass::text, 8) LIMIT 1;
    IF part IS NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('DROP TABLE %s', part);
    RETURN true;
END
$$;

REVOKE ALL ON FUNCTION retention_expire(text, text, text, integer, integer), events_expire(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION retention_expire(text, text, text, integer, integer), events_expire(integer) TO cortex_worker;

-- The walks, by time.
CREATE INDEX export_expiry ON export ((greatest(ended_at, expires_at))) WHERE ended_at IS NOT NULL;
CREATE INDEX long_job_expiry ON long_job (ended_at) WHERE due_at IS NULL;
CREATE INDEX dead_letter_expiry ON dead_letter (last_at) WHERE NOT is_replaying;
-- Rows for which no partition was there in time; those of days to come move into theirs (events_partitions_ahead).
CREATE INDEX events_default_expiry ON events_default (at);
GRANT SELECT, DELETE ON events_default TO cortex_worker;

INSERT INTO schedule (name, cron, type, next_at) VALUES
    ('export.retention', '36 * * * *', 'export.retention', now()),
    ('long_job.retention', '41 * * * *', 'long_job.retention', now()),
    ('dead_letter.retention', '46 * * * *', 'dead_letter.retention', now()),
    ('events_default.retention', '51 * * * *', 'events_default.retention', now())
ON CONFLICT (name) DO NOTHING;

ALTER TABLE retention_cursor ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_company ON retention_cursor TO cortex_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON retention_cursor TO cortex_worker;
