-- Text search finds text whatever its case and however its accents are encoded. Both sides of each comparison go through text_fold: the
-- blocks (0025_text_blocks.sql), the search in them, the gateway's walk along a list, and the filter of exports.
--
-- text_fold is the full case folding of Unicode (CaseFolding.txt, C and F: "ß" is "ss", "ς" is "σ", "ı" stays), in NFC. PostgreSQL has no
-- such function before version 18. Lower case of upper case of lower case comes to the same with ICU's mappings, except for "ς", which a
-- word may end with, and for "ı", which upper case makes an "I". Most texts need less than that:
--   ASCII: half of what lower() costs (1 µs for a row of 160 characters)
--   letters and signs of one encoding whose only folding is their lower case; "ß" is done by itself: twice lower() (4 µs)
--   anything else, such as Greek: about ten times lower() (25 µs); what is not in NFC, twenty times
-- It is plpgsql so that the planner does not copy its argument, a concatenation, to each place where the body reads it. It calls nothing
-- but functions of pg_catalog, each by its name, so it needs no search_path of its own, which would cost each call a microsecond.
CREATE FUNCTION text_fold(value text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT AS $$
BEGIN
    IF pg_catalog.octet_length(value) OPERATOR(pg_catalog.=) pg_catalog.length(value) THEN
        RETURN pg_catalog.lower(value COLLATE pg_catalog."C");
    END IF;
    IF value OPERATOR(pg_catalog.!~) ('[^\u0001-\u00b4\u00b6-\u0148\u014a-\u017e\u0400-\u0481\u048a-\u052f\u2010-\u2027\u20ac'
                                      '\u3041-\u3096\u4e00-\u9fff\uac00-\ud7a3]' COLLATE pg_catalog."C") THEN
        RETURN pg_catalog.replace(pg_catalog.lower(value COLLATE pg_catalog."und-x-icu"), 'ß', 'ss');
    END IF;
    IF value IS NOT NFC NORMALIZED THEN
        value := pg_catalog.normalize(value, 'NFC');
    END IF;
    value := pg_catalog.replace(pg_catalog.lower(value COLLATE pg_catalog."und-x-icu"), 'ı', E'\x01');
    value := pg_catalog.lower(pg_catalog.upper(value COLLATE pg_catalog."und-x-icu") COLLATE pg_catalog."und-x-icu");
    value := pg_catalog.replace(pg_catalog.replace(value, 'ς', 'σ'), E'\x01', 'ı');
    IF value IS NOT NFC NORMALIZED THEN
        value := pg_catalog.normalize(value, 'NFC'); -- some composed letters exist in lower case alone
    END IF;
    RETURN value;
END
$$;

-- As in 0025, with text_fold, and for blocks that exist: they are replaced, and nobody who searches is locked out meanwhile.
CREATE OR REPLACE FUNCTION text_search_begin(resource text, columns text[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $make$
DECLARE
    text_of_row text := 'text_fold(' || text_search_expression('r', columns) || ')';
BEGIN
    IF to_regclass(format('public.%I', resource || '_text_block')) IS NULL THEN
        EXECUTE format($$
            CREATE TABLE public.%1$I (
                n          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                company_id uuid   NOT NULL,
                ids        uuid[] NOT NULL,
                body       text   NOT NULL -- the texts of these ids in their order, folded, with a record separator between them
            )
        $$, resource || '_text_block');
        EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', resource || '_text_block');
        -- Each step of filling merges its list itself. `ids` is there for finding the blocks of what has changed.
        EXECUTE format('CREATE INDEX %I ON public.%I USING gin ((company_id::text), body gin_trgm_ops, ids)'
                       ' WITH (gin_pending_list_limit = 65536)', resource || '_text_block_index', resource || '_text_block');
    END IF;

    -- A step that runs now would put back a block of the old kind. Searches go on in the old blocks until this transaction ends.
    PERFORM pg_advisory_xact_lock(hashtextextended('cortex.' || resource || '_text_fill', 0));

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
            row_has   text := text_fold(pattern);
            block_has text := '%%' || row_has || '%%';
            found     uuid[];
        BEGIN
            IF own IS NULL OR row_has !~ '[[:alnum:]]{3}' OR strpos(pattern, E'\x1e') > 0
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

-- The triggers of 0025 compare bytes, so they stay. The blocks are made anew, step by step, by a worker; until then a company with more than
-- 20,000 rows is searched row by row.
SELECT text_search_begin('project', '{number,name,description,address}');
SELECT text_search_begin('task', '{title,description}');
