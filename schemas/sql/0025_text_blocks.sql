-- Text search (`?text=`): the index is filled after the commit of a change and not by it. 0018 and 0019 had the trigrams of each row in an
-- index of the table itself, which cost each create more than all its other indexes together.
--
--   project ── trigger ──▶ project_text_changed ── project_text_fill ──▶ project_text_block
--
-- project_text_changed: ids of rows whose text has changed, a row for each statement. project_text_block: the texts of 16 rows in one, with the
-- index; rows share many of their trigrams, so a block costs the index little more than a row. project_search looks into the blocks and at
-- what is not in them yet, and compares each hit with the row as it is. In every snapshot, an id is in a block with its present text, or it
-- is in project_text_changed: so a search finds what was committed before it, whenever a worker gets round to filling the blocks
-- (workers/engine/housekeeping/text_blocks.h). Triggers note the ids, so workers of the version before need not know of it, nor psql.
--
-- text_search_prepare and text_search_begin make all this for a table. A migration calls them one after the other, in a transaction each
-- (the next one is 0026), when a resource gets x-search or one of its fields does. `columns` are those with x-search; the first is never NULL.
-- The triggers lock the table's writers out for a moment, so they are not made in the transaction that reads the whole table.

CREATE FUNCTION text_search_expression(alias text, columns text[]) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT string_agg(CASE WHEN n = 1 THEN format('%s.%I', alias, name) ELSE format('coalesce(E''\x1f'' || %s.%I, '''')', alias, name) END,
                      ' || ' ORDER BY n)
    FROM unnest(columns) WITH ORDINALITY AS c (name, n)
$$;

CREATE FUNCTION text_search_prepare(resource text, columns text[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $make$
BEGIN
    EXECUTE format($$
        CREATE TABLE IF NOT EXISTS public.%1$I (
            company_id uuid    NOT NULL,
            n          bigint  GENERATED ALWAYS AS IDENTITY,
            ids        uuid[]  NOT NULL,
            is_new     boolean NOT NULL, -- these ids are in no block
            PRIMARY KEY (company_id, n)
        ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)
    $$, resource || '_text_changed');
    EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', resource || '_text_changed');

    -- The company and the id are keys of every table. In pieces, so that a step of filling is short.
    EXECUTE format($$
        CREATE OR REPLACE FUNCTION public.%1$I() RETURNS trigger
            LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $f$
        BEGIN
            INSERT INTO public.%2$I (company_id, ids, is_new)
            SELECT company_id, array_agg(id), TG_OP = 'INSERT'
            FROM (SELECT company_id, id, row_number() OVER () / 64 AS piece FROM changed) AS c
            GROUP BY company_id, piece;
            RETURN NULL;
        END
        $f$
    $$, resource || '_text_note', resource || '_text_changed');
    EXECUTE format($$
        CREATE OR REPLACE FUNCTION public.%1$I() RETURNS trigger
            LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $f$
        BEGIN
            INSERT INTO public.%2$I (company_id, ids, is_new) VALUES (NEW.company_id, ARRAY[NEW.id], false);
            RETURN NULL;
        END
        $f$
    $$, resource || '_text_note_one', resource || '_text_changed');
    EXECUTE format('REVOKE ALL ON FUNCTION public.%I(), public.%I() FROM PUBLIC', resource || '_text_note', resource || '_text_note_one');
    EXECUTE format('CREATE OR REPLACE TRIGGER text_inserted AFTER INSERT ON public.%I REFERENCING NEW TABLE AS changed'
                   ' FOR EACH STATEMENT EXECUTE FUNCTION public.%I()', resource, resource || '_text_note');
    EXECUTE format('CREATE OR REPLACE TRIGGER text_deleted AFTER DELETE ON public.%I REFERENCING OLD TABLE AS changed'
                   ' FOR EACH STATEMENT EXECUTE FUNCTION public.%I()', resource, resource || '_text_note');
    EXECUTE format('CREATE OR REPLACE TRIGGER text_updated AFTER UPDATE ON public.%I FOR EACH ROW WHEN (%s IS DISTINCT FROM %s)'
                   ' EXECUTE FUNCTION public.%I()', resource, text_search_expression('OLD', columns),
                   text_search_expression('NEW', columns), resource || '_text_note_one');
END
$make$;

CREATE FUNCTION text_search_begin(resource text, columns text[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $make$
DECLARE
    text_of_row text := 'lower(' || text_search_expression('r', columns) || ')';
BEGIN
    EXECUTE format($$
        CREATE TABLE IF NOT EXISTS public.%1$I (
            n          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            company_id uuid   NOT NULL,
            ids        uuid[] NOT NULL,
            body       text   NOT NULL -- the texts of these ids in their order, in lower case, with a record separator between them
        )
    $$, resource || '_text_block');
    EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', resource || '_text_block');
    -- Each step of filling merges its list itself. `ids` is there for finding the blocks of what has changed.
    EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON public.%I USING gin ((company_id::text), body gin_trgm_ops, ids)'
                   ' WITH (gin_pending_list_limit = 65536)', resource || '_text_block_index', resource || '_text_block');

    -- All rows are to be put into blocks.
    EXECUTE format('DELETE FROM public.%I', resource || '_text_block');
    EXECUTE format($$
        INSERT INTO public.%1$I (company_id, ids, is_new)
        SELECT company_id, array_agg(id), true
        FROM (SELECT company_id, id, row_number() OVER () / 64 AS piece FROM public.%2$I) AS r
        GROUP BY company_id, piece
    $$, resource || '_text_changed', resource);

    -- One step: puts rows whose text has changed into blocks, `most` or a few more; returns whether there is more to do. The blocks that
    -- have such a row already are taken apart: their rows go into new blocks. One process at a time, so that no older text comes last.
    EXECUTE format($$
        CREATE OR REPLACE FUNCTION public.%1$I(most integer) RETURNS boolean
            LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET enable_hashjoin = off
            SET enable_mergejoin = off AS $f$
        DECLARE
            has_changed boolean;
        BEGIN
            IF NOT pg_try_advisory_xact_lock(hashtextextended('cortex.%1$s', 0)) THEN
                RETURN false;
            END IF;
            WITH taken AS MATERIALIZED (
                DELETE FROM public.%2$I WHERE ctid = ANY (ARRAY(
                    SELECT at FROM (
                        SELECT ctid AS at, sum(cardinality(ids)) OVER (ROWS UNBOUNDED PRECEDING) - cardinality(ids) AS before
                        FROM (SELECT ctid, ids FROM public.%2$I LIMIT most) AS c) AS c
                    WHERE before < most))
                RETURNING company_id, ids, is_new),
            old AS MATERIALIZED (
                SELECT company_id, array_agg(DISTINCT id) AS ids FROM taken, unnest(ids) AS id WHERE NOT is_new GROUP BY company_id),
            apart AS MATERIALIZED (
                DELETE FROM public.%3$I AS b USING old AS c
                WHERE b.company_id::text = c.company_id::text AND b.ids && c.ids
                RETURNING b.company_id, b.ids),
            due AS MATERIALIZED (
                SELECT company_id, unnest(ids) AS id FROM taken UNION SELECT company_id, unnest(ids) FROM apart),
            added AS (
                INSERT INTO public.%3$I (company_id, ids, body)
                SELECT company_id, array_agg(id), string_agg(body, E'\x1e')
                FROM (SELECT r.company_id, r.id, replace(%4$s, E'\x1e', ' ') AS body,
                             (row_number() OVER (PARTITION BY r.company_id ORDER BY r.id) - 1) / 16 AS block
                      FROM due JOIN public.%5$I AS r USING (company_id, id)) AS r
                GROUP BY company_id, block)
            SELECT EXISTS (SELECT FROM taken) INTO has_changed;
            IF has_changed THEN
                PERFORM gin_clean_pending_list('public.%6$I');
            END IF;
            RETURN has_changed AND EXISTS (SELECT FROM public.%2$I);
        END
        $f$
    $$, resource || '_text_fill', resource || '_text_changed', resource || '_text_block', text_of_row, resource, resource || '_text_block_index');
    EXECUTE format('REVOKE ALL ON FUNCTION public.%I(integer) FROM PUBLIC', resource || '_text_fill');
    EXECUTE format('GRANT EXECUTE ON FUNCTION public.%I(integer) TO cortex_worker', resource || '_text_fill');

    -- As in 0018: the ids of all rows that match, or NULL when that would not help. NULL also while more than 20,000 rows of the company
    -- are in no block. A NULL is always right, for the gateway then walks the list. The planner's choices are switched off, so that the
    -- plan is the same whatever the statistics say, and made once a session: nested loops end with the 2,001st row.
    EXECUTE format($$
        CREATE OR REPLACE FUNCTION public.%1$I(pattern text) RETURNS uuid[]
            LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
            SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan AS $f$
        DECLARE
            own       uuid := nullif(current_setting('cortex.company', true), '')::uuid;
            row_has   text := lower(pattern);
            block_has text := '%%' || row_has || '%%';
            found     uuid[];
        BEGIN
            IF own IS NULL OR pattern !~ '[[:alnum:]]{3}' OR strpos(pattern, E'\x1e') > 0
               OR (SELECT sum(cardinality(ids)) FROM public.%2$I WHERE company_id = own) > 20000 THEN
                RETURN NULL;
            END IF;
            SELECT array_agg(hit.id) INTO found FROM (
                SELECT r.id
                FROM (SELECT unnest(ids) AS id FROM public.%2$I WHERE company_id = own
                      UNION ALL
                      SELECT part.id
                      FROM public.%3$I AS b, LATERAL unnest(b.ids, string_to_array(b.body, E'\x1e')) AS part (id, body)
                      WHERE b.company_id::text = own::text AND b.body LIKE block_has AND part.body LIKE row_has) AS candidate
                JOIN public.%5$I AS r ON r.company_id = own AND r.id = candidate.id
                WHERE %4$s LIKE row_has
                LIMIT 2001) AS hit;
            RETURN CASE WHEN cardinality(found) > 2000 THEN NULL
                        ELSE ARRAY(SELECT DISTINCT unnest(found)) END;
        END
        $f$
    $$, resource || '_search', resource || '_text_changed', resource || '_text_block', text_of_row, resource);
    EXECUTE format('REVOKE ALL ON FUNCTION public.%I(text) FROM PUBLIC', resource || '_search');
    EXECUTE format('GRANT EXECUTE ON FUNCTION public.%I(text) TO cortex_gateway', resource || '_search');
END
$make$;

REVOKE ALL ON FUNCTION text_search_expression(text, text[]), text_search_prepare(text, text[]), text_search_begin(text, text[]) FROM PUBLIC;

SELECT text_search_prepare('project', '{number,name,description,address}');
SELECT text_search_prepare('task', '{title,description}');
