-- The policies of workers become those of all pools' roles. Each in a transaction of its own: a change of a policy waits for whoever uses the
-- table, and one that held the lock of another table meanwhile could wait in a circle.

DO $$
DECLARE
    relation regclass;
BEGIN
    FOR relation IN
        SELECT p.polrelid FROM pg_policy AS p
         WHERE p.polname = 'every_company' AND 'cortex_worker'::regrole = ANY (p.polroles) AND NOT 'cortex_engine'::regrole = ANY (p.polroles)
    LOOP
        EXECUTE format('ALTER POLICY every_company ON %s TO cortex_engine, cortex_worker', relation);
        COMMIT;
    END LOOP;
END
$$;
