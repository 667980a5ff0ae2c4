# shellcheck shell=sh
# The users of the broker: one for each kind of process, without tags, with the rights of common/broker/rights.table. To be sourced, also by a
# plain sh (deploy/images/secrets.sh). BROKER_FILES is the folder with that table and pools.def.

# "gateway cortex_gateway", "projects cortex_projects", … one a line.
broker_users() {
    {
        echo gateway
        sed -n 's/^POOL("\([a-z_]*\)".*/\1/p' "$BROKER_FILES/pools.def"
    } | sed 's/.*/& cortex_&/'
}

# broker_rights KIND: "RIGHT PATTERN" a line, a line for each right, the patterns anchored. What has no row is refused, except the keys of an
# exchange of which neither publish nor bind is said.
broker_rights() {
    awk -v kind="$1" '
        /^#/ || NF == 0 { next }
        $1 != (kind == "gateway" ? "gateway" : "pool") { next }
        {
            pattern = $3
            gsub(/POOL/, kind, pattern)
            all[$2] = all[$2] (all[$2] == "" ? "" : "|") pattern
            sub(/^(publish|bind):/, "", $2)
            if ($2 !~ /^(configure|write|read)$/) exchanges[$2] = 1
        }
        function say(right) {
            print right " ^(" (all[right] == "" ? "(?!)" : all[right]) ")$"
        }
        END {
            say("configure"); say("write"); say("read")
            for (name in exchanges) { say("publish:" name); say("bind:" name) }
        }' "$BROKER_FILES/rights.table" | sort
}

# broker_each_key KIND: "EXCHANGE PUBLISH BIND", a line for each exchange whose keys are limited.
broker_each_key() {
    broker_rights "$1" | sed -n 's/^bind:\([^ ]*\) .*/\1/p' | while read -r exchange; do
        printf '%s %s %s\n' "$exchange" "$(broker_right "$1" "publish:$exchange")" "$(broker_right "$1" "bind:$exchange")"
    done
}

# broker_right KIND RIGHT: its pattern.
broker_right() {
    broker_rights "$1" | awk -v right="$2" '$1 == right { print $2 }'
}

# RabbitMQ keeps base64(salt + sha256(salt + password)). The passwords are at random, so the salt may follow from them: the same definitions
# come out each time.
broker_password_hash() {
    salt=$(printf 'salt of %s' "$1" | sha256sum | cut -c 1-8)
    hash=$({ broker_octets "$salt" && printf '%s' "$1"; } | sha256sum | cut -c 1-64)
    broker_octets "$salt$hash" | base64 -w 0
}

# broker_octets HEX
broker_octets() {
    printf '%s' "$1" | sed 's/../&\n/g' | while read -r octet; do
        # shellcheck disable=SC2059 # the octet is in the format
        [ -z "$octet" ] || printf "\\$(printf '%03o' "0x$octet")"
    done
}

# A backslash in JSON is two.
broker_json() {
    printf '"%s"' "$(printf '%s' "$1" | sed 's/\\/\\\\/g')"
}

broker_user_json() {
    printf '{"name":"%s","password_hash":"%s","hashing_algorithm":"rabbit_password_hashing_sha256","tags":""}' "$1" "$(broker_password_hash "$2")"
}

# broker_definitions VHOST: definitions for RabbitMQ to import, of the users, their rights in this vhost, and the exchanges. The user cortex, for
# operators and migrations, may do everything. broker_password USER prints the password of one.
broker_definitions() {
    vhost=$1
    printf '{"users":['
    broker_user_json cortex "$(broker_password cortex)"
    broker_users | while read -r _ user; do
        printf ',\n' && broker_user_json "$user" "$(broker_password "$user")"
    done
    printf '],\n"vhosts":[{"name":"%s"}],\n"permissions":[{"user":"cortex","vhost":"%s","configure":".*","write":".*","read":".*"}' "$vhost" "$vhost"
    broker_users | while read -r kind user; do
        printf ',\n{"user":"%s","vhost":"%s"' "$user" "$vhost"
        for right in configure write read; do
            printf ',"%s":%s' "$right" "$(broker_json "$(broker_right "$kind" "$right")")"
        done
        printf '}'
    done
    printf '],\n"topic_permissions":['
    broker_users | while read -r kind user; do
        broker_each_key "$kind" | while read -r exchange publish bind; do
            printf '{"user":"%s","vhost":"%s","exchange":"%s","write":%s,"read":%s}\n' "$user" "$vhost" "$exchange" \
                "$(broker_json "$publish")" "$(broker_json "$bind")"
        done
    done | paste -s -d ,
    printf '],\n"exchanges":['
    for exchange in commands events events.slots events.gateways dead control; do
        printf '{"name":"%s","vhost":"%s","type":"topic","durable":true,"auto_delete":false,"internal":false,"arguments":{}}\n' "$exchange" "$vhost"
    done | paste -s -d ,
    printf '],\n"bindings":['
    # topology_declare_exchanges makes the same.
    while read -r source destination key; do
        printf '{"source":"%s","vhost":"%s","destination":"%s","destination_type":"exchange","routing_key":"%s","arguments":{}}\n' \
            "$source" "$vhost" "$destination" "$key"
    done <<END | paste -s -d ,
events events.slots *.*.*.#
events events.gateways *.*.*.#
events.gateways events.slots *.*.*.*.#
END
    printf ']}\n'
}

# broker_statements VHOST: the same users and rights as rabbitmqctl's statements, for a broker of one's own.
broker_statements() {
    vhost=$1
    broker_users | while read -r kind user; do
        printf "rabbitmqctl add_user %s 'A-PASSWORD'\n" "$user"
        printf "rabbitmqctl set_permissions --vhost '%s' %s '%s' '%s' '%s'\n" "$vhost" "$user" \
            "$(broker_right "$kind" configure)" "$(broker_right "$kind" write)" "$(broker_right "$kind" read)"
        broker_each_key "$kind" | while read -r exchange publish bind; do
            printf "rabbitmqctl set_topic_permissions --vhost '%s' %s %s '%s' '%s'\n" "$vhost" "$user" "$exchange" "$publish" "$bind"
        done
    done
}
