-- What every table of a resource gets, in one place: row-level security with its policies, and the rights of its verbs. A migration that
-- makes such a table ends with it (schemac --migration prints it), and so does one that gives a resource another verb.
--
--   SELECT resource_rights('punch_item', '{create,update,delete}');

CREATE FUNCTION resource_rights(resource text, verbs text[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $make$
DECLARE
    verb text;
BEGIN
    EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', resource);
    EXECUTE format('DROP POLICY IF EXISTS own_company ON public.%I', resource);
    EXECUTE format('DROP POLICY IF EXISTS every_company ON public.%I', resource);
    EXECUTE format($$
        CREATE POLICY own_company ON public.%I FOR SELECT TO cortex_gateway
            USING (company_id = nullif(current_setting('cortex.company', true), '')::uuid)
    $$, resource);
    EXECUTE format('CREATE POLICY every_company ON public.%I TO cortex_worker USING (true) WITH CHECK (true)', resource);
    EXECUTE format('GRANT SELECT ON public.%I TO cortex_gateway, cortex_worker', resource);
    FOREACH verb IN ARRAY verbs LOOP
        EXECUTE format(CASE verb WHEN 'create' THEN 'GRANT INSERT ON public.%I TO cortex_worker'
                                 WHEN 'update' THEN 'GRANT UPDATE ON public.%I TO cortex_worker'
                                 WHEN 'delete' THEN 'GRANT DELETE ON public.%I TO cortex_worker' END, resource);
    END LOOP;
END
$make$;
REVOKE ALL ON FUNCTION resource_rights(text, text[]) FROM PUBLIC;
