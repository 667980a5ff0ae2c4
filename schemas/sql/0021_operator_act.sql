-- What operators do, and in whose name. A worker writes it (workers/engine/housekeeping/acts.h): the row and what the operator asked
-- for are of one transaction.

CREATE TABLE operator_act (
    id             uuid        NOT NULL PRIMARY KEY,
    at             timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor          uuid        NOT NULL,           -- who acted: the `sub` of the token
    company_id     uuid,                           -- of that token
    act            text        NOT NULL CHECK (act <> ''), -- 'schedule.put', 'dead.replay', 'pool.resize', …
    subject        text,                           -- on which
    on_behalf_of   uuid,                           -- in whose name it takes effect
    request        jsonb,                          -- what was asked for, without the body of a command
    correlation_id text,                           -- X-Request-Id
    outcome        text        NOT NULL            -- slug of common/err.def, or 'begun': nobody has heard how it ended
);
CREATE INDEX operator_act_list ON operator_act (at, id);

ALTER TABLE operator_act ENABLE ROW LEVEL SECURITY;
CREATE POLICY operator ON operator_act FOR SELECT TO cortex_gateway USING (current_setting('cortex.operator', true) = 'on');
CREATE POLICY every_company ON operator_act TO cortex_worker USING (true) WITH CHECK (true);
GRANT SELECT ON operator_act TO cortex_gateway;
GRANT SELECT, INSERT, UPDATE, DELETE ON operator_act TO cortex_worker;

-- A revocation is a command, so it is recorded where it takes effect. Workers of the version before do not say who asked for it.
ALTER TABLE revocation ADD COLUMN revoked_by uuid;

CREATE FUNCTION revocation_record() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO public.operator_act (id, actor, company_id, act, subject, request, outcome)
    VALUES (NEW.id, NEW.revoked_by, NEW.company_id, 'revocation.create', NEW.user_id::text,
            jsonb_build_object('before', NEW.before, 'expires_at', NEW.expires_at), 'ok')
    ON CONFLICT (id) DO NOTHING;
    RETURN NULL;
END
$$;
CREATE TRIGGER revocation_record AFTER INSERT ON revocation
    FOR EACH ROW WHEN (NEW.revoked_by IS NOT NULL) EXECUTE FUNCTION revocation_record();

INSERT INTO schedule (name, cron, type, next_at) VALUES
    ('operator_act.retention', '56 * * * *', 'operator_act.retention', now())
ON CONFLICT (name) DO NOTHING;
