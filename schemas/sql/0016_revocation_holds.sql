-- A revocation holds until no token and no waiting command that it speaks of is left.

-- Whether somebody's tokens were revoked is asked by user when a command that had waited runs.
CREATE INDEX revocation_user ON revocation (company_id, user_id, before);

-- A token may live for 366 days (the most that CORTEX_AUTH_MAX_LIFE_MS may say) and a while, for clocks that differ. A command that
-- waits, or a schedule, may be older than that. What nothing needs any more goes when the next revocation comes.
CREATE OR REPLACE FUNCTION revocation_expire() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    DELETE FROM public.revocation AS x USING
        (SELECT company_id, id FROM public.revocation AS r
         WHERE expires_at < now() AND created_at < now() - interval '370 days' AND before < now() - interval '370 days'
           AND NOT EXISTS (SELECT FROM public.deferred AS d
                           WHERE d.company_id = r.company_id AND d.actor = r.user_id AND to_timestamp(d.sent) <= r.before)
           AND NOT EXISTS (SELECT FROM public.schedule AS s
                           WHERE s.company_id = r.company_id AND s.actor = r.user_id AND s.updated_at <= r.before)
         ORDER BY expires_at LIMIT 100 FOR UPDATE SKIP LOCKED) AS expired
    WHERE x.company_id = expired.company_id AND x.id = expired.id;
    RETURN NULL;
END
$$;
