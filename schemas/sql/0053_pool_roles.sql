-- A role for each pool of workers: cortex_projects, cortex_webhooks. It may do what the engine needs, as a member of cortex_engine, and has
-- the tables of its own pool. cortex_worker stays for processes of the version before, which log in as it: it is a member of every pool's
-- role. It goes with a migration of the version after this one.
--
-- A new resource calls resource_rights (schemac --migration prints it), another table of a pool table_rights; both make the role of a pool
-- that is new. A table of the engine is granted to cortex_engine.

-- Makes a role of the server where it is missing (as 0001_roles.sql), and a member of another one where that is named.
CREATE FUNCTION process_role(role_name text, is_in text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    may_set text := CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER' END;
    grants  text := format('GRANT %I TO %I;', role_name, current_user)
                    || CASE WHEN is_in IS NULL THEN '' ELSE format(' GRANT %I TO %I;', is_in, role_name) END;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS', role_name);
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN
                NULL; -- somebody else's migration was faster
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION 'The role % does not exist and % may not create it.', role_name, current_user
                    USING HINT = format('As a superuser: CREATE ROLE %I; %s', role_name, grants);
        END;
    END IF;
    IF NOT pg_has_role(current_user, role_name, may_set) THEN
        BEGIN
            EXECUTE format('GRANT %I TO %I', role_name, current_user);
        EXCEPTION
            WHEN insufficient_privilege THEN
                RAISE NOTICE '% is not a member of %: processes need logins of their own.', current_user, role_name;
        END;
    END IF;
    IF is_in IS NOT NULL AND NOT pg_has_role(role_name, is_in, 'USAGE') THEN
        BEGIN
            EXECUTE format('GRANT %I TO %I', is_in, role_name);
        EXCEPTION
            WHEN unique_violation OR internal_error THEN
                NULL; -- as above
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION 'The role % is not a member of %, and % may not make it one.', role_name, is_in, current_user
                    USING HINT = format('As a superuser: GRANT %I TO %I;', is_in, role_name);
        END;
    END IF;
END
$$;

-- The role of a pool, made where it is missing.
CREATE FUNCTION pool_role(pool text) RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    role_name text := 'cortex_' || pool;
BEGIN
    PERFORM public.process_role(role_name, 'cortex_engine');
    PERFORM public.process_role('cortex_worker', role_name);
    RETURN role_name;
END
$$;

-- Row-level security and the rights of one pool on a table: table_rights('webhook_delivery', 'webhooks', '{SELECT,INSERT,UPDATE}'). The
-- policy is that of all pools: a worker acts for every company. Where another pool reads the table, too (a reference to it, exports), the
-- migration says GRANT SELECT … TO cortex_….
CREATE FUNCTION table_rights(relation text, pool text, rights text[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    role_name text := public.pool_role(pool);
    one       text;
BEGIN
    EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', relation);
    EXECUTE format('DROP POLICY IF EXISTS every_company ON public.%I', relation);
    EXECUTE format('CREATE POLICY every_company ON public.%I TO cortex_engine USING (true) WITH CHECK (true)', relation);
    FOREACH one IN ARRAY rights LOOP
        EXECUTE format(CASE one WHEN 'SELECT' THEN 'GRANT SELECT ON public.%I TO %I'
                                WHEN 'INSERT' THEN 'GRANT INSERT ON public.%I TO %I'
                                WHEN 'UPDATE' THEN 'GRANT UPDATE ON public.%I TO %I'
                                WHEN 'DELETE' THEN 'GRANT DELETE ON public.%I TO %I' END, relation, role_name);
    END LOOP;
END
$$;

-- What the table of a resource gets: resource_rights('punch_item', '{create,update,delete}', 'projects').
CREATE FUNCTION resource_rights(resource text, verbs text[], pool text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $make$
BEGIN
    PERFORM public.table_rights(resource, pool, ARRAY['SELECT'] || ARRAY(
        SELECT CASE verb WHEN 'create' THEN 'INSERT' WHEN 'update' THEN 'UPDATE' WHEN 'delete' THEN 'DELETE' END FROM unnest(verbs) AS verb));
    EXECUTE format('DROP POLICY IF EXISTS own_company ON public.%I', resource);
    EXECUTE format($$
        CREATE POLICY own_company ON public.%I FOR SELECT TO cortex_gateway
            USING (company_id = nullif(current_setting('cortex.company', true), '')::uuid)
    $$, resource);
    EXECUTE format('GRANT SELECT ON public.%I TO cortex_gateway', resource);
END
$make$;
DROP FUNCTION resource_rights(text, text[]);
REVOKE ALL ON FUNCTION process_role(text, text), pool_role(text), table_rights(text, text, text[]), resource_rights(text, text[], text)
    FROM PUBLIC;

SELECT process_role('cortex_engine', NULL);
SELECT pool_role(pool) FROM unnest('{projects,webhooks}'::text[]) AS pool;
GRANT USAGE ON SCHEMA public TO cortex_engine;

-- What cortex_worker may do on tables of the pool `projects` goes to its role, the rest to the engine's.
DO $$
DECLARE
    of_projects text[] := '{activity,client,comment,document,export,export_content,export_piece,export_total,invoice,invoice_item,milestone,
                            operation,project,project_member,project_subcontractor,purchase_order,purchase_order_item,rfi,subcontractor,task,
                            time_entry}';
    one         record;
BEGIN
    FOR one IN
        SELECT format('%s ON %s', a.privilege_type, c.oid::regclass) AS is_granted,
               c.relname = ANY (of_projects) OR (c.relname, a.privilege_type) IN (('company', 'UPDATE'), ('revocation', 'INSERT')) AS is_of_pool
          FROM pg_class AS c, aclexplode(c.relacl) AS a
         WHERE c.relnamespace = 'public'::regnamespace AND a.grantee = 'cortex_worker'::regrole
        UNION ALL
        SELECT format('%s (%I) ON %s', a.privilege_type, t.attname, c.oid::regclass), c.relname = ANY (of_projects)
          FROM pg_class AS c, pg_attribute AS t, aclexplode(t.attacl) AS a
         WHERE c.relnamespace = 'public'::regnamespace AND t.attrelid = c.oid AND a.grantee = 'cortex_worker'::regrole
        UNION ALL
        SELECT format('EXECUTE ON FUNCTION %s', p.oid::regprocedure), p.proname = 'export_sweep'
          FROM pg_proc AS p, aclexplode(p.proacl) AS a
         WHERE p.pronamespace = 'public'::regnamespace AND a.grantee = 'cortex_worker'::regrole
    LOOP
        EXECUTE format('GRANT %s TO %I', one.is_granted, CASE WHEN one.is_of_pool THEN 'cortex_projects' ELSE 'cortex_engine' END);
    END LOOP;
END
$$;

-- Work of the system is done by the workers of any pool. Where it touches the tables of one, it is a function that runs as its owner.
ALTER FUNCTION invoice_overdue(integer, timestamptz) SECURITY DEFINER;
ALTER FUNCTION export_sweep(integer) SECURITY DEFINER; -- which takes an advisory lock

CREATE FUNCTION export_expire(days integer, most integer) RETURNS integer
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
    RETURN public.retention_expire('export', 'greatest(ended_at, expires_at)', 'ended_at IS NOT NULL', days, most);

REVOKE ALL ON FUNCTION export_expire(integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION export_expire(integer, integer) TO cortex_engine;

-- A text search that begins grants its step to workers.
DO $$
BEGIN
    EXECUTE replace(pg_get_functiondef('text_search_begin(text, text[])'::regprocedure), 'TO cortex_worker', 'TO cortex_engine');
END
$$;

-- The gateway is to take no advisory lock (walls_missing below) but this one, which makes a company's long walks wait for each other
-- (gateway/resources/list_sql.c).
CREATE FUNCTION walk_begin(company text) RETURNS boolean
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
    RETURN pg_advisory_xact_lock(hashtext('cortex.walk'), hashtext(company)) IS NOT NULL;
REVOKE ALL ON FUNCTION walk_begin(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION walk_begin(text) TO cortex_gateway;

-- What a process could do to the whole server, and needs not: fill its disk by temporary tables and large objects, and hold advisory locks
-- for which others wait. The statements that take this from everybody but the owner; none when it has been done. A superuser must say them.
CREATE FUNCTION walls_missing() RETURNS TABLE (statement text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    WITH open AS (
        SELECT string_agg(p.oid::regprocedure::text, ', ' ORDER BY p.oid) AS all,
               string_agg(p.oid::regprocedure::text, ', ' ORDER BY p.oid) FILTER (WHERE p.proname LIKE '%advisory%') AS of_owner
          FROM pg_proc AS p
         WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname ~ '^(pg_(try_)?advisory_|lo_|lo(read|write)$)'
           AND has_function_privilege('cortex_gateway', p.oid, 'EXECUTE'))
    SELECT format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC;', current_database())
     WHERE has_database_privilege('cortex_gateway', current_database(), 'TEMPORARY')
    UNION ALL
    SELECT format('GRANT EXECUTE ON FUNCTION %s TO %I;', of_owner, pg_get_userbyid(d.datdba))
      FROM open, pg_database AS d WHERE d.datname = current_database() AND of_owner IS NOT NULL
    UNION ALL
    SELECT format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC;', open.all) FROM open WHERE open.all IS NOT NULL
$$;
REVOKE ALL ON FUNCTION walls_missing() FROM PUBLIC;
