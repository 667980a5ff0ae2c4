-- Projects and their tasks.
-- People (manager_id, assignee_id, creator_id) are not foreign keys: a token's subject may have its account elsewhere.

CREATE TABLE project (
    company_id  uuid           NOT NULL REFERENCES company ON DELETE CASCADE,
    id          uuid           NOT NULL,
    legacy_id   text,
    number      text           NOT NULL CHECK (number <> ''),
    name        text           NOT NULL CHECK (name <> ''),
    description text,
    status      text           NOT NULL DEFAULT 'planning' CHECK (status IN
        ('planning', 'active', 'on-hold', 'completed', 'cancelled')),
    priority    text           NOT NULL DEFAULT 'medium' CHECK (priority IN ('low', 'medium', 'high', 'critical')),
    start_date  date,
    end_date    date,
    budget      numeric(14, 2) CHECK (budget >= 0),
    actual_cost numeric(14, 2) NOT NULL DEFAULT 0 CHECK (actual_cost >= 0),
    address     text,
    client_id   uuid,
    manager_id  uuid,
    progress    integer        NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
    archived    boolean        NOT NULL DEFAULT false,
    version     bigint         NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at  timestamptz    NOT NULL DEFAULT now(),
    updated_at  timestamptz    NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, id),
    CONSTRAINT project_number UNIQUE (company_id, number),
    CONSTRAINT project_dates CHECK (end_date >= start_date)
) WITH (fillfactor = 90); -- room for in-page updates: progress and actual_cost follow the tasks
CREATE UNIQUE INDEX project_legacy ON project (company_id, legacy_id) WHERE legacy_id IS NOT NULL;

-- Lists walk in the order (created_at, id). Priority has four values and text is a pattern: both are filters on that walk,
-- within one company. A trigram index would not be used: LIKE is not leakproof, so row-level security keeps it from indexes.
CREATE INDEX project_list ON project (company_id, created_at, id);
CREATE INDEX project_list_status ON project (company_id, status, created_at, id);
CREATE INDEX project_list_manager ON project (company_id, manager_id, created_at, id) WHERE manager_id IS NOT NULL;

CREATE TABLE task (
    company_id      uuid          NOT NULL,
    id              uuid          NOT NULL,
    project_id      uuid          NOT NULL,
    legacy_id       text,
    title           text          NOT NULL CHECK (title <> ''),
    description     text,
    status          text          NOT NULL DEFAULT 'todo' CHECK (status IN
        ('todo', 'in-progress', 'review', 'completed', 'blocked')),
    priority        text          NOT NULL DEFAULT 'medium' CHECK (priority IN ('low', 'medium', 'high', 'critical')),
    assignee_id     uuid,
    due_date        date,
    estimated_hours numeric(8, 2) CHECK (estimated_hours >= 0),
    actual_hours    numeric(8, 2) CHECK (actual_hours >= 0),
    progress        integer       NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
    parent_task_id  uuid,
    position        integer       NOT NULL DEFAULT 0 CHECK (position >= 0),
    creator_id      uuid          NOT NULL,
    completed_at    timestamptz,
    version         bigint        NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at      timestamptz   NOT NULL DEFAULT now(),
    updated_at      timestamptz   NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, id),
    FOREIGN KEY (company_id, project_id) REFERENCES project ON DELETE CASCADE,
    FOREIGN KEY (company_id, parent_task_id) REFERENCES task ON DELETE SET NULL (parent_task_id),
    CONSTRAINT task_not_its_own_parent CHECK (parent_task_id <> id)
) WITH (fillfactor = 90);
CREATE UNIQUE INDEX task_legacy ON task (company_id, legacy_id) WHERE legacy_id IS NOT NULL;

-- The tasks of a project are few: status and priority are filters on this walk.
CREATE INDEX task_list ON task (company_id, project_id, created_at, id);
CREATE INDEX task_assignee ON task (company_id, assignee_id, created_at, id) WHERE assignee_id IS NOT NULL;
CREATE INDEX task_parent ON task (company_id, parent_task_id) WHERE parent_task_id IS NOT NULL;

ALTER TABLE project ENABLE ROW LEVEL SECURITY;
ALTER TABLE task ENABLE ROW LEVEL SECURITY;

CREATE POLICY own_company ON project FOR SELECT TO cortex_gateway
    USING (company_id = nullif(current_setting('cortex.company', true), '')::uuid);
CREATE POLICY own_company ON task FOR SELECT TO cortex_gateway
    USING (company_id = nullif(current_setting('cortex.company', true), '')::uuid);
CREATE POLICY every_company ON project TO cortex_worker USING (true) WITH CHECK (true);
CREATE POLICY every_company ON task TO cortex_worker USING (true) WITH CHECK (true);

GRANT SELECT ON project, task TO cortex_gateway;
GRANT SELECT, INSERT, UPDATE, DELETE ON project, task TO cortex_worker;
