#!/usr/bin/env bash
# new resource NAME [PARENT]: write the schema of a new resource and the migration with its table
#
# Change the schema as you like and say it again: the migration is written anew until it is committed. PARENT is the resource that it
# belongs to: ./cortex new resource punch_item project.
set -euo pipefail
here=$(dirname "$0")
for file in common packages build process; do
    # shellcheck source=/dev/null
    . "$here/lib/$file.sh"
done

[ "${1:-}" = resource ] && [ $# -ge 2 ] && [ $# -le 3 ] || die "say: ./cortex new resource NAME [PARENT]"
name=$2 parent=${3:-}
[[ $name =~ ^[a-z][a-z0-9_]{0,40}$ ]] || die "$name is no name of a resource: lower-case letters, digits and underscores, as in punch_item"
readonly MESSAGES=$ROOT/schemas/messages SQL=$ROOT/schemas/sql
readonly SCHEMA=$MESSAGES/$name.json
[ -z "$parent" ] || [ -f "$MESSAGES/$parent.json" ] || die "there is no resource $parent in schemas/messages"

plural_of() {
    case $1 in
    *[^aeiou]y) printf '%sies' "${1%y}" ;;
    *s | *x | *ch | *sh) printf '%ses' "$1" ;;
    *) printf '%ss' "$1" ;;
    esac
}

# PunchItem
title_of() {
    local word
    for word in ${1//_/ }; do
        printf '%s' "${word^}"
    done
}

# Below an entity of a project the resource keeps the project, too, whose channel hears of it.
above_of() {
    [ -z "$1" ] || printf '%s_id\n' "$1"
    [ -z "$1" ] || [ "$1" = project ] || ! grep -q '"project_id"' "$MESSAGES/$1.json" || printf 'project_id\n'
}

schema() {
    local id=0 column collection words=${name//_/ } more=
    collection=$(plural_of "${name//_/-}")
    [ -z "$parent" ] || more=", \"parent\": \"$parent\""
    cat <<END
{
  "\$schema": "https://json-schema.org/draft/2020-12/schema",
  "\$id": "$name.json",
  "title": "$(title_of "$name")",
  "description": "A $words of a ${parent:-company}.",
  "x-resource": {
    "name": "$name", "collection": "$collection", "table": "$name", "pool": "projects"$more
  },
  "x-rights": {
    "super_admin": {"create": "any", "read": "any", "update": "any", "delete": "any"},
    "company_admin": {"create": "any", "read": "any", "update": "any", "delete": "any"},
    "project_manager": {"create": "any", "read": "any", "update": "any", "delete": "any"},
    "supervisor": {"read": "any"},
    "operative": {"read": "any"},
    "developer": {"read": "any"}
  },
  "type": "object",
  "additionalProperties": false,
  "required": ["name"],
  "properties": {
END
    property id "$(type_of uuid), \"readOnly\": true"
    for column in $(above_of "$parent"); do
        property "$column" "$(type_of uuid), \"readOnly\": true"
    done
    property name '"type": "string", "minLength": 1, "maxLength": 200'
    property description '"type": ["string", "null"], "maxLength": 10000'
    property version "$(type_of version), \"readOnly\": true"
    property created_at "$(type_of time), \"readOnly\": true"
    property updated_at "$(type_of time), \"readOnly\": true"
    printf '\n  }\n}\n'
}

# property NAME KEYWORDS: the next property of `schema`, with the next x-id.
property() {
    [ "$id" -eq 0 ] || printf ',\n'
    id=$((id + 1))
    printf '    "%s": {"x-id": %d, %s}' "$1" "$id" "$2"
}

type_of() {
    printf '"$%s": "types.json#/$%s/%s"' ref defs "$1"
}

is_committed() {
    git -C "$ROOT" ls-files --error-unmatch "$1" >/dev/null 2>&1
}

# The file that it is in already, or the next number.
migration_path() {
    local last file
    for file in "$SQL"/[0-9][0-9][0-9][0-9]_"$name".sql; do
        [ ! -f "$file" ] || { printf '%s' "$file" && return; }
    done
    last=$(find "$SQL" -name '[0-9][0-9][0-9][0-9]_*.sql' -printf '%f\n' | sort | tail -n 1)
    printf '%s/%04d_%s.sql' "$SQL" $((10#${last%%_*} + 1)) "$name"
}

migration=$(migration_path)
! is_committed "$migration" || die "${migration#"$ROOT/"} is committed: what changes its table is another migration"
if [ ! -f "$SCHEMA" ]; then
    schema >"$SCHEMA"
    say "wrote ${SCHEMA#"$ROOT/"}"
fi
if [ -z "${CORTEX_BUILD:-}" ]; then
    packages_need build
    build release schemac
fi
text=$("$(programs)/schemas/schemac" --migration "$SCHEMA") || exit 1
printf '%s\n' "$text" >"$migration"
say "wrote ${migration#"$ROOT/"}: read it before you commit it"
