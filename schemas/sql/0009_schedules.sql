-- What comes again and again, by the clocks of a place (common/cron.h): a command of a company, or work of the system.
--
--   next_at ─ has come ─▶ claimed by one process (workers/schedules.h): next_at moves on, and in the same statement
--                           a command   becomes a row of `deferred`, with an id that follows from schedule and time
--                           the system  run_at is set, and stays until the last step of the work is done
--
-- A time is claimed by whoever finds next_at as it was read: so each has one run, whoever dies, and next_at never goes back.

CREATE TABLE schedule (
    name          text        NOT NULL PRIMARY KEY CHECK (name ~ '^[a-z0-9._-]{1,64}$'),
    id            uuid        NOT NULL DEFAULT gen_random_uuid(), -- another one under the same name is another schedule
    company_id    uuid        REFERENCES company ON DELETE CASCADE, -- NULL: work of the system
    cron          text        NOT NULL,
    timezone      text        NOT NULL DEFAULT 'UTC',
    type          text        NOT NULL,                -- of the command, or of the work (workers/system_work.def)
    -- Of a command: common/envelope.h.
    pool          text,
    slot          integer     CHECK (slot BETWEEN 0 AND 65535),
    actor         uuid,
    role          text,
    subject       uuid,
    parent        uuid,
    fingerprint   bigint,
    body          bytea,
    enabled       boolean     NOT NULL DEFAULT true,
    next_at       timestamptz,                         -- NULL: not enabled, or it never comes again
    asked_at      timestamptz,                         -- an operator wants a run now
    last_asked_at timestamptz,
    run_at        timestamptz,                         -- the time for which the system's work is being done
    step_at       timestamptz NOT NULL DEFAULT now(),  -- its next step is not before this
    last_at       timestamptz,                         -- the time that was claimed last
    last_begun_at timestamptz,                         -- when that was
    last_ended_at timestamptz,                         -- of the system's work
    last_by       text,                                -- host:pid, for operators
    last_command  uuid,
    last_error    text,                                -- slug of common/err.def: a step failed, and is tried again
    runs          bigint      NOT NULL DEFAULT 0,
    version       bigint      NOT NULL DEFAULT 1,
    changed_by    uuid,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT schedule_command_is_whole CHECK ((company_id IS NULL) = (pool IS NULL) AND (company_id IS NULL) = (slot IS NULL)
        AND (company_id IS NULL) = (actor IS NULL) AND (company_id IS NULL) = (role IS NULL)
        AND (company_id IS NULL) = (fingerprint IS NULL) AND (company_id IS NULL) = (body IS NULL))
) WITH (fillfactor = 50);
CREATE INDEX schedule_company ON schedule (company_id) WHERE company_id IS NOT NULL;

-- Retention. What is too old is a setting of the processes: CORTEX_INBOX_DAYS, CORTEX_EVENT_DAYS.
INSERT INTO schedule (name, cron, type, next_at) VALUES
    ('events.partitions', '11 * * * *', 'events.partitions', now()),
    ('events.retention', '21 * * * *', 'events.retention', now()),
    ('inbox.retention', '31 * * * *', 'inbox.retention', now());

-- Deletes up to `most` results that are older; returns how many.
CREATE FUNCTION inbox_expire(days integer, most integer) RETURNS integer
    LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
    WITH old AS (SELECT company_id, command_id FROM public.inbox WHERE at < now() - make_interval(days => days)
                 ORDER BY at LIMIT most),
    gone AS (DELETE FROM public.inbox AS x USING old
             WHERE x.company_id = old.company_id AND x.command_id = old.command_id RETURNING 1)
    SELECT count(*)::integer FROM gone
$$;

REVOKE ALL ON FUNCTION inbox_expire(integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION inbox_expire(integer, integer) TO cortex_worker;

ALTER TABLE schedule ENABLE ROW LEVEL SECURITY;

-- What became of a schedule's last command is the operators' to see.
CREATE POLICY operator ON schedule FOR SELECT TO cortex_gateway USING (current_setting('cortex.operator', true) = 'on');
CREATE POLICY operator ON inbox FOR SELECT TO cortex_gateway USING (current_setting('cortex.operator', true) = 'on');
CREATE POLICY every_company ON schedule TO cortex_worker USING (true) WITH CHECK (true);

GRANT SELECT ON schedule TO cortex_gateway;
GRANT SELECT, INSERT, UPDATE, DELETE ON schedule TO cortex_worker;
