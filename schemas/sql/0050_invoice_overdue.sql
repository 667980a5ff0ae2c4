-- A sent invoice becomes overdue when the day after its due date begins for the company. Work of the system looks each quarter of an hour,
-- because midnight comes at one of these everywhere, and puts a command for each such invoice: it runs in its company's order and causes
-- events like any other.

CREATE INDEX invoice_due ON invoice (due_date) WHERE status = 'sent';

-- As topology_slot of common/broker/topology.c: FNV-1a of the id's octets, folded to 16 bits.
CREATE FUNCTION company_slot(company uuid) RETURNS integer
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    octets bytea  := uuid_send(company);
    hash   bigint := 2166136261;
BEGIN
    FOR i IN 0..15 LOOP
        hash := ((hash # get_byte(octets, i)) * 16777619) & 4294967295;
    END LOOP;
    RETURN ((hash >> 16) # (hash & 65535))::integer;
END
$$;

-- Puts a command for each of up to `most` invoices that are overdue at that time; returns whether there were as many. The id of the command
-- follows from the invoice and its version, so each is told once. No day begins anywhere before it has begun in UTC for fourteen hours less.
CREATE FUNCTION invoice_overdue(most integer, at timestamptz) RETURNS boolean
    LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
    WITH late AS (
        SELECT i.company_id, i.id, md5('invoice.overdue/' || i.id || '/' || i.version)::uuid AS command
        FROM public.invoice AS i
        JOIN public.company AS c ON c.id = i.company_id
        WHERE i.status = 'sent' AND i.due_date < (at AT TIME ZONE 'UTC' + interval '14 hours')::date
          AND i.due_date < (at AT TIME ZONE c.time_zone)::date),
    put AS (
        INSERT INTO public.deferred (company_id, command_id, pool, slot, reason, due_at, type, actor, role, subject, fingerprint, sent, body)
        SELECT l.company_id, l.command, 'projects', public.company_slot(l.company_id), 'schedule', at, 'invoice.update',
               '00000000-0000-0000-0000-000000000000', 'super_admin', l.id, 0, extract(epoch FROM at)::bigint,
               '\x8106a76f766572647565' -- {"status": "overdue"}
        FROM late AS l
        WHERE NOT EXISTS (SELECT FROM public.inbox AS x WHERE x.company_id = l.company_id AND x.command_id = l.command)
          AND NOT EXISTS (SELECT FROM public.deferred AS d WHERE d.company_id = l.company_id AND d.command_id = l.command)
        LIMIT most
        ON CONFLICT DO NOTHING
        RETURNING 1)
    SELECT count(*) = most FROM put
$$;

REVOKE ALL ON FUNCTION company_slot(uuid), invoice_overdue(integer, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION company_slot(uuid), invoice_overdue(integer, timestamptz) TO cortex_worker;

INSERT INTO schedule (name, cron, type, next_at) VALUES ('invoice.overdue', '*/15 * * * *', 'invoice.overdue', now()) ON CONFLICT (name) DO NOTHING;
