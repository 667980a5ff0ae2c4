-- Replaying and dropping dead letters waits for nobody. Before, a replay locked the sequences of all its companies, so one company that
-- somebody held made the replay of all others fail, and what else the worker's housekeeping does stood behind it.
--
-- A replay needs no sequence. It makes its rows of `deferred` as a schedule does, and they wait there for their company like all others.
-- A batch that has the same command in work meanwhile, because its sender sent it again, either sees those rows, or writes its result
-- first: then the run of the row finds that result in `inbox` and only publishes it again. When the batch comes to another dead letter,
-- the row is the run that the operator asked for.
--
-- A dead letter that another transaction holds (another replay, a batch that is writing its next death, retention) is passed over; so is
-- the result of its command, which the next run replaces then. One wait is left: for a batch that is just writing the same row of
-- `deferred`.

CREATE OR REPLACE FUNCTION dead_letter_replay(ids uuid[]) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
    SET lock_timeout = '50ms' AS $$
DECLARE
    moved integer;
BEGIN
    WITH letter AS (
        UPDATE public.dead_letter SET is_replaying = true, replays = replays + 1
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
        subject, parent, if_match, fingerprint, sent, correlation_id, reply_to, traceparent, body)
    SELECT company_id, command_id, pool, slot, 'retry', first_at, true, type, actor, role, subject, parent, if_match,
        fingerprint, sent, correlation_id, reply_to, traceparent, body
    FROM letter ORDER BY last_at, id
    ON CONFLICT (company_id, command_id) DO UPDATE SET is_replay = true;
    GET DIAGNOSTICS moved = ROW_COUNT;
    RETURN moved;
END
$$;

CREATE OR REPLACE FUNCTION dead_letter_drop(ids uuid[]) RETURNS integer
    LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
    WITH dropped AS (
        DELETE FROM public.dead_letter
        WHERE id IN (SELECT id FROM public.dead_letter WHERE id = ANY (ids) AND NOT is_replaying FOR UPDATE SKIP LOCKED)
        RETURNING id)
    SELECT count(*)::integer FROM dropped
$$;
