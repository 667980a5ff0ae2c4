-- How events reach a pool that does not cause them: it reads `events` behind a cursor of its own (workers/engine/feed/).

-- A row for each company that a pool cares for. Of events up to `seq` everything that follows from them in this pool is written: the row
-- moves in the transaction that writes it. Whoever makes the row holds the company's sequence, and begins there.
CREATE TABLE feed (
    company_id uuid        NOT NULL REFERENCES company ON DELETE CASCADE,
    pool       text        NOT NULL CHECK (pool <> ''),
    seq        bigint      NOT NULL CHECK (seq >= 0),
    dropped    bigint      NOT NULL DEFAULT 0 CHECK (dropped >= 0), -- events that were passed over: they were too old, or gone
    dropped_at timestamptz, -- when that last happened
    PRIMARY KEY (company_id, pool)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

ALTER TABLE feed ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_company ON feed TO cortex_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON feed TO cortex_worker;

-- Whether a feed has still to pass this event.
CREATE FUNCTION feed_needs(company uuid, event bigint) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp
    RETURN EXISTS (SELECT FROM public.feed AS f WHERE f.company_id = company AND f.seq < event);

-- Passes over events that happened more than so many days ago and that a feed has not passed; returns of how many companies and pools,
-- at most `most`. Everything up to the last of them counts as dropped.
CREATE FUNCTION feed_give_up(days integer, most integer) RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp SET enable_seqscan = off AS $$
DECLARE
    given_up integer;
BEGIN
    WITH behind AS MATERIALIZED (
        SELECT f.company_id, f.pool, f.seq, o.seq AS last
        FROM public.feed AS f
        JOIN public.company_sequence AS s ON s.company_id = f.company_id AND s.seq > f.seq
        CROSS JOIN LATERAL (
            SELECT max(e.seq) AS seq FROM public.events AS e
            WHERE e.company_id = f.company_id AND e.seq > f.seq AND e.at < now() - make_interval(days => days)) AS o
        WHERE o.seq IS NOT NULL
        LIMIT most
        FOR UPDATE OF f SKIP LOCKED)
    UPDATE public.feed AS f SET seq = b.last, dropped = f.dropped + (b.last - f.seq), dropped_at = now()
        FROM behind AS b WHERE f.company_id = b.company_id AND f.pool = b.pool AND f.seq = b.seq;
    GET DIAGNOSTICS given_up = ROW_COUNT;
    RETURN given_up;
END
$$;

-- As it was (0017_retention.sql), but a partition with an event that a feed has still to pass stays. The others that are old enough do not
-- wait for it.
CREATE OR REPLACE FUNCTION events_expire(days integer) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
    SET timezone = 'UTC'
    SET lock_timeout = '100ms'
    SET enable_seqscan = off AS $$
DECLARE
    keep_from timestamptz := now() - make_interval(days => greatest(days, 1));
    part      regclass;
    is_needed boolean;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('cortex.events_partitions'));
    FOR part IN
        SELECT inhrelid::regclass FROM pg_inherits
        WHERE inhparent = 'public.events'::regclass
          AND inhrelid::regclass::text ~ '^(public\.)?events_[0-9]{8}$'
          AND (to_date(right(inhrelid::regclass::text, 8), 'YYYYMMDD') + 1)::timestamptz <= keep_from
        ORDER BY right(inhrelid::regclass::text, 8)
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM public.feed AS f'
                       ' JOIN public.company_sequence AS s ON s.company_id = f.company_id AND s.seq > f.seq'
                       ' WHERE EXISTS (SELECT FROM %s AS e WHERE e.company_id = f.company_id AND e.seq > f.seq))', part)
            INTO is_needed;
        CONTINUE WHEN is_needed;
        EXECUTE format('DROP TABLE %s', part);
        RETURN true;
    END LOOP;
    RETURN false;
END
$$;

-- What operators are shown of a pool's feed; NULL when no company is in it. `behind` and `dropped` are events.
CREATE FUNCTION feed_view(shown text) RETURNS json
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
    RETURN (
        SELECT json_build_object(
            'companies', count(*),
            'behind', sum(greatest(s.seq - f.seq, 0)),
            'dropped', sum(f.dropped),
            'dropped_of', (
                SELECT coalesce(json_agg(json_build_object('company', d.company_id, 'events', d.dropped, 'at', time_text(d.dropped_at))), '[]')
                FROM (SELECT * FROM public.feed AS g WHERE g.pool = shown AND g.dropped > 0
                      ORDER BY g.dropped_at DESC, g.company_id LIMIT 20) AS d))
        FROM public.feed AS f
        JOIN public.company_sequence AS s ON s.company_id = f.company_id
        WHERE f.pool = shown AND current_setting('cortex.operator', true) = 'on'
        HAVING count(*) > 0);

REVOKE ALL ON FUNCTION feed_needs(uuid, bigint), feed_give_up(integer, integer), feed_view(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION feed_needs(uuid, bigint), feed_give_up(integer, integer) TO cortex_worker;
GRANT EXECUTE ON FUNCTION feed_view(text) TO cortex_gateway;

INSERT INTO schedule (name, cron, type, next_at) VALUES ('feed.give_up', '2 * * * *', 'feed.give_up', now()) ON CONFLICT (name) DO NOTHING;
