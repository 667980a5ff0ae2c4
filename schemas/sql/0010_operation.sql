-- What a client may cancel under the id of its command: a command that waits for its time, which then never runs; a long job, which
-- ends at its next step. One command (job.cancel) for both, under the lock of the company's sequence: what it finds waiting here
-- nobody has begun, and nobody begins.

CREATE VIEW operation WITH (security_invoker = true) AS
    SELECT company_id, id, kind, status, cancel_asked, done, total, error, due_at, ended_at, false AS has_begun, version, created_at,
           updated_at
    FROM long_job
    UNION ALL
    SELECT company_id, command_id, type, 'pending', false, 0, 0, error, due_at, NULL, reason <> 'schedule', 1, first_at, last_at
    FROM deferred
    UNION ALL
    SELECT i.company_id, i.command_id, 'command', 'completed', false, 0, 0, NULL, NULL, i.at, true, 1, i.at, i.at
    FROM inbox AS i
    WHERE NOT EXISTS (SELECT FROM long_job AS j WHERE j.company_id = i.company_id AND j.id = i.command_id);

CREATE FUNCTION operation_cancel() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    waiting public.deferred;
BEGIN
    DELETE FROM public.deferred WHERE company_id = OLD.company_id AND command_id = OLD.id AND reason = 'schedule'
        RETURNING * INTO waiting;
    IF FOUND THEN
        INSERT INTO public.inbox (company_id, command_id, fingerprint, status, http_status, refusal, at)
        VALUES (OLD.company_id, OLD.id, waiting.fingerprint, 'cancelled', 409, '{}', NEW.updated_at);
        NEW.status := 'cancelled';
    ELSE
        UPDATE public.long_job SET cancel_asked = NEW.cancel_asked, due_at = NEW.due_at, version = NEW.version,
            updated_at = NEW.updated_at
        WHERE company_id = OLD.company_id AND id = OLD.id;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER operation_cancel INSTEAD OF UPDATE ON operation FOR EACH ROW EXECUTE FUNCTION operation_cancel();

GRANT SELECT, UPDATE ON operation TO cortex_worker;
