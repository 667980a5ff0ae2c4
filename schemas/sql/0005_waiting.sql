-- Commands that wait outside the broker (deferred), those that nobody runs any more (dead_letter), and what a worker leaves
-- behind if a command ends it (mark).
--
--   delivery ─▶ run ─▶ inbox (result)
--      │         │ tries used up
--      ├─ turn ──┼─ retry ──▶ deferred ── due, in its turn ──▶ run …
--      └─ schedule            ▲
--                └─ given up ─┼─▶ dead_letter ─ dropped ─▶ gone
--                             └──── replayed ─────┘
--
-- A row of `deferred` is run and deleted in one transaction, under the lock of its company's sequence. So a command has its
-- result in `inbox`, or waits here, and never both.

CREATE TABLE deferred (
    company_id     uuid        NOT NULL,
    command_id     uuid        NOT NULL,
    pool           text        NOT NULL,
    slot           integer     NOT NULL CHECK (slot BETWEEN 0 AND 65535), -- hash of the company (common/topology.h): its
                                                                          -- partition is slot % CORTEX_PARTITIONS
    place          bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,     -- the order of `turn`
    reason         text        NOT NULL CHECK (reason IN
        ('turn',        -- its company has much waiting: in the order of place, as soon as can be
         'retry',       -- it failed, or an operator replays it: not before due_at
         'schedule')),  -- it was sent for a later time: not before due_at
    due_at         timestamptz NOT NULL DEFAULT now(),
    attempts       integer     NOT NULL DEFAULT 0 CHECK (attempts >= 0), -- runs that failed
    error          text,                                                 -- slug of the last failure
    first_at       timestamptz NOT NULL DEFAULT now(),                   -- when it was first seen
    last_at        timestamptz NOT NULL DEFAULT now(),                   -- when it was last put here
    is_replay      boolean     NOT NULL DEFAULT false,                   -- it has a row in dead_letter
    -- The command: common/envelope.h.
    type           text        NOT NULL CHECK (type <> ''),
    actor          uuid        NOT NULL,
    role           text        NOT NULL CHECK (role <> ''),
    subject        uuid,
    parent         uuid,
    if_match       bigint      NOT NULL DEFAULT 0,
    fingerprint    bigint      NOT NULL,
    sent           bigint      NOT NULL DEFAULT 0, -- seconds since 1970
    correlation_id text,
    reply_to       text,
    traceparent    text,
    body           bytea       NOT NULL,
    PRIMARY KEY (company_id, command_id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- The next ones of a company; and, by jumping from company to company, which companies there are.
CREATE INDEX deferred_turn ON deferred (pool, company_id, place) WHERE reason = 'turn';
CREATE INDEX deferred_due ON deferred (pool, due_at) WHERE reason <> 'turn';

CREATE TABLE dead_letter (
    id             uuid        NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY,
    pool           text        NOT NULL,
    company_id     uuid,                        -- this and command_id: NULL when the message could not be read
    command_id     uuid,
    slot           integer     CHECK (slot BETWEEN 0 AND 65535),
    reason         text        NOT NULL,        -- slug of common/err.def, or the broker's word: delivery_limit, rejected, …
    detail         text,                        -- for operators
    attempts       integer     NOT NULL DEFAULT 0,
    first_at       timestamptz NOT NULL DEFAULT now(),
    last_at        timestamptz NOT NULL DEFAULT now(),
    replays        integer     NOT NULL DEFAULT 0,
    is_replaying   boolean     NOT NULL DEFAULT false, -- it waits in `deferred`, or runs; its success deletes this row
    history        jsonb       NOT NULL DEFAULT '[]',  -- of the deaths before: [{"at", "reason", "detail", "attempts"}]
    -- What is known of the command.
    type           text,
    actor          uuid,
    role           text,
    subject        uuid,
    parent         uuid,
    if_match       bigint      NOT NULL DEFAULT 0,
    fingerprint    bigint,
    sent           bigint      NOT NULL DEFAULT 0,
    correlation_id text,
    reply_to       text,
    traceparent    text,
    body           bytea       NOT NULL,
    -- A replay that fails again finds its row. (NULLs are distinct: what cannot be read is told apart by its id.)
    CONSTRAINT dead_letter_command UNIQUE (pool, company_id, command_id)
);
CREATE INDEX dead_letter_list ON dead_letter (pool, last_at, id);
CREATE INDEX dead_letter_type ON dead_letter (pool, type, last_at, id);

-- What a worker has begun and not ended. A row that still stands when its command comes again means that a process ended
-- in between; `alone` counts the runs in which the command had the process for itself. After a crash of PostgreSQL the
-- table is empty, and all are innocent again.
CREATE UNLOGGED TABLE mark (
    company_id uuid        NOT NULL,
    command_id uuid        NOT NULL,
    alone      integer     NOT NULL DEFAULT 0,
    at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, command_id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- Is it the server that is in trouble (disk full, read-only, …) or one command? Writes a quarter of a megabyte that nobody
-- reads, in a new file each time.
CREATE TABLE probe (filler text NOT NULL);
ALTER TABLE probe ALTER COLUMN filler SET STORAGE EXTERNAL;

CREATE FUNCTION probe_write() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
    SET lock_timeout = '1s' AS $$
BEGIN
    TRUNCATE public.probe;
    INSERT INTO public.probe SELECT repeat('.', 8000) FROM generate_series(1, 32);
END
$$;

-- Puts dead letters that could be read back to work, at once. Whoever asks twice changes nothing more: what is being
-- replayed is left alone. Returns how many.
CREATE FUNCTION dead_letter_replay(ids uuid[]) RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    moved integer;
BEGIN
    -- In the order in which batches lock them.
    PERFORM FROM public.company_sequence
        WHERE company_id IN (SELECT company_id FROM public.dead_letter WHERE id = ANY (ids))
        ORDER BY company_id FOR UPDATE;
    WITH letter AS (
        UPDATE public.dead_letter SET is_replaying = true, replays = replays + 1
        WHERE id = ANY (ids) AND NOT is_replaying AND command_id IS NOT NULL AND fingerprint IS NOT NULL
        RETURNING *
    ), verdict AS (
        DELETE FROM public.inbox AS x USING letter AS l
        WHERE x.company_id = l.company_id AND x.command_id = l.command_id AND x.http_status >= 500
    )
    INSERT INTO public.deferred AS d (company_id, command_id, pool, slot, reason, first_at, is_replay, type, actor, role,
        subject, parent, if_match, fingerprint, sent, correlation_id, reply_to, traceparent, body)
    SELECT company_id, command_id, pool, slot, 'retry', first_at, true, type, actor, role, subject, parent, if_match,
        fingerprint, sent, correlation_id, reply_to, traceparent, body
    FROM letter ORDER BY last_at, id
    ON CONFLICT (company_id, command_id) DO UPDATE SET is_replay = true;
    GET DIAGNOSTICS moved = ROW_COUNT;
    RETURN moved;
END
$$;

-- Forgets dead letters; those that are being replayed stay. The commands keep their results. Returns how many.
CREATE FUNCTION dead_letter_drop(ids uuid[]) RETURNS integer
    LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
    WITH dropped AS (DELETE FROM public.dead_letter WHERE id = ANY (ids) AND NOT is_replaying RETURNING id)
    SELECT count(*)::integer FROM dropped
$$;

REVOKE ALL ON FUNCTION probe_write(), dead_letter_replay(uuid[]), dead_letter_drop(uuid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION probe_write(), dead_letter_replay(uuid[]), dead_letter_drop(uuid[]) TO cortex_worker;

ALTER TABLE deferred ENABLE ROW LEVEL SECURITY;
ALTER TABLE dead_letter ENABLE ROW LEVEL SECURITY;
ALTER TABLE mark ENABLE ROW LEVEL SECURITY;
ALTER TABLE probe ENABLE ROW LEVEL SECURITY;

-- A company sees its own operations wait; dead letters are the operators'.
CREATE POLICY own_company ON deferred FOR SELECT TO cortex_gateway
    USING (company_id = nullif(current_setting('cortex.company', true), '')::uuid);
CREATE POLICY operator ON deferred FOR SELECT TO cortex_gateway
    USING (current_setting('cortex.operator', true) = 'on');
CREATE POLICY operator ON dead_letter FOR SELECT TO cortex_gateway
    USING (current_setting('cortex.operator', true) = 'on');
CREATE POLICY every_company ON deferred TO cortex_worker USING (true) WITH CHECK (true);
CREATE POLICY every_company ON dead_letter TO cortex_worker USING (true) WITH CHECK (true);
CREATE POLICY every_company ON mark TO cortex_worker USING (true) WITH CHECK (true);

GRANT SELECT ON deferred, dead_letter TO cortex_gateway;
GRANT SELECT, INSERT, UPDATE, DELETE ON deferred, dead_letter, mark TO cortex_worker;
