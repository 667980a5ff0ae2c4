-- Tokens that are worth nothing any more, although their signature and their time are in order.

CREATE TABLE revocation (
    company_id uuid        NOT NULL REFERENCES company ON DELETE CASCADE,
    id         uuid        NOT NULL,
    user_id    uuid        NOT NULL, -- not a foreign key: a token's subject may have its account elsewhere
    before     timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    version    bigint      NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, id)
);
CREATE INDEX revocation_list ON revocation (company_id, created_at, id);
CREATE INDEX revocation_expiry ON revocation (expires_at);

-- What has expired says nothing: it goes when the next one comes.
CREATE FUNCTION revocation_expire() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    DELETE FROM public.revocation AS x USING
        (SELECT company_id, id FROM public.revocation WHERE expires_at < now() ORDER BY expires_at
         LIMIT 100 FOR UPDATE SKIP LOCKED) AS expired
    WHERE x.company_id = expired.company_id AND x.id = expired.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER revocation_expire AFTER INSERT ON revocation
    FOR EACH STATEMENT EXECUTE FUNCTION revocation_expire();

ALTER TABLE revocation ENABLE ROW LEVEL SECURITY;
-- A gateway looks at a token before it believes what company it is of, so it has to know the revocations of all.
CREATE POLICY every_company_gateway ON revocation FOR SELECT TO cortex_gateway USING (true);
CREATE POLICY every_company ON revocation TO cortex_worker USING (true) WITH CHECK (true);
GRANT SELECT ON revocation TO cortex_gateway;
GRANT SELECT, INSERT ON revocation TO cortex_worker;
