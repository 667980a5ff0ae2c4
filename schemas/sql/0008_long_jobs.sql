-- Long jobs: work that a command asks for and that takes longer than a batch may. A job is a row with a lease, never a
-- delivery that is held, so no time limit of the broker touches it.
--
--   pending ── started ──▶ running ⇄ (a step: one transaction with its results, the cursor, the progress)
--      │                      │
--      └──── cancelled ◀──────┼──▶ completed
--                             └──▶ failed
--
-- Any worker of the pool takes a job whose time (due_at) has come: a new one, or one whose holder has not renewed its lease. Taking
-- it counts `lease` up, and every write of a holder asks for its own number: who has lost the job writes nothing more.
-- A change of status is an event of the company, written under the lock of its sequence and before the row of the job:
-- sequence, then job, then entity is the order in which everybody locks. `event_seq` above `told_seq`: that event may not have
-- been published; whoever holds the job publishes it.

CREATE TABLE long_job (
    company_id   uuid        NOT NULL,
    id           uuid        NOT NULL,                     -- of the command that asked for it, and of the entity it works for
    pool         text        NOT NULL,
    kind         text        NOT NULL CHECK (kind <> ''),  -- what its steps are: workers/long_job_kinds.c
    actor        uuid        NOT NULL,
    status       text        NOT NULL DEFAULT 'pending' CHECK (status IN
        ('pending', 'running', 'completed', 'failed', 'cancelled')),
    cancel_asked boolean     NOT NULL DEFAULT false,
    error        text,                                     -- slug of common/err.def
    due_at       timestamptz DEFAULT now(),                -- when it may be taken; NULL: there is nothing left to do
    lease        bigint      NOT NULL DEFAULT 0,           -- counts its holders
    holder       text,                                     -- the last of them, for operators: host:pid
    attempts     integer     NOT NULL DEFAULT 0,           -- takings and failures since the last step that went well
    total        bigint      NOT NULL DEFAULT 0 CHECK (total >= 0), -- to do, as counted when it began
    done         bigint      NOT NULL DEFAULT 0 CHECK (done >= 0),
    after_at     timestamptz NOT NULL DEFAULT '-infinity', -- the cursor: (created_at, id) of the last one done
    after_id     uuid        NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    rows         bigint      NOT NULL DEFAULT 0,           -- of its result, with `bytes` and in so many `pieces`
    bytes        bigint      NOT NULL DEFAULT 0,
    pieces       integer     NOT NULL DEFAULT 0,
    event_seq    bigint      NOT NULL DEFAULT 0,           -- of the last change of status
    event_at     timestamptz,
    told_seq     bigint      NOT NULL DEFAULT 0,
    version      bigint      NOT NULL DEFAULT 1 CHECK (version >= 1), -- changes with status and requests, not with progress
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    started_at   timestamptz,
    ended_at     timestamptz,
    PRIMARY KEY (company_id, id)
) WITH (fillfactor = 50);
CREATE INDEX long_job_due ON long_job (pool, due_at) WHERE due_at IS NOT NULL;

-- A company's projects or tasks as a file.
CREATE TABLE export (
    company_id         uuid        NOT NULL REFERENCES company ON DELETE CASCADE,
    id                 uuid        NOT NULL,
    resource           text        NOT NULL CHECK (resource IN ('project', 'task')),
    format             text        NOT NULL DEFAULT 'csv' CHECK (format IN ('csv', 'ndjson')),
    project_id         uuid,
    filter_status      text,
    filter_priority    text,
    filter_manager_id  uuid,
    filter_assignee_id uuid,
    filter_archived    boolean,
    filter_text        text,
    creator_id         uuid        NOT NULL,
    status             text        NOT NULL DEFAULT 'pending' CHECK (status IN
        ('pending', 'running', 'completed', 'failed', 'cancelled')),
    error              text,
    rows               bigint,
    bytes              bigint,
    pieces             integer,
    expires_at         timestamptz,
    version            bigint      NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now(),
    started_at         timestamptz,
    ended_at           timestamptz,
    PRIMARY KEY (company_id, id)
);
CREATE INDEX export_list ON export (company_id, created_at, id);

-- Its content, one piece a step. Without a foreign key: what is no longer wanted goes a few pieces at a time (export_sweep).
CREATE TABLE export_piece (
    company_id uuid    NOT NULL,
    export_id  uuid    NOT NULL,
    n          integer NOT NULL CHECK (n >= 0),
    content    text    NOT NULL CHECK (content <> ''),
    PRIMARY KEY (company_id, export_id, n)
);
ALTER TABLE export_piece ALTER COLUMN content SET STORAGE EXTENDED;
-- One row for each export that has content, to be looked through.
CREATE INDEX export_piece_first ON export_piece (company_id, export_id) WHERE n = 0;

-- An export of all tasks walks over them in the order of their creation.
CREATE INDEX task_walk ON task (company_id, created_at, id);

-- The entity and its job come and go in one transaction.
CREATE FUNCTION export_begin() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO public.long_job (company_id, id, pool, kind, actor)
    VALUES (NEW.company_id, NEW.id, 'projects', 'export.' || NEW.resource || '.' || NEW.format, NEW.creator_id);
    RETURN NULL;
END
$$;
CREATE TRIGGER export_begin AFTER INSERT ON export FOR EACH ROW EXECUTE FUNCTION export_begin();

CREATE FUNCTION export_end() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    DELETE FROM public.long_job WHERE company_id = OLD.company_id AND id = OLD.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER export_end AFTER DELETE ON export FOR EACH ROW EXECUTE FUNCTION export_end();

-- Free text in a CSV file (RFC 4180): quoted, always. A spreadsheet takes what begins with = + - @, a tab or a line end for
-- a formula and runs it, whoever wrote it: such a text gets an apostrophe in front. Who wants the text as it is takes NDJSON.
CREATE FUNCTION csv_text(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN value IS NULL THEN ''
                ELSE '"' || CASE WHEN value ~ '^[=+@\t\r\n-]' THEN '''' ELSE '' END || replace(value, '"', '""') || '"' END
$$;

-- Deletes up to `most` pieces of exports that are gone, expired, or have ended without a result; returns how many. The last
-- pieces first: an export is found by its first.
CREATE FUNCTION export_sweep(most integer) RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    swept integer;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('cortex.export_sweep')) THEN
        RETURN 0;
    END IF;
    DELETE FROM public.export_piece AS p USING (
        SELECT a.company_id, a.export_id, a.n
        FROM public.export_piece AS f
        LEFT JOIN public.export AS e ON e.company_id = f.company_id AND e.id = f.export_id
        CROSS JOIN LATERAL (SELECT company_id, export_id, n FROM public.export_piece
                            WHERE company_id = f.company_id AND export_id = f.export_id ORDER BY n DESC LIMIT most) AS a
        WHERE f.n = 0 AND (e.id IS NULL OR e.status IN ('failed', 'cancelled') OR e.expires_at < now())
        LIMIT most) AS old
    WHERE p.company_id = old.company_id AND p.export_id = old.export_id AND p.n = old.n;
    GET DIAGNOSTICS swept = ROW_COUNT;
    RETURN swept;
END
$$;

REVOKE ALL ON FUNCTION export_sweep(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION export_sweep(integer) TO cortex_worker;

ALTER TABLE long_job ENABLE ROW LEVEL SECURITY;
ALTER TABLE export ENABLE ROW LEVEL SECURITY;
ALTER TABLE export_piece ENABLE ROW LEVEL SECURITY;

CREATE POLICY own_company ON long_job FOR SELECT TO cortex_gateway
    USING (company_id = nullif(current_setting('cortex.company', true), '')::uuid);
CREATE POLICY own_company ON export FOR SELECT TO cortex_gateway
    USING (company_id = nullif(current_setting('cortex.company', true), '')::uuid);
CREATE POLICY own_company ON export_piece FOR SELECT TO cortex_gateway
    USING (company_id = nullif(current_setting('cortex.company', true), '')::uuid);
CREATE POLICY every_company ON long_job TO cortex_worker USING (true) WITH CHECK (true);
CREATE POLICY every_company ON export TO cortex_worker USING (true) WITH CHECK (true);
CREATE POLICY every_company ON export_piece TO cortex_worker USING (true) WITH CHECK (true);

GRANT SELECT ON long_job, export, export_piece TO cortex_gateway;
GRANT SELECT, INSERT, UPDATE, DELETE ON long_job, export TO cortex_worker;
GRANT SELECT, INSERT, DELETE ON export_piece TO cortex_worker;
