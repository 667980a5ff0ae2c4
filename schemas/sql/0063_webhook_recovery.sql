-- What an endpoint of webhooks has missed is sent again by a long job (workers/webhooks/recovery.c).

CREATE TABLE webhook_recovery (
    company_id          uuid        NOT NULL,
    id                  uuid        NOT NULL,
    webhook_endpoint_id uuid        NOT NULL,
    since               timestamptz NOT NULL,
    until               timestamptz,
    which               jsonb       NOT NULL DEFAULT '["failed","skipped","missing"]' CHECK (jsonb_typeof(which) = 'array' AND jsonb_array_length(which) BETWEEN 1 AND 3),
    status              text        NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
    error               text        CHECK (char_length(error) <= 64),
    recovered           bigint      CHECK (recovered BETWEEN 0 AND 9007199254740991),
    creator_id          uuid        NOT NULL,
    after_seq           bigint      NOT NULL DEFAULT 0, -- events up to this one are done
    started_at          timestamptz,
    ended_at            timestamptz,
    version             bigint      NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, id),
    FOREIGN KEY (company_id, webhook_endpoint_id) REFERENCES webhook_endpoint ON DELETE CASCADE
) WITH (fillfactor = 50);
CREATE INDEX webhook_recovery_list ON webhook_recovery (company_id, webhook_endpoint_id, created_at, id);
SELECT resource_rights('webhook_recovery', '{create}', 'webhooks');
SELECT table_rights('webhook_recovery', 'webhooks', '{SELECT,INSERT,UPDATE}');

-- The recovery and its job come and go in one transaction.
CREATE FUNCTION webhook_recovery_begin() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO public.long_job (company_id, id, pool, kind, actor)
    VALUES (NEW.company_id, NEW.id, 'webhooks', 'webhook_recovery.events', NEW.creator_id);
    RETURN NULL;
END
$$;
CREATE TRIGGER webhook_recovery_begin AFTER INSERT ON webhook_recovery FOR EACH ROW EXECUTE FUNCTION webhook_recovery_begin();

CREATE FUNCTION webhook_recovery_end() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    DELETE FROM public.long_job WHERE company_id = OLD.company_id AND id = OLD.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER webhook_recovery_end AFTER DELETE ON webhook_recovery FOR EACH ROW EXECUTE FUNCTION webhook_recovery_end();
REVOKE ALL ON FUNCTION webhook_recovery_begin(), webhook_recovery_end() FROM PUBLIC;

-- One row: each delivery of an event of this time or later is still there. What has no delivery from before it may have had one.
CREATE TABLE webhook_kept (since timestamptz NOT NULL);
INSERT INTO webhook_kept VALUES ('-infinity');
ALTER TABLE webhook_kept ENABLE ROW LEVEL SECURITY;
CREATE POLICY everybody ON webhook_kept FOR SELECT TO cortex_webhooks USING (true);
GRANT SELECT ON webhook_kept TO cortex_webhooks;

-- As it was (0062_webhooks.sql), and says from when on deliveries are kept.
CREATE OR REPLACE FUNCTION webhook_delivery_expire(days integer, most integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE public.webhook_kept SET since = now() - make_interval(days => days) WHERE since < now() - make_interval(days => days);
    RETURN public.retention_expire('webhook_delivery', 'coalesce(attempted_at, created_at)', 'next_at IS NULL', days, most);
END
$$;
