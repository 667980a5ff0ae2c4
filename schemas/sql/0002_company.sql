-- Companies (tenants), their people, and the counters that belong to a company.
-- company_id leads every primary key; `legacy_id` is the id that a row had in the first CortexBuild.

CREATE TABLE company (
    id          uuid PRIMARY KEY,
    legacy_id   text,
    name        text        NOT NULL CHECK (name <> ''),
    description text,
    industry    text,
    size        text,
    address     text,
    city        text,
    state       text,
    zip         text,
    country     text,
    phone       text,
    website     text,
    version     bigint      NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX company_legacy ON company (legacy_id) WHERE legacy_id IS NOT NULL;

-- The number of the last event of each company. Every batch updates it: the row is narrow and its page is nearly empty,
-- so that the new version always fits beside the old one (HOT) and the index is never touched.
CREATE TABLE company_sequence (
    company_id uuid   PRIMARY KEY REFERENCES company ON DELETE CASCADE,
    seq        bigint NOT NULL DEFAULT 0 CHECK (seq >= 0),
    -- Which stream `seq` counts. Whoever sets `seq` back (a restored backup) changes it, and clients reload.
    epoch      text   NOT NULL DEFAULT left(gen_random_uuid()::text, 8) CHECK (epoch <> '')
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE FUNCTION company_sequence_begin() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO public.company_sequence (company_id) VALUES (NEW.id);
    RETURN NULL;
END
$$;
CREATE TRIGGER company_sequence_begin AFTER INSERT ON company
    FOR EACH ROW EXECUTE FUNCTION company_sequence_begin();

-- Numbers given in sequence without gaps: scope 'project/2026' → PRJ-2026-0001. The company's sequence row is locked by
-- whoever counts, so that a rolled-back batch gives its numbers back.
-- No foreign key: the locked sequence row proves the company, and a check for each number would cost more than the number.
CREATE TABLE counter (
    company_id uuid   NOT NULL,
    scope      text   NOT NULL CHECK (scope <> ''),
    value      bigint NOT NULL CHECK (value >= 0),
    PRIMARY KEY (company_id, scope)
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE TABLE app_user (
    company_id     uuid        NOT NULL REFERENCES company ON DELETE CASCADE,
    id             uuid        NOT NULL,
    legacy_id      text,
    email          text        NOT NULL CHECK (email LIKE '_%@_%'),
    name           text        NOT NULL CHECK (name <> ''),
    password_hash  text,
    role           text        NOT NULL DEFAULT 'operative' CHECK (role IN
        ('super_admin', 'company_admin', 'project_manager', 'supervisor', 'operative', 'developer')),
    phone          text,
    avatar         text,
    active         boolean     NOT NULL DEFAULT true,
    email_verified boolean     NOT NULL DEFAULT false,
    version        bigint      NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, id)
);
CREATE UNIQUE INDEX app_user_email ON app_user (lower(email)); -- one address, one account, in all companies
CREATE UNIQUE INDEX app_user_legacy ON app_user (company_id, legacy_id) WHERE legacy_id IS NOT NULL;

ALTER TABLE company ENABLE ROW LEVEL SECURITY;
ALTER TABLE company_sequence ENABLE ROW LEVEL SECURITY;
ALTER TABLE counter ENABLE ROW LEVEL SECURITY;
ALTER TABLE app_user ENABLE ROW LEVEL SECURITY;

CREATE POLICY own_company ON company FOR SELECT TO cortex_gateway
    USING (id = nullif(current_setting('cortex.company', true), '')::uuid);
CREATE POLICY own_company ON company_sequence FOR SELECT TO cortex_gateway
    USING (company_id = nullif(current_setting('cortex.company', true), '')::uuid);
CREATE POLICY own_company ON app_user FOR SELECT TO cortex_gateway
    USING (company_id = nullif(current_setting('cortex.company', true), '')::uuid);

CREATE POLICY every_company ON company TO cortex_worker USING (true) WITH CHECK (true);
CREATE POLICY every_company ON company_sequence TO cortex_worker USING (true) WITH CHECK (true);
CREATE POLICY every_company ON counter TO cortex_worker USING (true) WITH CHECK (true);
CREATE POLICY every_company ON app_user TO cortex_worker USING (true) WITH CHECK (true);

GRANT SELECT ON company, company_sequence TO cortex_gateway;
GRANT SELECT (company_id, id, email, name, role, phone, avatar, active, email_verified, version, created_at, updated_at)
    ON app_user TO cortex_gateway; -- everything but the password
GRANT SELECT, UPDATE (seq) ON company_sequence TO cortex_worker;
GRANT SELECT, INSERT, UPDATE ON counter TO cortex_worker;
GRANT SELECT ON company TO cortex_worker;
GRANT SELECT (company_id, id, role, active) ON app_user TO cortex_worker;
