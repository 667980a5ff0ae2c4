-- What one company may fill in bytes: commands that wait in `deferred`, and the content of exports. Both are counted as they come and
-- go, by triggers, so that a look costs one row and not a walk, and workers of the version before count as well.

-- Commands of a company that are parked or wait for another attempt. Those that wait for their time have a bound of their own
-- (CORTEX_SCHEDULED_BYTES). While a company is full, the gateways refuse its commands; they look for full ones every second.
CREATE TABLE deferred_total (
    company_id uuid    NOT NULL,
    pool       text    NOT NULL,
    rows       bigint  NOT NULL,
    bytes      bigint  NOT NULL, -- of the bodies, and 512 for each row
    is_full    boolean NOT NULL DEFAULT false,
    PRIMARY KEY (company_id, pool)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX deferred_total_full ON deferred_total (company_id, pool) WHERE is_full;

-- A company is full from cortex.deferred_bytes on, which a worker sets on its connection, and no longer once a quarter of that is done.
-- A session without the setting (psql, a worker of the version before) leaves it as it is.
CREATE FUNCTION deferred_count() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    most bigint := nullif(current_setting('cortex.deferred_bytes', true), '')::bigint;
    sign integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    INSERT INTO public.deferred_total AS t (company_id, pool, rows, bytes, is_full)
    SELECT c.company_id, c.pool, c.rows, c.bytes, coalesce(c.bytes > most, false)
    FROM (SELECT company_id, pool, sign * count(*) AS rows, sign * sum(octet_length(body) + 512) AS bytes
          FROM changed WHERE reason <> 'schedule' GROUP BY company_id, pool) AS c
    ORDER BY c.company_id, c.pool
    ON CONFLICT (company_id, pool) DO UPDATE SET rows = t.rows + excluded.rows, bytes = t.bytes + excluded.bytes,
        is_full = coalesce(t.bytes + excluded.bytes > CASE WHEN t.is_full THEN most / 4 * 3 ELSE most END, t.is_full);
    RETURN NULL;
END
$$;

CREATE FUNCTION deferred_truncated() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    DELETE FROM public.deferred_total;
    RETURN NULL;
END
$$;

CREATE TRIGGER deferred_put AFTER INSERT ON deferred REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION deferred_count();
CREATE TRIGGER deferred_gone AFTER DELETE ON deferred REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION deferred_count();
CREATE TRIGGER deferred_truncated AFTER TRUNCATE ON deferred
    FOR EACH STATEMENT EXECUTE FUNCTION deferred_truncated();

INSERT INTO deferred_total (company_id, pool, rows, bytes)
SELECT company_id, pool, count(*), sum(octet_length(body) + 512) FROM deferred
WHERE reason <> 'schedule' GROUP BY company_id, pool;

-- The content of a company's exports, from the first piece until the sweep has deleted the last.
CREATE TABLE export_total (
    company_id uuid   NOT NULL PRIMARY KEY,
    bytes      bigint NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

CREATE FUNCTION export_count() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    sign integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    INSERT INTO public.export_total AS t (company_id, bytes)
    SELECT c.company_id, c.bytes
    FROM (SELECT company_id, sign * sum(octet_length(content)) AS bytes FROM changed GROUP BY company_id) AS c
    ORDER BY c.company_id
    ON CONFLICT (company_id) DO UPDATE SET bytes = t.bytes + excluded.bytes;
    RETURN NULL;
END
$$;

CREATE TRIGGER export_piece_put AFTER INSERT ON export_piece REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION export_count();
CREATE TRIGGER export_piece_gone AFTER DELETE ON export_piece REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION export_count();

INSERT INTO export_total (company_id, bytes)
SELECT company_id, sum(octet_length(content)) FROM export_piece GROUP BY company_id;

-- Jobs that have not ended, of one company.
CREATE INDEX long_job_open ON long_job (company_id) WHERE due_at IS NOT NULL AND ended_at IS NULL;

-- Whether another export may begin: each of those that have not ended, and the new one, may still write up to cortex.export_bytes, and
-- all of it fits cortex.export_total_bytes. A worker sets both on its connection.
CREATE FUNCTION export_has_room(company uuid) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT coalesce(
        (SELECT coalesce(sum(t.bytes), 0) FROM public.export_total AS t WHERE t.company_id = company)
        + (SELECT coalesce(sum(greatest(s.one - j.bytes, 0)), 0) FROM public.long_job AS j
           WHERE j.company_id = company AND j.due_at IS NOT NULL AND j.ended_at IS NULL AND j.kind LIKE 'export.%')
        + s.one <= greatest(s.total, s.one), true)
    FROM (SELECT nullif(current_setting('cortex.export_bytes', true), '')::bigint AS one,
                 nullif(current_setting('cortex.export_total_bytes', true), '')::bigint AS total) AS s
$$;

ALTER TABLE deferred_total ENABLE ROW LEVEL SECURITY;
ALTER TABLE export_total ENABLE ROW LEVEL SECURITY;
-- A gateway has to know which companies are full before it takes a command of one.
CREATE POLICY full_companies ON deferred_total FOR SELECT TO cortex_gateway USING (is_full);
CREATE POLICY every_company ON deferred_total TO cortex_worker USING (true) WITH CHECK (true);
CREATE POLICY every_company ON export_total TO cortex_worker USING (true) WITH CHECK (true);
GRANT SELECT ON deferred_total TO cortex_gateway;
GRANT SELECT, INSERT, UPDATE ON deferred_total, export_total TO cortex_worker;
