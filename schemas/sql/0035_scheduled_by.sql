-- Who put the schedule that made a command, kept beside who has it run now: an operator who asked for that run, or who replayed its dead
-- letter. The tokens of both are asked about when the command runs. Rows of a process of the version before do not have it.

ALTER TABLE deferred
    ADD COLUMN scheduled_by      uuid,   -- NULL: no schedule made it
    ADD COLUMN scheduled_company uuid,   -- of that operator's token
    ADD COLUMN scheduled_at      bigint; -- when the schedule was put; seconds since 1970
ALTER TABLE dead_letter
    ADD COLUMN scheduled_by      uuid,
    ADD COLUMN scheduled_company uuid,
    ADD COLUMN scheduled_at      bigint;

-- As in 0029, and keeps who put the schedule.
CREATE OR REPLACE FUNCTION dead_letter_replay(ids uuid[], operator uuid, operator_company uuid) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
    SET lock_timeout = '50ms' AS $$
DECLARE
    moved integer;
BEGIN
    WITH letter AS (
        UPDATE public.dead_letter SET is_replaying = true, replays = replays + 1,
            acted_by = coalesce(operator, acted_by),
            acted_company = CASE WHEN operator IS NULL THEN acted_company ELSE operator_company END,
            acted_at = CASE WHEN operator IS NULL THEN acted_at ELSE floor(extract(epoch FROM clock_timestamp()))::bigint END
        WHERE id IN (SELECT id FROM public.dead_letter
                     WHERE id = ANY (ids) AND NOT is_replaying AND command_id IS NOT NULL AND fingerprint IS NOT NULL
                     FOR UPDATE SKIP LOCKED)
        RETURNING *
    ), verdict AS MATERIALIZED (
        SELECT x.company_id, x.command_id FROM letter AS l
        JOIN public.inbox AS x ON x.company_id = l.company_id AND x.command_id = l.command_id
        WHERE x.http_status >= 500
        FOR UPDATE OF x SKIP LOCKED
    ), gone AS (
        DELETE FROM public.inbox AS x USING verdict AS v WHERE x.company_id = v.company_id AND x.command_id = v.command_id
    )
    INSERT INTO public.deferred AS d (company_id, command_id, pool, slot, reason, first_at, is_replay, type, actor, role,
        subject, parent, if_match, fingerprint, sent, correlation_id, reply_to, traceparent, body, acted_by, acted_company, acted_at,
        scheduled_by, scheduled_company, scheduled_at)
    SELECT company_id, command_id, pool, slot, 'retry', first_at, true, type, actor, role, subject, parent, if_match,
        fingerprint, sent, correlation_id, reply_to, traceparent, body, acted_by, acted_company, acted_at,
        scheduled_by, scheduled_company, scheduled_at
    FROM letter ORDER BY last_at, id
    ON CONFLICT (company_id, command_id) DO UPDATE SET is_replay = true;
    GET DIAGNOSTICS moved = ROW_COUNT;
    RETURN moved;
END
$$;
