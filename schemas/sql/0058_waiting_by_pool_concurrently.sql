-- Which commands that wait, and which dead letters, a worker sees: those of its pool. A worker of a version that logs in as cortex_worker sees
-- those of every pool. Whatever pool's worker finds a schedule due may put its command among those of another pool, and cannot see it there.
-- Each table in a transaction of its own, as in 0054.

DO $$
DECLARE
    relation text;
BEGIN
    FOREACH relation IN ARRAY '{deferred,dead_letter}'::text[] LOOP
        PERFORM public.pool_policies(substr(m.member::regrole::text, 8), relation) FROM pg_auth_members AS m
          WHERE m.roleid = 'cortex_engine'::regrole AND m.member::regrole::text LIKE 'cortex\_%';
        IF relation = 'deferred' THEN
            DROP POLICY IF EXISTS of_schedules ON deferred;
            CREATE POLICY of_schedules ON deferred FOR INSERT TO cortex_engine WITH CHECK (reason = 'schedule');
        END IF;
        EXECUTE format('ALTER POLICY every_company ON %I TO cortex_worker', relation);
        COMMIT;
    END LOOP;
END
$$;
