-- Text search (`?text=`) by an index: who looks it up. The indexes themselves are 0019.
--
-- LIKE is not leakproof, so row-level security keeps it from every index of a table. These functions belong to the owner of the tables,
-- whom row-level security does not bind. They take the company from the setting cortex.company, as the policies do; they have no
-- parameter for it, so nobody can ask for another one's rows.
--
-- A function returns the ids of all rows that match, or NULL when an index does not help: fewer than three letters or digits in a row
-- have no trigram, and what more than 2,000 rows have is found sooner in the order of the list. The gateway then walks the list
-- (gateway/resources/plan.c). Each resource with x-search needs such a function, named <table>_search.
--
-- The extensions are trusted ones: whoever may create objects in the database may create them.
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS btree_gin;

-- The condition on the company is one that only this index has, and scans in another order are switched off, so that the plan is the
-- same whatever the statistics say.
CREATE FUNCTION project_search(pattern text) RETURNS uuid[]
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
    SET enable_seqscan = off AS $$
DECLARE
    own text := nullif(current_setting('cortex.company', true), '')::uuid::text;
    ids uuid[];
BEGIN
    IF own IS NULL OR pattern !~ '[[:alnum:]]{3}' THEN
        RETURN NULL;
    END IF;
    SELECT array_agg(found.id) INTO ids FROM (
        SELECT p.id FROM public.project AS p
        WHERE p.company_id::text = own
          AND lower(p.number || E'\x1f' || p.name || coalesce(E'\x1f' || p.description, '') || coalesce(E'\x1f' || p.address, ''))
              LIKE lower(pattern)
        LIMIT 2001) AS found;
    RETURN CASE WHEN cardinality(ids) > 2000 THEN NULL ELSE coalesce(ids, '{}') END;
END
$$;

CREATE FUNCTION task_search(pattern text) RETURNS uuid[]
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
    SET enable_seqscan = off AS $$
DECLARE
    own text := nullif(current_setting('cortex.company', true), '')::uuid::text;
    ids uuid[];
BEGIN
    IF own IS NULL OR pattern !~ '[[:alnum:]]{3}' THEN
        RETURN NULL;
    END IF;
    SELECT array_agg(found.id) INTO ids FROM (
        SELECT t.id FROM public.task AS t
        WHERE t.company_id::text = own
          AND lower(t.title || coalesce(E'\x1f' || t.description, '')) LIKE lower(pattern)
        LIMIT 2001) AS found;
    RETURN CASE WHEN cardinality(ids) > 2000 THEN NULL ELSE coalesce(ids, '{}') END;
END
$$;

REVOKE ALL ON FUNCTION project_search(text), task_search(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION project_search(text), task_search(text) TO cortex_gateway;
