#!/bin/bash
# The migrate service: brings the database up to date and gives the processes their logins.
set -euo pipefail

/cortex/deploy/local/migrate.sh

url=${CORTEX_DATABASE_URL#*@}
PGPASSWORD=$(cat "$DATABASE_PASSWORD_FILE")
export PGPASSWORD
. /cortex/deploy/local/lib/session.sh
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 -- "postgresql://$DATABASE_LOGIN@$url" <<END
$(session_sql)
ALTER ROLE cortex_gateway LOGIN PASSWORD '$(cat /run/secrets/gateway_password)';
ALTER ROLE cortex_projects LOGIN PASSWORD '$(cat /run/secrets/projects_password)';
ALTER ROLE cortex_webhooks LOGIN PASSWORD '$(cat /run/secrets/webhooks_password)';
SELECT statement FROM walls_missing() \\gexec
INSERT INTO company (id, name) VALUES ('00000000-0000-7000-8000-000000000001', 'Demo Construction') ON CONFLICT DO NOTHING;
END
