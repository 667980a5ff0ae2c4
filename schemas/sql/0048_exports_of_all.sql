-- Exports of every resource that has a list. The names of resources are checked by the worker, so that a new one needs no change here. The pool
-- whose workers write the file is said by the worker that makes the export; those of the version before leave it out.

ALTER TABLE export DROP CONSTRAINT export_resource_check;
ALTER TABLE export ADD CONSTRAINT export_resource_check CHECK (char_length(resource) BETWEEN 1 AND 63) NOT VALID;
ALTER TABLE export ADD COLUMN pool text NOT NULL DEFAULT 'projects';

CREATE OR REPLACE FUNCTION export_begin() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO public.long_job (company_id, id, pool, kind, actor)
    VALUES (NEW.company_id, NEW.id, NEW.pool, 'export.' || NEW.resource || '.' || NEW.format, NEW.creator_id);
    RETURN NULL;
END
$$;
