-- What has been done: the result of each command (inbox) and the events that followed from it.

-- One row a command, written in the transaction of its effect: a command that comes again finds its result here.
-- A success is rebuilt from its event (seq, at), so that the entity is stored once; a refusal keeps its JSON.
CREATE TABLE inbox (
    company_id  uuid        NOT NULL,
    command_id  uuid        NOT NULL,
    fingerprint bigint      NOT NULL, -- the 64 bits of the command's fingerprint, as a signed number
    status      text        NOT NULL, -- slug of common/err.def: 'ok', 'illegal-transition', …
    http_status smallint    NOT NULL CHECK (http_status BETWEEN 200 AND 599),
    seq         bigint,
    refusal     json,                 -- {"detail":…,"errors":[…]}
    at          timestamptz NOT NULL, -- equal to the event's: its partition
    PRIMARY KEY (company_id, command_id),
    CONSTRAINT inbox_success_has_event CHECK ((status = 'ok') = (seq IS NOT NULL))
);
CREATE INDEX inbox_expiry ON inbox (at);

-- Without gaps and in order of commit for each company (company_sequence). One partition a day of `at` (UTC), so that old
-- ones are dropped, not deleted.
CREATE TABLE events (
    company_id uuid        NOT NULL,
    seq        bigint      NOT NULL CHECK (seq >= 1),
    at         timestamptz NOT NULL,
    command_id uuid        NOT NULL,
    type       text        NOT NULL, -- 'project.created'
    subject    uuid        NOT NULL, -- the entity
    project    uuid,                 -- whose channel sees it too
    actor      uuid        NOT NULL,
    version    bigint      NOT NULL, -- of the entity after it
    data       json        NOT NULL, -- the entity after it, byte for byte as clients were shown it
    PRIMARY KEY (company_id, seq, at)
) PARTITION BY RANGE (at);

-- Takes what no other partition does, so that a clock or a missed run of events_partitions_ahead loses nothing.
CREATE TABLE events_default PARTITION OF events DEFAULT;

-- Makes the partition of each day from today through `days` ahead; returns how many were missing.
CREATE FUNCTION events_partitions_ahead(days integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
    SET timezone = 'UTC'
    SET lock_timeout = '3s' AS $$
DECLARE
    today   date := current_date;
    day     date;
    part    text;
    made    integer := 0;
BEGIN
    IF days NOT BETWEEN 0 AND 366 THEN
        RAISE EXCEPTION 'days must be between 0 and 366, not %', days USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('cortex.events_partitions'));
    FOR day IN SELECT generate_series(today, today + days, interval '1 day') LOOP
        part := 'events_' || to_char(day, 'YYYYMMDD');
        CONTINUE WHEN to_regclass('public.' || part) IS NOT NULL;
        EXECUTE format('CREATE TABLE public.%I (LIKE public.events INCLUDING ALL)', part);
        -- Rows of that day may already be in the default partition. Nobody adds to it until we have attached.
        LOCK TABLE public.events_default IN ACCESS EXCLUSIVE MODE;
        EXECUTE format('WITH moved AS (DELETE FROM public.events_default WHERE at >= $1 AND at < $2 RETURNING *)
                        INSERT INTO public.%I SELECT * FROM moved', part)
            USING day::timestamptz, (day + 1)::timestamptz;
        EXECUTE format('ALTER TABLE public.events ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
                       part, day::timestamptz, (day + 1)::timestamptz);
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$;

-- Drops the partitions that end before `cutoff`, but none that an inbox row still needs, and none younger than a day.
-- Returns how many went.
CREATE FUNCTION events_drop_before(cutoff timestamptz) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
    SET timezone = 'UTC'
    SET lock_timeout = '3s' AS $$
DECLARE
    keep_from timestamptz := least(cutoff, now() - interval '1 day',
                                   (SELECT min(at) FROM public.inbox WHERE seq IS NOT NULL));
    part      regclass;
    dropped   integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('cortex.events_partitions'));
    FOR part IN
        SELECT inhrelid::regclass FROM pg_inherits
        WHERE inhparent = 'public.events'::regclass
          AND inhrelid::regclass::text ~ '^(public\.)?events_[0-9]{8}$'
          AND (to_date(right(inhrelid::regclass::text, 8), 'YYYYMMDD') + 1)::timestamptz <= keep_from
        ORDER BY 1
    LOOP
        EXECUTE format('DROP TABLE %s', part);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END
$$;

REVOKE ALL ON FUNCTION events_partitions_ahead(integer), events_drop_before(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION events_partitions_ahead(integer), events_drop_before(timestamptz) TO cortex_worker;

ALTER TABLE inbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE events ENABLE ROW LEVEL SECURITY;

CREATE POLICY own_company ON inbox FOR SELECT TO cortex_gateway
    USING (company_id = nullif(current_setting('cortex.company', true), '')::uuid);
CREATE POLICY own_company ON events FOR SELECT TO cortex_gateway
    USING (company_id = nullif(current_setting('cortex.company', true), '')::uuid);
CREATE POLICY every_company ON inbox TO cortex_worker USING (true) WITH CHECK (true);
CREATE POLICY every_company ON events TO cortex_worker USING (true) WITH CHECK (true);

GRANT SELECT ON inbox, events TO cortex_gateway;
GRANT SELECT, INSERT, DELETE ON inbox TO cortex_worker;
GRANT SELECT, INSERT ON events TO cortex_worker; -- an event is never changed

SELECT events_partitions_ahead(7);
