#!/usr/bin/env bash
# broker users [VHOST]: print what gives each kind of process a user of a RabbitMQ of your own
#
# rabbitmqctl's statements of the users and their rights in the vhost (/), by common/broker/rights.table. deploy/operating.md says how the
# processes come to use them ("The users of the broker").
set -euo pipefail
here=$(dirname "$0")
. "$here/lib/common.sh"
. "$here/lib/broker.sh"
[ "${1:-}" = users ] && [ $# -le 2 ] || die "broker takes users, and perhaps a vhost: ./cortex broker users [VHOST]"

broker_statements "${2:-/}"
