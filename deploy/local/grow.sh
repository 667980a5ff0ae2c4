#!/usr/bin/env bash
# grow: after nodes have joined the own broker, give each of its replicated queues a member on every node
set -euo pipefail
here=$(dirname "$0")
. "$here/lib/stack.sh"
[ $# -eq 0 ] || die "grow takes no arguments"
own_broker || die "the broker of CORTEX_AMQP_URL is not ours: on one of its nodes run rabbitmq-queues grow NODE all (deploy/operating.md)"
broker_grow
say "Every replicated queue has a member on each node: $(broker_nodes | paste -sd' ')."
