-- Webhooks that were posted to us, as they came, and what became of them.

CREATE TABLE hook_event (
    company_id uuid        NOT NULL REFERENCES company ON DELETE CASCADE,
    id         uuid        NOT NULL,
    legacy_id  text, -- its id in the platform that it was imported from
    source_id  uuid        NOT NULL,
    sender_id  text        CHECK (char_length(sender_id) <= 255),
    event      text        CHECK (char_length(event) <= 255),
    headers    jsonb       NOT NULL CHECK (jsonb_typeof(headers) = 'array' AND jsonb_array_length(headers) BETWEEN 0 AND 1024),
    size       integer     NOT NULL CHECK (size BETWEEN 0 AND 4194304),
    body       bytea       NOT NULL CHECK (octet_length(body) <= 4194306),
    work       text        CHECK (char_length(work) <= 16777216),
    status     text        NOT NULL DEFAULT 'unmapped' CHECK (status IN ('unmapped', 'mapped', 'failed')),
    reasons    jsonb       NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(reasons) = 'array' AND jsonb_array_length(reasons) BETWEEN 0 AND 200),
    commands   jsonb       NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(commands) = 'array' AND jsonb_array_length(commands) BETWEEN 0 AND 50),
    version    bigint      NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, id)
) WITH (fillfactor = 90); -- room for in-page updates
CREATE UNIQUE INDEX hook_event_legacy ON hook_event (company_id, legacy_id) WHERE legacy_id IS NOT NULL;
CREATE INDEX hook_event_list ON hook_event (company_id, created_at, id);
CREATE INDEX hook_event_list_source_id ON hook_event (company_id, source_id, created_at, id);

SELECT resource_rights('hook_event', '{create,update}', 'webhooks');
-- One that was mapped again is kept anew.
CREATE INDEX hook_event_expiry ON hook_event ((greatest(created_at, updated_at)));

-- What the worker has put into `work` becomes rows of `deferred`, which the pools that they are for run like any others. The id of a command
-- follows from the event and the rule, so what has run, or waits, is left alone. It runs as the owner: a pool puts no commands of others there
-- by itself. No command has the rights of operators.
CREATE FUNCTION hook_event_commands() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    work jsonb := NEW.work::jsonb;
BEGIN
    INSERT INTO public.deferred (company_id, command_id, pool, slot, reason, due_at, type, actor, role, subject, parent, fingerprint, sent, body)
    SELECT NEW.company_id, (m.made ->> 'id')::uuid, m.made ->> 'pool', public.company_slot(NEW.company_id), 'schedule',
           now() + m.n * interval '1 microsecond', m.made ->> 'type', (work ->> 'user_id')::uuid, work ->> 'role',
           (m.made ->> 'subject')::uuid, (m.made ->> 'parent')::uuid, (m.made ->> 'fingerprint')::bigint,
           extract(epoch FROM now())::bigint, decode(m.made ->> 'body', 'base64')
      FROM jsonb_array_elements(work -> 'made') WITH ORDINALITY AS m (made, n)
     WHERE work ->> 'role' <> 'super_admin'
       AND NOT EXISTS (SELECT FROM public.inbox AS x WHERE x.company_id = NEW.company_id AND x.command_id = (m.made ->> 'id')::uuid)
    ON CONFLICT DO NOTHING;
    NEW.work := NULL;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION hook_event_commands() FROM PUBLIC;
CREATE TRIGGER hook_event_commands BEFORE INSERT OR UPDATE ON hook_event
    FOR EACH ROW WHEN (NEW.work IS NOT NULL) EXECUTE FUNCTION hook_event_commands();

CREATE FUNCTION hook_event_expire(days integer, most integer) RETURNS integer
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
    RETURN public.retention_expire('hook_event', 'greatest(created_at, updated_at)', 'true', days, most);
REVOKE ALL ON FUNCTION hook_event_expire(integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hook_event_expire(integer, integer) TO cortex_engine;

INSERT INTO schedule (name, cron, type, next_at) VALUES
    ('hook_event.retention', '41 * * * *', 'hook_event.retention', now()) ON CONFLICT (name) DO NOTHING;
