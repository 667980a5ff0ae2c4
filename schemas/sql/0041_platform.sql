-- What the platform keeps beside projects and tasks: the people and companies that projects deal with, papers, money, and what is said and
-- done. Each table is as `schemac --migration` prints it from its schema. And the company itself becomes a resource.

-- A merge patch (RFC 7396), for fields that are objects.
CREATE FUNCTION json_merge_patch(target jsonb, patch jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF patch IS NULL OR jsonb_typeof(patch) <> 'object' THEN
        RETURN patch;
    END IF;
    IF target IS NULL OR jsonb_typeof(target) <> 'object' THEN
        target := '{}';
    END IF;
    RETURN coalesce((SELECT jsonb_object_agg(m.key, m.value)
                     FROM (SELECT t.key, t.value FROM jsonb_each(target) AS t WHERE NOT patch ? t.key
                           UNION ALL
                           SELECT p.key, public.json_merge_patch(target -> p.key, p.value)
                           FROM jsonb_each(patch) AS p WHERE p.value <> 'null') AS m), '{}');
END
$$;

-- ---- the company ----

-- A row of a resource has the company's id and its own; of a company they are the same. (The table is small, so writing it anew is short.)
ALTER TABLE company
    ADD COLUMN company_id uuid NOT NULL GENERATED ALWAYS AS (id) STORED,
    ADD COLUMN time_zone  text NOT NULL DEFAULT 'UTC' CHECK (char_length(time_zone) BETWEEN 1 AND 64),
    ADD COLUMN currency   text NOT NULL DEFAULT 'EUR' CHECK (char_length(currency) = 3);

SELECT resource_rights('company', '{update}');

CREATE FUNCTION time_zone_is_known(zone text) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF zone !~ '^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$' THEN -- PostgreSQL takes POSIX zones, too
        RETURN false;
    END IF;
    PERFORM now() AT TIME ZONE zone;
    RETURN true;
EXCEPTION WHEN invalid_parameter_value THEN
    RETURN false;
END
$$;

-- The day that it is for the company.
CREATE FUNCTION company_day(company uuid, at timestamptz) RETURNS date
    LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT (at AT TIME ZONE c.time_zone)::date FROM public.company AS c WHERE c.id = company
$$;

REVOKE ALL ON FUNCTION json_merge_patch(jsonb, jsonb), time_zone_is_known(text), company_day(uuid, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION json_merge_patch(jsonb, jsonb), time_zone_is_known(text), company_day(uuid, timestamptz) TO cortex_worker;

-- The entities of schemas/messages/client.json.

CREATE TABLE client (
    company_id         uuid           NOT NULL REFERENCES company ON DELETE CASCADE,
    id                 uuid           NOT NULL,
    legacy_id          text, -- its id in the platform that it was imported from
    name               text           NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    description        text           CHECK (char_length(description) <= 10000),
    contact_name       text           CHECK (char_length(contact_name) <= 200),
    email              text           CHECK (char_length(email) <= 254),
    phone              text           CHECK (char_length(phone) <= 50),
    address            text           CHECK (char_length(address) <= 500),
    website            text           CHECK (char_length(website) <= 500),
    tax_id             text           CHECK (char_length(tax_id) <= 50),
    payment_terms_days integer        NOT NULL DEFAULT 30 CHECK (payment_terms_days BETWEEN 0 AND 3650),
    credit_limit       numeric(14, 2) CHECK (credit_limit BETWEEN 0 AND 999999999999.99),
    notes              text           CHECK (char_length(notes) <= 10000),
    active             boolean        NOT NULL DEFAULT true,
    version            bigint         NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at         timestamptz    NOT NULL DEFAULT now(),
    updated_at         timestamptz    NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, id)
) WITH (fillfactor = 90); -- room for in-page updates
CREATE UNIQUE INDEX client_legacy ON client (company_id, legacy_id) WHERE legacy_id IS NOT NULL;
CREATE INDEX client_list ON client (company_id, created_at, id);

SELECT text_search_prepare('client', '{name,contact_name,email}');
SELECT text_search_begin('client', '{name,contact_name,email}');

SELECT resource_rights('client', '{create,update,delete}');

-- The entities of schemas/messages/project_member.json.

CREATE TABLE project_member (
    company_id     uuid           NOT NULL,
    id             uuid           NOT NULL,
    legacy_id      text, -- its id in the platform that it was imported from
    project_id     uuid           NOT NULL,
    user_id        uuid           NOT NULL,
    role           text           NOT NULL DEFAULT 'member' CHECK (char_length(role) BETWEEN 1 AND 64),
    responsibility text           CHECK (char_length(responsibility) <= 500),
    hourly_rate    numeric(14, 2) CHECK (hourly_rate BETWEEN 0 AND 999999999999.99),
    joined_on      date,
    left_on        date,
    version        bigint         NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at     timestamptz    NOT NULL DEFAULT now(),
    updated_at     timestamptz    NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, id),
    FOREIGN KEY (company_id, project_id) REFERENCES project ON DELETE CASCADE
) WITH (fillfactor = 90); -- room for in-page updates
CREATE UNIQUE INDEX project_member_legacy ON project_member (company_id, legacy_id) WHERE legacy_id IS NOT NULL;
CREATE INDEX project_member_list ON project_member (company_id, project_id, created_at, id);
CREATE UNIQUE INDEX project_member_user_id ON project_member (company_id, project_id, user_id);

SELECT resource_rights('project_member', '{create,update,delete}');

-- The entities of schemas/messages/milestone.json.

CREATE TABLE milestone (
    company_id   uuid        NOT NULL,
    id           uuid        NOT NULL,
    legacy_id    text, -- its id in the platform that it was imported from
    project_id   uuid        NOT NULL,
    title        text        NOT NULL CHECK (char_length(title) BETWEEN 1 AND 200),
    description  text        CHECK (char_length(description) <= 10000),
    due_date     date,
    status       text        NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'in-progress', 'completed', 'delayed')),
    progress     integer     NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
    completed_at timestamptz,
    version      bigint      NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, id),
    FOREIGN KEY (company_id, project_id) REFERENCES project ON DELETE CASCADE
) WITH (fillfactor = 90); -- room for in-page updates
CREATE UNIQUE INDEX milestone_legacy ON milestone (company_id, legacy_id) WHERE legacy_id IS NOT NULL;
CREATE INDEX milestone_list ON milestone (company_id, project_id, created_at, id);

SELECT resource_rights('milestone', '{create,update,delete}');

-- The entities of schemas/messages/rfi.json.

CREATE TABLE rfi (
    company_id   uuid        NOT NULL,
    id           uuid        NOT NULL,
    legacy_id    text, -- its id in the platform that it was imported from
    project_id   uuid        NOT NULL,
    number       text        NOT NULL CHECK (char_length(number) BETWEEN 1 AND 32),
    subject      text        NOT NULL CHECK (char_length(subject) BETWEEN 1 AND 200),
    question     text        NOT NULL CHECK (char_length(question) BETWEEN 1 AND 10000),
    answer       text        CHECK (char_length(answer) <= 10000),
    status       text        NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'answered', 'closed', 'void')),
    priority     text        NOT NULL DEFAULT 'medium' CHECK (priority IN ('low', 'medium', 'high', 'critical')),
    submitter_id uuid        NOT NULL,
    assignee_id  uuid,
    due_date     date,
    answered_at  timestamptz,
    version      bigint      NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, id),
    FOREIGN KEY (company_id, project_id) REFERENCES project ON DELETE CASCADE
) WITH (fillfactor = 90); -- room for in-page updates
CREATE UNIQUE INDEX rfi_legacy ON rfi (company_id, legacy_id) WHERE legacy_id IS NOT NULL;
CREATE INDEX rfi_list ON rfi (company_id, project_id, created_at, id);
CREATE INDEX rfi_list_assignee_id ON rfi (company_id, project_id, assignee_id, created_at, id) WHERE assignee_id IS NOT NULL;
CREATE UNIQUE INDEX rfi_number ON rfi (company_id, project_id, number);

SELECT text_search_prepare('rfi', '{number,subject,question,answer}');
SELECT text_search_begin('rfi', '{number,subject,question,answer}');

SELECT resource_rights('rfi', '{create,update}');

-- The entities of schemas/messages/document.json.

CREATE TABLE document (
    company_id         uuid        NOT NULL REFERENCES company ON DELETE CASCADE,
    id                 uuid        NOT NULL,
    legacy_id          text, -- its id in the platform that it was imported from
    project_id         uuid,
    name               text        NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    description        text        CHECK (char_length(description) <= 10000),
    file_path          text        NOT NULL CHECK (char_length(file_path) BETWEEN 1 AND 1000),
    mime_type          text        CHECK (char_length(mime_type) <= 127),
    bytes              bigint      NOT NULL CHECK (bytes BETWEEN 0 AND 9007199254740991),
    category           text        NOT NULL DEFAULT 'other' CHECK (category IN ('contract', 'drawing', 'photo', 'report', 'invoice', 'other')),
    tags               jsonb       NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(tags) = 'array' AND jsonb_array_length(tags) BETWEEN 0 AND 32),
    public             boolean     NOT NULL DEFAULT false,
    uploader_id        uuid        NOT NULL,
    revision           integer     NOT NULL DEFAULT 1 CHECK (revision BETWEEN 1 AND 1000000),
    parent_document_id uuid,
    version            bigint      NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, id),
    FOREIGN KEY (company_id, project_id) REFERENCES project,
    FOREIGN KEY (company_id, parent_document_id) REFERENCES document ON DELETE SET NULL (parent_document_id)
) WITH (fillfactor = 90); -- room for in-page updates
CREATE UNIQUE INDEX document_legacy ON document (company_id, legacy_id) WHERE legacy_id IS NOT NULL;
CREATE INDEX document_list ON document (company_id, created_at, id);
CREATE INDEX document_list_project_id ON document (company_id, project_id, created_at, id) WHERE project_id IS NOT NULL;
CREATE INDEX document_list_category ON document (company_id, category, created_at, id);
CREATE INDEX document_key_parent_document_id ON document USING hash (parent_document_id) WHERE parent_document_id IS NOT NULL;

SELECT text_search_prepare('document', '{name,description}');
SELECT text_search_begin('document', '{name,description}');

SELECT resource_rights('document', '{create,update,delete}');

-- The entities of schemas/messages/time_entry.json.

CREATE TABLE time_entry (
    company_id  uuid           NOT NULL,
    id          uuid           NOT NULL,
    legacy_id   text, -- its id in the platform that it was imported from
    project_id  uuid           NOT NULL,
    task_id     uuid,
    user_id     uuid,
    description text           CHECK (char_length(description) <= 2000),
    worked_on   date,
    started_at  timestamptz,
    ended_at    timestamptz,
    minutes     integer        NOT NULL CHECK (minutes BETWEEN 1 AND 527040),
    billable    boolean        NOT NULL DEFAULT true,
    hourly_rate numeric(14, 2) CHECK (hourly_rate BETWEEN 0 AND 999999999999.99),
    amount      numeric(14, 2) NOT NULL DEFAULT 0 CHECK (amount BETWEEN 0 AND 999999999999.99),
    version     bigint         NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at  timestamptz    NOT NULL DEFAULT now(),
    updated_at  timestamptz    NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, id),
    FOREIGN KEY (company_id, project_id) REFERENCES project ON DELETE CASCADE,
    FOREIGN KEY (company_id, task_id) REFERENCES task ON DELETE SET NULL (task_id)
) WITH (fillfactor = 90); -- room for in-page updates
CREATE UNIQUE INDEX time_entry_legacy ON time_entry (company_id, legacy_id) WHERE legacy_id IS NOT NULL;
CREATE INDEX time_entry_list ON time_entry (company_id, project_id, created_at, id);
CREATE INDEX time_entry_list_task_id ON time_entry (company_id, project_id, task_id, created_at, id) WHERE task_id IS NOT NULL;
CREATE INDEX time_entry_list_user_id ON time_entry (company_id, project_id, user_id, created_at, id) WHERE user_id IS NOT NULL;
CREATE INDEX time_entry_key_task_id ON time_entry USING hash (task_id) WHERE task_id IS NOT NULL;

SELECT resource_rights('time_entry', '{create,update,delete}');

-- The entities of schemas/messages/invoice.json.

CREATE TABLE invoice (
    company_id   uuid           NOT NULL REFERENCES company ON DELETE CASCADE,
    id           uuid           NOT NULL,
    legacy_id    text, -- its id in the platform that it was imported from
    number       text           CHECK (char_length(number) BETWEEN 1 AND 32),
    project_id   uuid,
    client_id    uuid           NOT NULL,
    title        text           CHECK (char_length(title) <= 200),
    status       text           NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'sent', 'paid', 'overdue', 'cancelled')),
    issue_date   date,
    due_date     date,
    subtotal     numeric(14, 2) NOT NULL DEFAULT 0 CHECK (subtotal BETWEEN -999999999999.99 AND 999999999999.99),
    tax_rate     numeric(6, 3)  NOT NULL DEFAULT 0 CHECK (tax_rate BETWEEN 0 AND 100),
    tax_amount   numeric(14, 2) NOT NULL DEFAULT 0 CHECK (tax_amount BETWEEN -999999999999.99 AND 999999999999.99),
    total        numeric(14, 2) NOT NULL DEFAULT 0 CHECK (total BETWEEN -999999999999.99 AND 999999999999.99),
    paid_amount  numeric(14, 2) NOT NULL DEFAULT 0 CHECK (paid_amount BETWEEN 0 AND 999999999999.99),
    balance      numeric(14, 2) NOT NULL DEFAULT 0 CHECK (balance BETWEEN -999999999999.99 AND 999999999999.99),
    is_overdue   boolean        NOT NULL DEFAULT false,
    terms        text           CHECK (char_length(terms) <= 2000),
    notes        text           CHECK (char_length(notes) <= 10000),
    sent_at      timestamptz,
    paid_at      timestamptz,
    cancelled_at timestamptz,
    creator_id   uuid           NOT NULL,
    version      bigint         NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at   timestamptz    NOT NULL DEFAULT now(),
    updated_at   timestamptz    NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, id),
    FOREIGN KEY (company_id, project_id) REFERENCES project,
    FOREIGN KEY (company_id, client_id) REFERENCES client
) WITH (fillfactor = 90); -- room for in-page updates
CREATE UNIQUE INDEX invoice_legacy ON invoice (company_id, legacy_id) WHERE legacy_id IS NOT NULL;
CREATE INDEX invoice_list ON invoice (company_id, created_at, id);
CREATE INDEX invoice_list_project_id ON invoice (company_id, project_id, created_at, id) WHERE project_id IS NOT NULL;
CREATE INDEX invoice_list_client_id ON invoice (company_id, client_id, created_at, id);
CREATE INDEX invoice_list_status ON invoice (company_id, status, created_at, id);
CREATE UNIQUE INDEX invoice_number ON invoice (company_id, number);

SELECT resource_rights('invoice', '{create,update,delete}');

-- The entities of schemas/messages/invoice_item.json.

CREATE TABLE invoice_item (
    company_id  uuid           NOT NULL,
    id          uuid           NOT NULL,
    legacy_id   text, -- its id in the platform that it was imported from
    invoice_id  uuid           NOT NULL,
    project_id  uuid,
    description text           NOT NULL CHECK (char_length(description) BETWEEN 1 AND 1000),
    quantity    numeric(11, 3) NOT NULL DEFAULT 1 CHECK (quantity BETWEEN 0 AND 99999999.999),
    unit        text           CHECK (char_length(unit) <= 32),
    unit_price  numeric(14, 2) NOT NULL CHECK (unit_price BETWEEN -999999999999.99 AND 999999999999.99),
    amount      numeric(14, 2) NOT NULL DEFAULT 0 CHECK (amount BETWEEN -999999999999.99 AND 999999999999.99),
    position    integer        NOT NULL DEFAULT 0 CHECK (position BETWEEN 0 AND 1000000),
    version     bigint         NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at  timestamptz    NOT NULL DEFAULT now(),
    updated_at  timestamptz    NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, id),
    FOREIGN KEY (company_id, invoice_id) REFERENCES invoice ON DELETE CASCADE
) WITH (fillfactor = 90); -- room for in-page updates
CREATE UNIQUE INDEX invoice_item_legacy ON invoice_item (company_id, legacy_id) WHERE legacy_id IS NOT NULL;
CREATE INDEX invoice_item_list ON invoice_item (company_id, invoice_id, created_at, id);

SELECT resource_rights('invoice_item', '{create,update,delete}');

-- The entities of schemas/messages/subcontractor.json.

CREATE TABLE subcontractor (
    company_id       uuid        NOT NULL REFERENCES company ON DELETE CASCADE,
    id               uuid        NOT NULL,
    legacy_id        text, -- its id in the platform that it was imported from
    name             text        NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    description      text        CHECK (char_length(description) <= 10000),
    trade            text        CHECK (char_length(trade) <= 100),
    license_number   text        CHECK (char_length(license_number) <= 100),
    insurance_expiry date,
    rating           integer     CHECK (rating BETWEEN 1 AND 5),
    contact_name     text        CHECK (char_length(contact_name) <= 200),
    email            text        CHECK (char_length(email) <= 254),
    phone            text        CHECK (char_length(phone) <= 50),
    address          text        CHECK (char_length(address) <= 500),
    notes            text        CHECK (char_length(notes) <= 10000),
    active           boolean     NOT NULL DEFAULT true,
    version          bigint      NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, id)
) WITH (fillfactor = 90); -- room for in-page updates
CREATE UNIQUE INDEX subcontractor_legacy ON subcontractor (company_id, legacy_id) WHERE legacy_id IS NOT NULL;
CREATE INDEX subcontractor_list ON subcontractor (company_id, created_at, id);

SELECT text_search_prepare('subcontractor', '{name,trade,contact_name}');
SELECT text_search_begin('subcontractor', '{name,trade,contact_name}');

SELECT resource_rights('subcontractor', '{create,update,delete}');

-- The entities of schemas/messages/project_subcontractor.json.

CREATE TABLE project_subcontractor (
    company_id       uuid           NOT NULL,
    id               uuid           NOT NULL,
    legacy_id        text, -- its id in the platform that it was imported from
    project_id       uuid           NOT NULL,
    subcontractor_id uuid           NOT NULL,
    description      text           CHECK (char_length(description) <= 10000),
    contract_amount  numeric(14, 2) NOT NULL DEFAULT 0 CHECK (contract_amount BETWEEN 0 AND 999999999999.99),
    start_date       date,
    end_date         date,
    status           text           NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'completed', 'terminated')),
    ended_at         timestamptz,
    version          bigint         NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at       timestamptz    NOT NULL DEFAULT now(),
    updated_at       timestamptz    NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, id),
    FOREIGN KEY (company_id, project_id) REFERENCES project ON DELETE CASCADE,
    FOREIGN KEY (company_id, subcontractor_id) REFERENCES subcontractor
) WITH (fillfactor = 90); -- room for in-page updates
CREATE UNIQUE INDEX project_subcontractor_legacy ON project_subcontractor (company_id, legacy_id) WHERE legacy_id IS NOT NULL;
CREATE INDEX project_subcontractor_list ON project_subcontractor (company_id, project_id, created_at, id);
CREATE INDEX project_subcontractor_list_subcontractor_id ON project_subcontractor (company_id, project_id, subcontractor_id, created_at, id);
CREATE INDEX project_subcontractor_key_subcontractor_id ON project_subcontractor USING hash (subcontractor_id);

SELECT resource_rights('project_subcontractor', '{create,update,delete}');

-- The entities of schemas/messages/purchase_order.json.

CREATE TABLE purchase_order (
    company_id       uuid           NOT NULL REFERENCES company ON DELETE CASCADE,
    id               uuid           NOT NULL,
    legacy_id        text, -- its id in the platform that it was imported from
    number           text           CHECK (char_length(number) BETWEEN 1 AND 32),
    project_id       uuid,
    vendor_name      text           NOT NULL CHECK (char_length(vendor_name) BETWEEN 1 AND 200),
    subcontractor_id uuid,
    status           text           NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'sent', 'approved', 'received', 'cancelled')),
    issue_date       date,
    delivery_date    date,
    subtotal         numeric(14, 2) NOT NULL DEFAULT 0 CHECK (subtotal BETWEEN -999999999999.99 AND 999999999999.99),
    tax_rate         numeric(6, 3)  NOT NULL DEFAULT 0 CHECK (tax_rate BETWEEN 0 AND 100),
    tax_amount       numeric(14, 2) NOT NULL DEFAULT 0 CHECK (tax_amount BETWEEN -999999999999.99 AND 999999999999.99),
    total            numeric(14, 2) NOT NULL DEFAULT 0 CHECK (total BETWEEN -999999999999.99 AND 999999999999.99),
    notes            text           CHECK (char_length(notes) <= 10000),
    approver_id      uuid,
    sent_at          timestamptz,
    approved_at      timestamptz,
    received_at      timestamptz,
    cancelled_at     timestamptz,
    creator_id       uuid           NOT NULL,
    version          bigint         NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at       timestamptz    NOT NULL DEFAULT now(),
    updated_at       timestamptz    NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, id),
    FOREIGN KEY (company_id, project_id) REFERENCES project,
    FOREIGN KEY (company_id, subcontractor_id) REFERENCES subcontractor ON DELETE SET NULL (subcontractor_id)
) WITH (fillfactor = 90); -- room for in-page updates
CREATE UNIQUE INDEX purchase_order_legacy ON purchase_order (company_id, legacy_id) WHERE legacy_id IS NOT NULL;
CREATE INDEX purchase_order_list ON purchase_order (company_id, created_at, id);
CREATE INDEX purchase_order_list_project_id ON purchase_order (company_id, project_id, created_at, id) WHERE project_id IS NOT NULL;
CREATE INDEX purchase_order_list_status ON purchase_order (company_id, status, created_at, id);
CREATE INDEX purchase_order_key_subcontractor_id ON purchase_order USING hash (subcontractor_id) WHERE subcontractor_id IS NOT NULL;
CREATE UNIQUE INDEX purchase_order_number ON purchase_order (company_id, number);

SELECT text_search_prepare('purchase_order', '{vendor_name,number}');
SELECT text_search_begin('purchase_order', '{vendor_name,number}');

SELECT resource_rights('purchase_order', '{create,update,delete}');

-- The entities of schemas/messages/purchase_order_item.json.

CREATE TABLE purchase_order_item (
    company_id        uuid           NOT NULL,
    id                uuid           NOT NULL,
    legacy_id         text, -- its id in the platform that it was imported from
    purchase_order_id uuid           NOT NULL,
    project_id        uuid,
    description       text           NOT NULL CHECK (char_length(description) BETWEEN 1 AND 1000),
    quantity          numeric(11, 3) NOT NULL DEFAULT 1 CHECK (quantity BETWEEN 0 AND 99999999.999),
    unit              text           CHECK (char_length(unit) <= 32),
    unit_price        numeric(14, 2) NOT NULL CHECK (unit_price BETWEEN -999999999999.99 AND 999999999999.99),
    amount            numeric(14, 2) NOT NULL DEFAULT 0 CHECK (amount BETWEEN -999999999999.99 AND 999999999999.99),
    position          integer        NOT NULL DEFAULT 0 CHECK (position BETWEEN 0 AND 1000000),
    version           bigint         NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at        timestamptz    NOT NULL DEFAULT now(),
    updated_at        timestamptz    NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, id),
    FOREIGN KEY (company_id, purchase_order_id) REFERENCES purchase_order ON DELETE CASCADE
) WITH (fillfactor = 90); -- room for in-page updates
CREATE UNIQUE INDEX purchase_order_item_legacy ON purchase_order_item (company_id, legacy_id) WHERE legacy_id IS NOT NULL;
CREATE INDEX purchase_order_item_list ON purchase_order_item (company_id, purchase_order_id, created_at, id);

SELECT resource_rights('purchase_order_item', '{create,update,delete}');

-- The entities of schemas/messages/comment.json.

CREATE TABLE comment (
    company_id   uuid        NOT NULL,
    id           uuid        NOT NULL,
    legacy_id    text, -- its id in the platform that it was imported from
    project_id   uuid        NOT NULL,
    task_id      uuid,
    milestone_id uuid,
    rfi_id       uuid,
    body         text        NOT NULL CHECK (char_length(body) BETWEEN 1 AND 10000),
    creator_id   uuid        NOT NULL,
    version      bigint      NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, id),
    FOREIGN KEY (company_id, project_id) REFERENCES project ON DELETE CASCADE,
    FOREIGN KEY (company_id, task_id) REFERENCES task,
    FOREIGN KEY (company_id, milestone_id) REFERENCES milestone,
    FOREIGN KEY (company_id, rfi_id) REFERENCES rfi
) WITH (fillfactor = 90); -- room for in-page updates
CREATE UNIQUE INDEX comment_legacy ON comment (company_id, legacy_id) WHERE legacy_id IS NOT NULL;
CREATE INDEX comment_list ON comment (company_id, project_id, created_at, id);
CREATE INDEX comment_list_task_id ON comment (company_id, project_id, task_id, created_at, id) WHERE task_id IS NOT NULL;
CREATE INDEX comment_key_task_id ON comment USING hash (task_id) WHERE task_id IS NOT NULL;
CREATE INDEX comment_key_milestone_id ON comment USING hash (milestone_id) WHERE milestone_id IS NOT NULL;
CREATE INDEX comment_key_rfi_id ON comment USING hash (rfi_id) WHERE rfi_id IS NOT NULL;

SELECT resource_rights('comment', '{create,update,delete}');

-- The entities of schemas/messages/activity.json.

CREATE TABLE activity (
    company_id  uuid        NOT NULL REFERENCES company ON DELETE CASCADE,
    id          uuid        NOT NULL,
    legacy_id   text, -- its id in the platform that it was imported from
    project_id  uuid,
    user_id     uuid        NOT NULL,
    entity      text        NOT NULL CHECK (char_length(entity) BETWEEN 1 AND 64),
    entity_id   uuid,
    action      text        NOT NULL CHECK (char_length(action) BETWEEN 1 AND 64),
    description text        CHECK (char_length(description) <= 2000),
    metadata    jsonb       NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(metadata) = 'array' AND jsonb_array_length(metadata) BETWEEN 0 AND 50),
    version     bigint      NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, id),
    FOREIGN KEY (company_id, project_id) REFERENCES project
) WITH (fillfactor = 90); -- room for in-page updates
CREATE UNIQUE INDEX activity_legacy ON activity (company_id, legacy_id) WHERE legacy_id IS NOT NULL;
CREATE INDEX activity_list ON activity (company_id, created_at, id);
CREATE INDEX activity_list_project_id ON activity (company_id, project_id, created_at, id) WHERE project_id IS NOT NULL;
CREATE INDEX activity_list_user_id ON activity (company_id, user_id, created_at, id);

SELECT resource_rights('activity', '{create}');

-- ---- projects of a client ----

-- Nothing has written the column so far, so no row is looked at.
ALTER TABLE project ADD FOREIGN KEY (company_id, client_id) REFERENCES client NOT VALID;
