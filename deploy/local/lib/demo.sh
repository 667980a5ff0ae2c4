# shellcheck shell=bash
# The demo company, so that a newcomer has something to read. The company and its people are made by SQL, because there is no API for
# them yet; its projects are made by the API, as everybody makes them. To be sourced by stack.sh.

readonly DEMO_COMPANY=00000000-0000-7000-8000-000000000001
readonly DEMO_ADMIN=00000000-0000-7000-8000-000000000011

# owner_sql: SQL from standard input as the owner of the database in use.
owner_sql() {
    if own_database; then
        database_sql cortex cortex
    else
        external_sql "${SETTING[CORTEX_DATABASE_URL]}"
    fi
}

# external_sql URL: SQL from standard input. The password goes by the environment: everybody on the machine can read a command line.
external_sql() {
    local url=$1 password=
    if [[ $url =~ ^(postgres(ql)?://[^:/@?]*):([^@/]*)@(.*)$ ]]; then
        url=${BASH_REMATCH[1]}@${BASH_REMATCH[4]}
        password=$(printf '%b' "${BASH_REMATCH[3]//%/\\x}")
    fi
    { session_sql && cat; } | PGPASSWORD=$password psql --no-psqlrc --no-password --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 -- "$url"
}

demo_company() {
    owner_sql <<END
INSERT INTO company (id, name, industry, city, country)
VALUES ('$DEMO_COMPANY', 'Demo Construction', 'construction', 'Rotterdam', 'NL') ON CONFLICT DO NOTHING;
INSERT INTO app_user (company_id, id, email, name, role) VALUES
    ('$DEMO_COMPANY', '$DEMO_ADMIN', 'ada@demo.example', 'Ada Admin', 'company_admin'),
    ('$DEMO_COMPANY', '00000000-0000-7000-8000-000000000012', 'pia@demo.example', 'Pia Planner', 'project_manager'),
    ('$DEMO_COMPANY', '00000000-0000-7000-8000-000000000013', 'sam@demo.example', 'Sam Supervisor', 'supervisor'),
    ('$DEMO_COMPANY', '00000000-0000-7000-8000-000000000014', 'olu@demo.example', 'Olu Operative', 'operative')
ON CONFLICT DO NOTHING;
SELECT count(*) FROM project WHERE company_id = '$DEMO_COMPANY';
END
}

readonly DEMO_PROJECTS='
{"name": "Riverside apartments", "status": "active", "priority": "high", "budget": 4200000, "address": "12 Quay Street"}
{"name": "School gymnasium", "status": "planning", "budget": 950000, "start_date": "2026-03-02"}
{"name": "Railway footbridge", "status": "planning", "priority": "critical", "description": "Steel, 48 m, night work only."}
'

# demo_project KEY JSON
demo_project() {
    local_http --fail-with-body --retry 3 --retry-all-errors --config - --data-binary "$2" \
        -H 'Content-Type: application/json' -H "Idempotency-Key: $1" "$(gateway_url)/v1/projects" \
        <<<"header = \"Authorization: Bearer $(issue_token --company "$DEMO_COMPANY" --role company_admin --user "$DEMO_ADMIN")\""
}

demo_seed() {
    local projects line number=0 answer
    projects=$(demo_company)
    [ "$projects" -eq 0 ] || return 0
    step "creating the projects of the demo company"
    while read -r line; do
        [ -n "$line" ] || continue
        number=$((number + 1))
        answer=$(demo_project "demo-project-$number" "$line") || die "the gateway did not take a demo project: $answer"
    done <<<"$DEMO_PROJECTS"
}
