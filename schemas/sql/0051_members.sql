-- A right may be one of the members of a project only (x-rights, `member`). So a project's manager and the assignees of
-- its work are members too, whoever writes these columns: rules of commands alone would leave out processes of the version
-- before.

-- The projects of a user.
CREATE INDEX project_member_user ON project_member (company_id, user_id, project_id);

-- TG_ARGV: the column of the project, that of the user, and what the user is there. It runs as its owner, so that a role
-- which writes the other table needs no right to this one.
CREATE FUNCTION project_member_follows() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $follow$
BEGIN
    INSERT INTO public.project_member AS m (company_id, id, project_id, user_id, role, joined_on)
    VALUES (NEW.company_id, gen_random_uuid(), (to_jsonb(NEW) ->> TG_ARGV[0])::uuid, (to_jsonb(NEW) ->> TG_ARGV[1])::uuid,
            TG_ARGV[2], (now() AT TIME ZONE 'UTC')::date)
    ON CONFLICT (company_id, project_id, user_id) DO UPDATE
        SET left_on = NULL, version = m.version + 1, updated_at = now()
        WHERE m.left_on < (now() AT TIME ZONE 'UTC')::date;
    RETURN NULL;
END
$follow$;
REVOKE ALL ON FUNCTION project_member_follows() FROM PUBLIC;

CREATE TRIGGER project_manager_is_member AFTER INSERT ON project FOR EACH ROW
    WHEN (NEW.manager_id IS NOT NULL) EXECUTE FUNCTION project_member_follows('id', 'manager_id', 'manager');
CREATE TRIGGER project_new_manager_is_member AFTER UPDATE ON project FOR EACH ROW
    WHEN (NEW.manager_id IS NOT NULL AND NEW.manager_id IS DISTINCT FROM OLD.manager_id)
    EXECUTE FUNCTION project_member_follows('id', 'manager_id', 'manager');
CREATE TRIGGER task_assignee_is_member AFTER INSERT ON task FOR EACH ROW
    WHEN (NEW.assignee_id IS NOT NULL) EXECUTE FUNCTION project_member_follows('project_id', 'assignee_id', 'member');
CREATE TRIGGER task_new_assignee_is_member AFTER UPDATE ON task FOR EACH ROW
    WHEN (NEW.assignee_id IS NOT NULL AND NEW.assignee_id IS DISTINCT FROM OLD.assignee_id)
    EXECUTE FUNCTION project_member_follows('project_id', 'assignee_id', 'member');
CREATE TRIGGER rfi_assignee_is_member AFTER INSERT ON rfi FOR EACH ROW
    WHEN (NEW.assignee_id IS NOT NULL) EXECUTE FUNCTION project_member_follows('project_id', 'assignee_id', 'member');
CREATE TRIGGER rfi_new_assignee_is_member AFTER UPDATE ON rfi FOR EACH ROW
    WHEN (NEW.assignee_id IS NOT NULL AND NEW.assignee_id IS DISTINCT FROM OLD.assignee_id)
    EXECUTE FUNCTION project_member_follows('project_id', 'assignee_id', 'member');
