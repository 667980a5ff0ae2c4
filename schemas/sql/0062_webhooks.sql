-- Outbound webhooks: where events go (webhook_endpoint), each on its way (webhook_delivery), and what came of it.
--
--   events ── feed ──▶ webhook_delivery ── workers/engine/outgoing ──▶ the receiver
--                          │    ▲
--                          └────┴─ an attempt that has failed: a row of webhook_attempt, and next_at
--
-- Whoever sends holds the lane of the endpoint (outgoing_lane). Waiting deliveries are rows with next_at.

-- ---- what workers/engine/outgoing needs, of any pool ----

-- A lane is a destination: its acts are begun by one process at a time, which holds it under a lease. Taking it counts `lease` up, and every
-- result of a holder asks for its own number. The lane of a holder whose connection has ended is free at once.
CREATE TABLE outgoing_lane (
    company_id uuid        NOT NULL REFERENCES company ON DELETE CASCADE,
    id         uuid        NOT NULL,
    pool       text        NOT NULL CHECK (pool <> ''),
    slot       integer     NOT NULL CHECK (slot BETWEEN 0 AND 65535), -- as that of `deferred`
    look_at    timestamptz,                                           -- when somebody should look what is due; NULL: nothing waits
    lease      bigint      NOT NULL DEFAULT 0,
    until      timestamptz,                                           -- of the lease; NULL: nobody holds it
    holder     bigint,                                                -- a number that the process has chosen
    backend    integer,                                               -- the process of the server that serves it
    PRIMARY KEY (company_id, id)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX outgoing_lane_look ON outgoing_lane (pool, look_at) WHERE look_at IS NOT NULL;
CREATE INDEX outgoing_lane_held ON outgoing_lane (pool, holder) WHERE holder IS NOT NULL;

ALTER TABLE outgoing_lane ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_company ON outgoing_lane TO cortex_engine USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON outgoing_lane TO cortex_engine;

-- ---- what an endpoint may say ----

-- "task.created", "task.*", "*".
CREATE FUNCTION webhook_types_are_right(types jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp
    RETURN NOT EXISTS (SELECT FROM jsonb_array_elements_text(types) AS t (name) WHERE t.name !~ '^([a-z][a-z0-9_]*\.([a-z][a-z0-9_-]*|\*)|\*)$');

-- Each is a token (RFC 9110 section 5.6.2) and a line of visible characters, and none is ours or about the connection.
CREATE FUNCTION webhook_headers_are_right(headers jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp
    RETURN NOT EXISTS (
        SELECT FROM jsonb_array_elements(headers) AS h
        WHERE h ->> 'name' !~ '^[A-Za-z0-9!#$%&''*+.^_`|~-]+$'
           OR h ->> 'value' !~ '^[\x20-\x7e]*$'
           OR lower(h ->> 'name') ~ ('^(webhook-.*|proxy-.*|sec-.*|host|content-length|content-type|content-encoding|transfer-encoding|connection'
                                     '|keep-alive|expect|upgrade|te|trailer|user-agent|accept-encoding)$'))
       AND (SELECT count(DISTINCT lower(h ->> 'name')) = count(*) FROM jsonb_array_elements(headers) AS h);

-- Whether an endpoint with these words wants the event.
CREATE FUNCTION webhook_wants(types jsonb, filters jsonb, type text, data json) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp
    RETURN (types ? '*' OR types ? type OR types ? (split_part(type, '.', 1) || '.*'))
       AND (filters = '[]' OR NOT EXISTS (
           SELECT FROM jsonb_array_elements(filters) AS f
           WHERE NOT CASE WHEN data ->> (f ->> 'field') IS NULL THEN f -> 'values' @> 'null'
                          ELSE f -> 'values' ? (data ->> (f ->> 'field')) END));

-- The same for each (endpoint, event), so that it is made once; it begins with the time, so that new rows are neighbours.
CREATE FUNCTION webhook_delivery_id(endpoint uuid, seq bigint, at timestamptz) RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp
    RETURN overlay(overlay(lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || substr(md5(endpoint || '/' || seq), 1, 20)
                           PLACING '7' FROM 13 FOR 1) PLACING '8' FROM 17 FOR 1)::uuid;

-- What is sent, octet for octet the same at every attempt.
CREATE FUNCTION webhook_body(e events, is_thin boolean) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN '{"type":' || to_json(e.type)
        || ',"timestamp":"' || time_text(e.at)
        || '","seq":' || e.seq
        || ',"id":"' || e.subject
        || '"' || coalesce(',"project":"' || e.project || '"', '')
        || ',"actor":"' || e.actor
        || '","data":' || CASE WHEN is_thin THEN '{"id":"' || e.subject || '","version":' || e.version || '}' ELSE e.data::text END
        || '}';

-- ---- tables ----

CREATE TABLE webhook_endpoint (
    company_id          uuid        NOT NULL REFERENCES company ON DELETE CASCADE,
    id                  uuid        NOT NULL,
    url                 text        NOT NULL CHECK (char_length(url) BETWEEN 1 AND 2000),
    description         text        CHECK (char_length(description) <= 2000),
    event_types         jsonb       NOT NULL DEFAULT '["*"]',
    filters             jsonb       NOT NULL DEFAULT '[]',
    body                text        NOT NULL DEFAULT 'full' CHECK (body IN ('full', 'thin')),
    headers             jsonb       NOT NULL DEFAULT '[]',
    concurrency         integer     NOT NULL DEFAULT 8 CHECK (concurrency BETWEEN 1 AND 100),
    rate                integer     CHECK (rate BETWEEN 1 AND 10000),
    ordering            text        NOT NULL DEFAULT 'none' CHECK (ordering IN ('none', 'subject', 'endpoint')),
    signature           text        NOT NULL DEFAULT 'v1' CHECK (signature IN ('v1', 'v1a')),
    status              text        NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'paused', 'disabled')),
    disabled_reason     text        CHECK (disabled_reason IN ('failing', 'gone', 'asked')),
    disabled_at         timestamptz,
    failing             integer     NOT NULL DEFAULT 0 CHECK (failing BETWEEN 0 AND 100),
    secret              text        NOT NULL CHECK (secret ~ '^[A-Za-z0-9._-]{1,32}:[A-Za-z0-9_-]+$'),
    secret_before       text        CHECK (secret_before ~ '^[A-Za-z0-9._-]{1,32}:[A-Za-z0-9_-]+$'),
    secret_before_until timestamptz,
    version             bigint      NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, id)
);
CREATE INDEX webhook_endpoint_list ON webhook_endpoint (company_id, created_at, id);
SELECT resource_rights('webhook_endpoint', '{create,update,delete}', 'webhooks');

-- How it does, apart from what it is: its version does not move with each attempt.
CREATE TABLE webhook_health (
    company_id      uuid        NOT NULL REFERENCES company ON DELETE CASCADE,
    id              uuid        NOT NULL,
    delivered       bigint      NOT NULL DEFAULT 0 CHECK (delivered >= 0),
    failures        bigint      NOT NULL DEFAULT 0 CHECK (failures >= 0),
    failures_in_row bigint      NOT NULL DEFAULT 0 CHECK (failures_in_row >= 0),
    failing_since   timestamptz,
    last_success_at timestamptz,
    last_failure_at timestamptz,
    last_error      text        CHECK (char_length(last_error) <= 300),
    public_key      text        CHECK (char_length(public_key) <= 64),
    told            integer     NOT NULL DEFAULT 0,   -- per cent of the time until it is disabled that its owner has been told of
    reason          text,                             -- why it is to be disabled
    version         bigint      NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, id),
    FOREIGN KEY (company_id, id) REFERENCES webhook_endpoint (company_id, id) ON DELETE CASCADE
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX webhook_health_list ON webhook_health (company_id, created_at, id);
SELECT resource_rights('webhook_health', '{}', 'webhooks');
SELECT table_rights('webhook_health', 'webhooks', '{SELECT,INSERT,UPDATE}');

-- A delivery outlives its endpoint, so it has no foreign key to it.
CREATE TABLE webhook_delivery (
    company_id   uuid        NOT NULL REFERENCES company ON DELETE CASCADE,
    id           uuid        NOT NULL,
    endpoint_id  uuid        NOT NULL,
    event_type   text        NOT NULL CHECK (char_length(event_type) BETWEEN 1 AND 128),
    event_seq    bigint      NOT NULL CHECK (event_seq >= 1),
    event_at     timestamptz NOT NULL,
    subject_id   uuid        NOT NULL,
    status       text        NOT NULL DEFAULT 'waiting' CHECK (status IN
        ('waiting', 'retrying', 'delivered', 'exhausted', 'failed', 'held', 'skipped', 'cancelled')),
    attempts     integer     NOT NULL DEFAULT 0 CHECK (attempts BETWEEN 0 AND 1000000),
    next_at      timestamptz,
    http_status  integer     CHECK (http_status BETWEEN 0 AND 999),
    error        text        CHECK (char_length(error) <= 300),
    took_ms      integer     CHECK (took_ms BETWEEN 0 AND 1000000),
    attempted_at timestamptz,
    version      bigint      NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    tries        integer     NOT NULL DEFAULT 0, -- of the schedule that are used up; a resend uses up none
    is_asked     boolean     NOT NULL DEFAULT false, -- somebody has asked for the next attempt: a test, a resend. When it fails, the
    resume_as    text,                               -- delivery is again what it was before,
    resume_at    timestamptz,                        -- with the time of its next attempt
    is_thin      boolean     NOT NULL DEFAULT false, -- as the endpoint was when it was made: the body stays the same
    turn         uuid,       -- deliveries with the same one go one after the other, by event_seq
    is_behind    boolean     NOT NULL DEFAULT false, -- it is due when those before it in its turn are through
    response     text,       -- of the attempt that has succeeded, which has no row of its own
    PRIMARY KEY (company_id, id)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
CREATE INDEX webhook_delivery_list ON webhook_delivery (company_id, created_at, id);
CREATE INDEX webhook_delivery_list_endpoint ON webhook_delivery (company_id, endpoint_id, created_at, id);
CREATE INDEX webhook_delivery_list_status ON webhook_delivery (company_id, status, created_at, id);
CREATE INDEX webhook_delivery_next ON webhook_delivery (company_id, endpoint_id, next_at, event_seq) WHERE next_at IS NOT NULL AND NOT is_behind;
CREATE INDEX webhook_delivery_turn ON webhook_delivery (company_id, endpoint_id, turn, event_seq) WHERE next_at IS NOT NULL AND turn IS NOT NULL;
CREATE INDEX webhook_delivery_asked ON webhook_delivery (company_id, endpoint_id) WHERE next_at IS NOT NULL AND is_asked;
CREATE INDEX webhook_delivery_expiry ON webhook_delivery ((coalesce(attempted_at, created_at))) WHERE next_at IS NULL;
SELECT resource_rights('webhook_delivery', '{}', 'webhooks');
SELECT table_rights('webhook_delivery', 'webhooks', '{SELECT,INSERT,UPDATE}');

-- An attempt that has failed. One partition a day of `at` (UTC).
CREATE TABLE webhook_attempt (
    company_id  uuid        NOT NULL,
    delivery_id uuid        NOT NULL,
    at          timestamptz NOT NULL,
    n           integer     NOT NULL CHECK (n >= 1),
    http_status integer,
    error       text,
    took_ms     integer     NOT NULL,
    response    text,        -- at most 16 KB; what is no text is replaced
    PRIMARY KEY (company_id, delivery_id, n, at)
) PARTITION BY RANGE (at);
CREATE TABLE webhook_attempt_default PARTITION OF webhook_attempt DEFAULT;
CREATE INDEX webhook_attempt_default_expiry ON webhook_attempt_default (at);
SELECT table_rights('webhook_attempt', 'webhooks', '{SELECT,INSERT}');
CREATE POLICY own_company ON webhook_attempt FOR SELECT TO cortex_gateway
    USING (company_id = nullif(current_setting('cortex.company', true), '')::uuid);
GRANT SELECT ON webhook_attempt TO cortex_gateway;

-- As events_partitions_ahead (0004_inbox_and_events.sql).
CREATE FUNCTION webhook_attempts_ahead(days integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' SET lock_timeout = '3s' AS $$
DECLARE
    day  date;
    part text;
    made integer := 0;
BEGIN
    IF days NOT BETWEEN 0 AND 366 THEN
        RAISE EXCEPTION 'days must be between 0 and 366, not %', days USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('cortex.webhook_attempts'));
    FOR day IN SELECT generate_series(current_date, current_date + days, interval '1 day') LOOP
        part := 'webhook_attempt_' || to_char(day, 'YYYYMMDD');
        CONTINUE WHEN to_regclass('public.' || part) IS NOT NULL;
        EXECUTE format('CREATE TABLE public.%I (LIKE public.webhook_attempt INCLUDING ALL)', part);
        LOCK TABLE public.webhook_attempt_default IN ACCESS EXCLUSIVE MODE;
        EXECUTE format('WITH moved AS (DELETE FROM public.webhook_attempt_default WHERE at >= $1 AND at < $2 RETURNING *)
                        INSERT INTO public.%I SELECT * FROM moved', part)
            USING day::timestamptz, (day + 1)::timestamptz;
        EXECUTE format('ALTER TABLE public.webhook_attempt ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
                       part, day::timestamptz, (day + 1)::timestamptz);
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$;

-- Drops the oldest partition that ended more than so many days ago, or deletes what is that old and lies in none; returns whether there may
-- be more. A partition that is being read is tried again later.
CREATE FUNCTION webhook_attempt_expire(days integer) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' SET lock_timeout = '100ms' AS $$
DECLARE
    keep_from timestamptz := now() - make_interval(days => greatest(days, 1));
    part      regclass;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('cortex.webhook_attempts'));
    SELECT inhrelid::regclass INTO part FROM pg_inherits
        WHERE inhparent = 'public.webhook_attempt'::regclass
          AND inhrelid::regclass::text ~ '^(public\.)?webhook_attempt_[0-9]{8}$'
          AND (to_date(right(inhrelid::regclass::text, 8), 'YYYYMMDD') + 1)::timestamptz <= keep_from
        ORDER BY right(inhrelid::regclass::text, 8) LIMIT 1;
    IF part IS NULL THEN
        RETURN public.retention_expire('webhook_attempt_default', 'at', 'true', days, 1000) = 1000;
    END IF;
    EXECUTE format('DROP TABLE %s', part);
    RETURN true;
END
$$;

-- A delivery that is over; one that was skipped has had no attempt.
CREATE FUNCTION webhook_delivery_expire(days integer, most integer) RETURNS integer
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
    RETURN public.retention_expire('webhook_delivery', 'coalesce(attempted_at, created_at)', 'next_at IS NULL', days, most);

REVOKE ALL ON FUNCTION webhook_attempts_ahead(integer), webhook_attempt_expire(integer), webhook_delivery_expire(integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION webhook_attempts_ahead(integer), webhook_attempt_expire(integer), webhook_delivery_expire(integer, integer)
    TO cortex_engine;
GRANT EXECUTE ON FUNCTION company_slot(uuid) TO cortex_webhooks;

SELECT webhook_attempts_ahead(7);
INSERT INTO schedule (name, cron, type, next_at) VALUES
    ('webhook_attempts.partitions', '7 3 * * *', 'webhook_attempts.partitions', now()),
    ('webhook_attempt.retention', '56 * * * *', 'webhook_attempt.retention', now()),
    ('webhook_delivery.retention', '26 * * * *', 'webhook_delivery.retention', now())
ON CONFLICT (name) DO NOTHING;

-- ---- what goes with an endpoint ----

-- The lane, the health, and the company's row of the feed, which begins where the company's sequence is now.
CREATE FUNCTION webhook_endpoint_made() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO public.webhook_health (company_id, id) VALUES (NEW.company_id, NEW.id);
    INSERT INTO public.outgoing_lane (company_id, id, pool, slot) VALUES (NEW.company_id, NEW.id, 'webhooks', public.company_slot(NEW.company_id));
    INSERT INTO public.feed (company_id, pool, seq)
        SELECT s.company_id, 'webhooks', s.seq FROM public.company_sequence AS s WHERE s.company_id = NEW.company_id
        ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
CREATE TRIGGER webhook_endpoint_made AFTER INSERT ON webhook_endpoint FOR EACH ROW EXECUTE FUNCTION webhook_endpoint_made();

-- Whoever holds the lane looks again: it goes on, or goes otherwise. One that is no longer disabled begins anew.
CREATE FUNCTION webhook_endpoint_changed() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE public.outgoing_lane SET look_at = now() WHERE company_id = NEW.company_id AND id = NEW.id;
    IF OLD.status = 'disabled' AND NEW.status <> 'disabled' THEN
        UPDATE public.webhook_health SET failures_in_row = 0, failing_since = NULL, told = 0, reason = NULL
            WHERE company_id = NEW.company_id AND id = NEW.id;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER webhook_endpoint_changed AFTER UPDATE ON webhook_endpoint FOR EACH ROW EXECUTE FUNCTION webhook_endpoint_changed();

-- What was still to be sent ends with its endpoint, in one transaction: without its lane nothing is sent, and a holder that is just sending
-- has lost its lease. Of very many deliveries most are marked later (webhook_delivery_sweep), since others wait for the company meanwhile.
-- The lane goes first, as everybody locks it first.
CREATE TABLE webhook_gone (
    company_id uuid NOT NULL REFERENCES company ON DELETE CASCADE,
    id         uuid NOT NULL,
    PRIMARY KEY (company_id, id)
);
SELECT table_rights('webhook_gone', 'webhooks', '{INSERT}');

-- Marks up to so many deliveries of an endpoint that is gone; returns whether there may be more.
CREATE FUNCTION webhook_cancel(company uuid, endpoint uuid, most integer) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    marked integer;
BEGIN
    UPDATE public.webhook_delivery SET status = 'cancelled', next_at = NULL, is_asked = false, version = version + 1, updated_at = now()
        WHERE ctid = ANY (ARRAY(SELECT ctid FROM public.webhook_delivery AS d
                                WHERE d.company_id = company AND d.endpoint_id = endpoint AND d.next_at IS NOT NULL LIMIT most));
    GET DIAGNOSTICS marked = ROW_COUNT;
    RETURN marked = most;
END
$$;

CREATE FUNCTION webhook_endpoint_gone() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    DELETE FROM public.outgoing_lane WHERE company_id = OLD.company_id AND id = OLD.id;
    IF public.webhook_cancel(OLD.company_id, OLD.id, 2000) THEN
        INSERT INTO public.webhook_gone VALUES (OLD.company_id, OLD.id) ON CONFLICT DO NOTHING;
    END IF;
    RETURN OLD;
END
$$;
CREATE TRIGGER webhook_endpoint_gone BEFORE DELETE ON webhook_endpoint FOR EACH ROW EXECUTE FUNCTION webhook_endpoint_gone();

CREATE FUNCTION webhook_delivery_sweep(most integer) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    gone public.webhook_gone;
BEGIN
    SELECT * INTO gone FROM public.webhook_gone LIMIT 1 FOR UPDATE SKIP LOCKED;
    IF gone.id IS NULL THEN
        RETURN false;
    END IF;
    IF NOT public.webhook_cancel(gone.company_id, gone.id, most) THEN
        DELETE FROM public.webhook_gone WHERE company_id = gone.company_id AND id = gone.id;
    END IF;
    RETURN true;
END
$$;
REVOKE ALL ON FUNCTION webhook_cancel(uuid, uuid, integer), webhook_delivery_sweep(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION webhook_cancel(uuid, uuid, integer) TO cortex_webhooks;
GRANT EXECUTE ON FUNCTION webhook_delivery_sweep(integer) TO cortex_engine;
INSERT INTO schedule (name, cron, type, next_at) VALUES ('webhook_delivery.sweep', '* * * * *', 'webhook_delivery.sweep', now())
    ON CONFLICT (name) DO NOTHING;

CREATE FUNCTION webhook_delivery_asked() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE public.outgoing_lane SET look_at = now() WHERE company_id = NEW.company_id AND id = NEW.endpoint_id;
    IF OLD.status = 'delivered' AND OLD.error IS NULL THEN -- the attempt that has succeeded gets a row, since the delivery's will be another one's
        INSERT INTO public.webhook_attempt (company_id, delivery_id, at, n, http_status, took_ms, response)
            VALUES (OLD.company_id, OLD.id, OLD.attempted_at, OLD.attempts, OLD.http_status, OLD.took_ms, OLD.response);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER webhook_delivery_asked AFTER UPDATE OF is_asked ON webhook_delivery FOR EACH ROW
    WHEN (NEW.is_asked AND NOT OLD.is_asked) EXECUTE FUNCTION webhook_delivery_asked();

REVOKE ALL ON FUNCTION webhook_delivery_asked(), webhook_endpoint_made(), webhook_endpoint_changed(), webhook_endpoint_gone() FROM PUBLIC;
