-- The managers and assignees of before become members of their projects, so that an upgrade hides nothing from them. It is a
-- transaction of its own: the triggers of 0051 are in force while it reads, so nobody is left out, and nothing waits for it.

INSERT INTO project_member (company_id, id, project_id, user_id, role)
SELECT company_id, gen_random_uuid(), id, manager_id, 'manager' FROM project WHERE manager_id IS NOT NULL
ON CONFLICT (company_id, project_id, user_id) DO NOTHING;

INSERT INTO project_member (company_id, id, project_id, user_id, role)
SELECT company_id, gen_random_uuid(), project_id, assignee_id, 'member' FROM task WHERE assignee_id IS NOT NULL
GROUP BY company_id, project_id, assignee_id
ON CONFLICT (company_id, project_id, user_id) DO NOTHING;
