-- To which key gateways seal the secrets of each pool (workers/engine/secrets/). It is public; its other half is in the pool's file of keys.

CREATE TABLE pool_key (
    pool         text        PRIMARY KEY CHECK (pool <> ''),
    key_id       text        NOT NULL,
    public_key   text        NOT NULL CHECK (char_length(public_key) = 43), -- 32 octets in base64url
    announced_at timestamptz NOT NULL DEFAULT now()
);

-- A pool announces its own key and no other one's.
ALTER TABLE pool_key ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_pool ON pool_key FOR SELECT TO cortex_engine, cortex_gateway USING (true);
CREATE POLICY own_pool ON pool_key TO cortex_engine USING (pg_has_role(current_user, 'cortex_' || pool, 'USAGE'))
    WITH CHECK (pg_has_role(current_user, 'cortex_' || pool, 'USAGE'));
GRANT SELECT, INSERT, UPDATE ON pool_key TO cortex_engine;
GRANT SELECT ON pool_key TO cortex_gateway;
