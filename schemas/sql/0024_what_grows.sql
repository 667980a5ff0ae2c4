-- The rest of what grows gets an end that is found by an index (workers/engine/housekeeping/retention.def has the whole list).

-- ---- the content of exports ----

-- One row for each export that has content: when somebody looks whether that content may go. So a sweep reads what is over, and not the
-- content of all exports again and again. The row comes with the first piece; the export's end and its deletion set the time.
CREATE TABLE export_content (
    company_id uuid        NOT NULL,
    export_id  uuid        NOT NULL,
    due_at     timestamptz NOT NULL,
    PRIMARY KEY (company_id, export_id)
);
CREATE INDEX export_content_due ON export_content (due_at);
COMMENT ON TABLE export_content IS 'Exports that have content, and when to look whether it may go (export_sweep).';

ALTER TABLE export_content ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_company ON export_content TO cortex_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON export_content TO cortex_worker;

-- Until the export says when, it is looked at once a day.
CREATE FUNCTION export_content_begin() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO public.export_content (company_id, export_id, due_at)
    VALUES (NEW.company_id, NEW.export_id, now() + interval '1 day') ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
CREATE TRIGGER export_content_begin AFTER INSERT ON export_piece
    FOR EACH ROW WHEN (NEW.n = 0) EXECUTE FUNCTION export_content_begin();

CREATE FUNCTION export_content_due() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        UPDATE public.export_content SET due_at = now() WHERE company_id = OLD.company_id AND export_id = OLD.id;
    ELSE
        UPDATE public.export_content SET due_at = CASE WHEN NEW.status IN ('failed', 'cancelled') THEN now() ELSE NEW.expires_at END
            WHERE company_id = NEW.company_id AND export_id = NEW.id;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER export_content_due AFTER UPDATE OF status, expires_at ON export
    FOR EACH ROW WHEN (NEW.status IN ('failed', 'cancelled') OR NEW.expires_at IS NOT NULL) EXECUTE FUNCTION export_content_due();
CREATE TRIGGER export_content_gone AFTER DELETE ON export FOR EACH ROW EXECUTE FUNCTION export_content_due();

-- Content that is there already is looked at once.
INSERT INTO export_content (company_id, export_id, due_at) SELECT company_id, export_id, now() FROM export_piece WHERE n = 0;

-- Deletes up to `most` pieces whose export is gone, has expired, or has ended without a result; returns how many, and counts an export that
-- it only looked at as one. The last pieces go first, so that an export with content always has its first piece.
CREATE OR REPLACE FUNCTION export_sweep(most integer) RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp SET enable_seqscan = off AS $$
DECLARE
    swept integer := 0;
    part  integer;
    c     record;
BEGIN
    FOR c IN
        SELECT x.company_id, x.export_id, e.expires_at,
            e.id IS NULL OR e.status IN ('failed', 'cancelled') OR coalesce(e.expires_at <= now(), false) AS is_over
        FROM public.export_content AS x
        LEFT JOIN public.export AS e ON e.company_id = x.company_id AND e.id = x.export_id
        WHERE x.due_at <= now()
        ORDER BY x.due_at
        LIMIT most
        FOR UPDATE OF x SKIP LOCKED
    LOOP
        IF c.is_over THEN
            DELETE FROM public.export_piece
                WHERE company_id = c.company_id AND export_id = c.export_id
                  AND n IN (SELECT n FROM public.export_piece WHERE company_id = c.company_id AND export_id = c.export_id
                            ORDER BY n DESC LIMIT most - swept);
            GET DIAGNOSTICS part = ROW_COUNT;
            IF part < most - swept THEN
                DELETE FROM public.export_content WHERE company_id = c.company_id AND export_id = c.export_id;
            END IF;
            swept := swept + greatest(part, 1);
        ELSE
            UPDATE public.export_content SET due_at = coalesce(c.expires_at, now() + interval '1 day')
                WHERE company_id = c.company_id AND export_id = c.export_id;
            swept := swept + 1;
        END IF;
        EXIT WHEN swept >= most;
    END LOOP;
    RETURN swept;
END
$$;

-- ---- revocations ----

-- They went when the next one came, which walked over all that had expired and still holds for a while. Now they are work of the system like
-- the others. They are found by the time since which no token of theirs can live.
DROP TRIGGER revocation_expire ON revocation;
DROP FUNCTION revocation_expire();
DROP INDEX revocation_expiry;
CREATE INDEX revocation_age ON revocation ((greatest(created_at, before)));
GRANT DELETE ON revocation TO cortex_worker;

-- ---- begun marks ----

-- A mark goes with its command. It stays when the command ends another way: it was cancelled, or its company is gone.
CREATE INDEX begun_mark_age ON begun_mark (at);

INSERT INTO schedule (name, cron, type, next_at) VALUES
    ('revocation.retention', '26 * * * *', 'revocation.retention', now()),
    ('begun_mark.retention', '16 * * * *', 'begun_mark.retention', now())
ON CONFLICT (name) DO NOTHING;
