-- Who acted, beside the person in whose name a command runs: an operator who put its schedule or replayed its dead letter. Both are asked
-- about when the command runs: a person whose tokens were revoked since does nothing any more, in nobody's name.

ALTER TABLE schedule
    ADD COLUMN changed_by_company uuid; -- of the operator's token
ALTER TABLE deferred
    ADD COLUMN acted_by      uuid,   -- NULL: nobody but the actor
    ADD COLUMN acted_company uuid,   -- of that operator's token
    ADD COLUMN acted_at      bigint; -- seconds since 1970
ALTER TABLE dead_letter
    ADD COLUMN acted_by      uuid,
    ADD COLUMN acted_company uuid,
    ADD COLUMN acted_at      bigint;

-- Schedules that are there already: as far as it is known which company their operator is of.
UPDATE schedule AS s SET changed_by_company = coalesce(
    (SELECT a.company_id FROM operator_act AS a
     WHERE a.act = 'schedule.put' AND a.subject = s.name AND a.actor = s.changed_by AND a.outcome = 'ok' ORDER BY a.at DESC LIMIT 1),
    (SELECT u.company_id FROM app_user AS u WHERE u.id = s.changed_by LIMIT 1))
WHERE s.changed_by IS NOT NULL AND s.company_id IS NOT NULL;

-- As in 0023, and notes who replays. NULL: a process of the version before, which does not say.
CREATE FUNCTION dead_letter_replay(ids uuid[], operator uuid, operator_company uuid) RETURNS integer
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
        subject, parent, if_match, fingerprint, sent, correlation_id, reply_to, traceparent, body, acted_by, acted_company, acted_at)
    SELECT company_id, command_id, pool, slot, 'retry', first_at, true, type, actor, role, subject, parent, if_match,
        fingerprint, sent, correlation_id, reply_to, traceparent, body, acted_by, acted_company, acted_at
    FROM letter ORDER BY last_at, id
    ON CONFLICT (company_id, command_id) DO UPDATE SET is_replay = true;
    GET DIAGNOSTICS moved = ROW_COUNT;
    RETURN moved;
END
$$;
CREATE OR REPLACE FUNCTION dead_letter_replay(ids uuid[]) RETURNS integer
    LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT public.dead_letter_replay(ids, NULL, NULL)
$$;
REVOKE ALL ON FUNCTION dead_letter_replay(uuid[], uuid, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION dead_letter_replay(uuid[], uuid, uuid) TO cortex_worker;
