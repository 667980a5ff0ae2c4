-- Systems that post webhooks to us. The gateway checks signatures before it believes anything, so it has to know the sources of all companies;
-- their secrets rest under keys that it has, too (CORTEX_HOOK_KEYS).

CREATE TABLE hook_source (
    company_id       uuid        NOT NULL REFERENCES company ON DELETE CASCADE,
    id               uuid        NOT NULL,
    legacy_id        text, -- its id in the platform that it was imported from
    name             text        NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    type             text        NOT NULL CHECK (type IN ('stripe', 'github', 'slack', 'shopify', 'standard', 'hmac', 'basic', 'bearer')),
    secret           text        NOT NULL CHECK (secret ~ '^[A-Za-z0-9._-]{1,32}:[A-Za-z0-9_-]{40,}$'),
    secret_before    text CHECK (secret_before ~ '^[A-Za-z0-9._-]{1,32}:[A-Za-z0-9_-]{40,}$'),
    secret_before_until timestamptz,
    user_id          uuid        NOT NULL,
    role             text        NOT NULL CHECK (role IN ('company_admin', 'project_manager', 'supervisor', 'operative', 'developer')),
    mapping          jsonb       NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(mapping) = 'array' AND jsonb_array_length(mapping) BETWEEN 0 AND 50),
    is_active        boolean     NOT NULL DEFAULT true,
    algorithm        text        NOT NULL DEFAULT 'sha256' CHECK (algorithm IN ('sha1', 'sha256', 'sha512')),
    encoding         text        NOT NULL DEFAULT 'hex' CHECK (encoding IN ('hex', 'base64')),
    signature_header text        CHECK (char_length(signature_header) BETWEEN 1 AND 64),
    signature_prefix text        CHECK (char_length(signature_prefix) <= 32),
    timestamp_header text        CHECK (char_length(timestamp_header) BETWEEN 1 AND 64),
    id_header        text        CHECK (char_length(id_header) BETWEEN 1 AND 64),
    id_pointer       text        CHECK (char_length(id_pointer) <= 256),
    event_header     text        CHECK (char_length(event_header) BETWEEN 1 AND 64),
    event_pointer    text        CHECK (char_length(event_pointer) <= 256),
    version          bigint      NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, id)
) WITH (fillfactor = 90); -- room for in-page updates
CREATE UNIQUE INDEX hook_source_legacy ON hook_source (company_id, legacy_id) WHERE legacy_id IS NOT NULL;
CREATE INDEX hook_source_list ON hook_source (company_id, created_at, id);

SELECT resource_rights('hook_source', '{create,update,delete}', 'webhooks');

CREATE POLICY every_company_gateway ON hook_source FOR SELECT TO cortex_gateway
    USING (current_setting('cortex.company', true) = '00000000-0000-0000-0000-000000000000');
