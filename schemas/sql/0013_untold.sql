-- What ran from a row of `deferred` and of which nobody is known to have heard. The broker holds a delivery until its events and
-- its reply are confirmed, and delivers it again when a worker dies before; a row is gone with the commit. So the batch that runs
-- it leaves this behind, and the worker deletes it when all is confirmed. What is found here later, is told (again) from `inbox` and
-- `events`.

CREATE TABLE untold (
    company_id     uuid        NOT NULL,
    command_id     uuid        NOT NULL,
    pool           text        NOT NULL,
    slot           integer     NOT NULL CHECK (slot BETWEEN 0 AND 65535),
    at             timestamptz NOT NULL DEFAULT now(),
    -- The command without its body: common/envelope.h.
    type           text        NOT NULL CHECK (type <> ''),
    actor          uuid        NOT NULL,
    role           text        NOT NULL CHECK (role <> ''),
    subject        uuid,
    parent         uuid,
    if_match       bigint      NOT NULL DEFAULT 0,
    fingerprint    bigint      NOT NULL,
    sent           bigint      NOT NULL DEFAULT 0,
    correlation_id text,
    reply_to       text,
    traceparent    text,
    PRIMARY KEY (company_id, command_id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

CREATE INDEX untold_oldest ON untold (pool, at);

ALTER TABLE untold ENABLE ROW LEVEL SECURITY;
CREATE POLICY every_company ON untold TO cortex_worker USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, DELETE ON untold TO cortex_worker;
