-- Who may do what. Both are group roles without a login: a process logs in as a role that is a member of its one
-- (or as the owner) and takes it with SET ROLE (CORTEX_DATABASE_ROLE).
--
--   cortex_gateway  reads, one company at a time: row-level security by the setting cortex.company
--   cortex_worker   changes rows, of every company; makes and drops nothing but partitions of `events`, through functions
--
-- Roles belong to the server, not to the database: another CortexBuild beside us may have made them already, or be
-- making them at this moment.

DO $$
DECLARE
    role_name text;
    may_set   text := CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER' END;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['cortex_gateway', 'cortex_worker'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS', role_name);
            EXCEPTION
                WHEN duplicate_object OR unique_violation THEN
                    NULL; -- somebody else's migration was faster
                WHEN insufficient_privilege THEN
                    RAISE EXCEPTION 'The role % does not exist and % may not create it.', role_name, current_user
                        USING HINT = format('As a superuser: CREATE ROLE %I; GRANT %I TO %I;', role_name, role_name,
                                            current_user);
            END;
        END IF;
        -- So that a login which owns the database can run every process in development. Since PostgreSQL 16 the creator of
        -- a role is a member of it that may not SET ROLE, until it grants itself that.
        IF NOT pg_has_role(current_user, role_name, may_set) THEN
            BEGIN
                EXECUTE format('GRANT %I TO %I', role_name, current_user);
            EXCEPTION
                WHEN insufficient_privilege THEN
                    RAISE NOTICE '% is not a member of %: processes need logins of their own.', current_user, role_name;
            END;
        END IF;
    END LOOP;
END
$$;

GRANT USAGE ON SCHEMA public TO cortex_gateway, cortex_worker;

