-- The JSON text of an event, and of a time, as clients are shown them. PostgreSQL puts the body of such a function into the statement
-- that calls it, because it is one expression and no more volatile than it says: a call costs no more than the text written out.

-- RFC 3339 in UTC with microseconds: 2026-03-01T09:30:00.000000Z.
CREATE FUNCTION time_text(at timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

-- Byte for byte what a worker publishes when the event is new (workers/engine/command/event_body.c). `data` is the last member, so
-- that it can be cut out without parsing.
CREATE FUNCTION event_text(e events) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN '{"type":' || to_json(e.type)
        || ',"seq":' || e.seq
        || ',"id":"' || e.subject || '"'
        || coalesce(',"project":"' || e.project || '"', '')
        || ',"actor":"' || e.actor
        || '","at":"' || time_text(e.at)
        || '","data":' || e.data || '}';
