-- A pool's processes see the commands that wait, and the dead letters, of their own pool (the next migration makes the policies). What is
-- done for all pools goes by the heads of the rows, without what was sent, and by functions that run as the owner.

-- Of commands that wait: for DELETE /v1/operations/{id}, which any of them may be, and for how many a company may have waiting for their time.
CREATE VIEW deferred_head AS
    SELECT company_id, command_id, type, reason, due_at, error, first_at, last_at, octet_length(body) AS octets FROM deferred;

-- Of dead letters: what operators choose them by.
CREATE VIEW dead_letter_head AS
    SELECT id, pool, company_id, type, actor, reason, last_at, is_replaying, command_id IS NOT NULL AND fingerprint IS NOT NULL AS is_readable
    FROM dead_letter;

GRANT SELECT ON deferred_head, dead_letter_head TO cortex_engine;

-- Whether somebody has sent a command that waits.
CREATE FUNCTION deferred_is_of(company uuid, command uuid, sender uuid) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM public.deferred AS d WHERE d.company_id = company AND d.command_id = command AND d.actor = sender)
$$;

-- The dead letters of a selection that nobody else holds, locked, the oldest first. NULL: any.
CREATE FUNCTION dead_letter_take(of_pool text, of_type text, of_company uuid, of_reason text, since timestamptz, until timestamptz,
                                 must_be_readable boolean, most integer)
    RETURNS TABLE (id uuid, last_at timestamptz)
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT d.id, d.last_at FROM public.dead_letter AS d
     WHERE NOT d.is_replaying
       AND (NOT must_be_readable OR (d.command_id IS NOT NULL AND d.fingerprint IS NOT NULL))
       AND (of_pool IS NULL OR d.pool = of_pool)
       AND (of_type IS NULL OR d.type = of_type)
       AND (of_company IS NULL OR d.company_id = of_company)
       AND (of_reason IS NULL OR d.reason = of_reason)
       AND (since IS NULL OR d.last_at >= since)
       AND d.last_at < until
     ORDER BY d.last_at, d.id
     LIMIT most
     FOR UPDATE OF d SKIP LOCKED
$$;

CREATE FUNCTION dead_letter_expire(days integer, most integer) RETURNS integer
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
    RETURN public.retention_expire('dead_letter', 'last_at', 'NOT is_replaying', days, most);

ALTER FUNCTION dead_letter_drop(uuid[]) SECURITY DEFINER;
REVOKE ALL ON FUNCTION deferred_is_of(uuid, uuid, uuid),
    dead_letter_take(text, text, uuid, text, timestamptz, timestamptz, boolean, integer), dead_letter_expire(integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION deferred_is_of(uuid, uuid, uuid),
    dead_letter_take(text, text, uuid, text, timestamptz, timestamptz, boolean, integer), dead_letter_expire(integer, integer) TO cortex_engine;

-- As in 0010, but a command of any pool may be cancelled.
CREATE OR REPLACE VIEW operation WITH (security_invoker = true) AS
    SELECT company_id, id, kind, status, cancel_asked, done, total, error, due_at, ended_at, false AS has_begun, version, created_at,
           updated_at
    FROM long_job
    UNION ALL
    SELECT company_id, command_id, type, 'pending', false, 0, 0, error, due_at, NULL, reason <> 'schedule', 1, first_at, last_at
    FROM deferred_head
    UNION ALL
    SELECT i.company_id, i.command_id, 'command', 'completed', false, 0, 0, NULL, NULL, i.at, true, 1, i.at, i.at
    FROM inbox AS i
    WHERE NOT EXISTS (SELECT FROM long_job AS j WHERE j.company_id = i.company_id AND j.id = i.command_id);
ALTER FUNCTION operation_cancel() SECURITY DEFINER;
REVOKE ALL ON FUNCTION operation_cancel() FROM PUBLIC;

-- As in 0053; a pool also gets its policies of the tables that all pools share.
CREATE FUNCTION pool_policies(pool text, relation text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = relation::regclass AND polname = 'own_pool_' || pool) THEN
        EXECUTE format('CREATE POLICY %I ON public.%I TO %I USING (pool = %L) WITH CHECK (pool = %L)', 'own_pool_' || pool, relation,
                       'cortex_' || pool, pool, pool);
    END IF;
END
$$;
CREATE OR REPLACE FUNCTION pool_role(pool text) RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    role_name text := 'cortex_' || pool;
BEGIN
    PERFORM public.process_role(role_name, 'cortex_engine');
    PERFORM public.process_role('cortex_worker', role_name);
    PERFORM public.pool_policies(pool, 'deferred'), public.pool_policies(pool, 'dead_letter');
    RETURN role_name;
END
$$;
REVOKE ALL ON FUNCTION pool_policies(text, text) FROM PUBLIC;
