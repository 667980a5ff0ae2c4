# shellcheck shell=bash
# The Debian packages that each kind of work needs, and their installation where they are missing. To be sourced after common.sh.
#
# A row: the kind of work, what the package is recognised by (a program on the PATH, a file, or - for the package itself), and the package
# (alternatives by |, as names differ between Debian 12 and 13).
readonly PACKAGES='
build    cmake                                  cmake
build    ninja                                  ninja-build
build    cc                                     gcc
build    /usr/include/stdio.h                   libc6-dev
build    /usr/include/ev.h                      libev-dev
build    /usr/include/jansson.h                 libjansson-dev
build    /usr/include/ares.h                    libc-ares-dev
build    -                                      libcurl4-openssl-dev
build    /usr/include/sodium.h                  libsodium-dev
build    /usr/include/openssl/ssl.h             libssl-dev
build    /usr/include/postgresql/libpq-fe.h     libpq-dev
build    /usr/include/wslay/wslay.h             libwslay-dev
build    /usr/include/zlib.h                    zlib1g-dev
build    /usr/include/msgpack.h                 libmsgpack-c-dev|libmsgpack-dev
build    /usr/include/systemd/sd-daemon.h       libsystemd-dev
build    /usr/share/zoneinfo/UTC                tzdata
build    -                                      librabbitmq-dev
build    /usr/include/llhttp.h                  libllhttp-dev
build    /usr/include/protobuf-c/protobuf-c.h   libprotobuf-c-dev
build    protoc-c                               protobuf-c-compiler
servers  /usr/lib/rabbitmq/bin/rabbitmq-server  rabbitmq-server
servers  /usr/lib/postgresql/*/bin/postgres     postgresql
servers  openssl                                openssl
client   psql                                   postgresql-client
client   curl                                   curl
test     /usr/include/cmocka.h                  libcmocka-dev
test     node                                   nodejs
test     ss                                     iproute2
test     npm                                    npm
test     -                                      python3-websockets
test     -                                      python3-autobahn
test     -                                      libtest-json-schema-acceptance-perl
browser  -                                      chromium-headless-shell
fuzz     clang                                  clang
lint     clang-format                           clang-format
lint     clang-tidy                             clang-tidy
lint     shellcheck                             shellcheck
lint     systemd-analyze                        systemd
debian13 mmdebstrap                             mmdebstrap
bench    wrk                                    wrk
bench    nginx                                  nginx-light|nginx
bench    -                                      libnginx-mod-nchan
'

# packages_need WORK…: installs what is missing, and is silent when nothing is.
packages_need() {
    local -a missing=()
    local work sign package
    while read -r work sign package; do
        [[ " $* " != *" $work "* ]] || has_package "$sign" "$package" || missing+=("$package")
    done <<<"$PACKAGES"
    [ ${#missing[@]} -eq 0 ] || packages_install "${missing[@]}"
}

has_package() {
    case $1 in
    -) [ "$(dpkg-query -W -f '${db:Status-Status}' "$2" 2>/dev/null)" = installed ] ;;
    /*) compgen -G "$1" >/dev/null ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

packages_install() {
    command -v apt-get >/dev/null || die "these packages are missing, and only Debian's apt-get is known here: $*"
    am_root || command -v sudo >/dev/null ||
        die "these packages are missing and there is no sudo to install them with; as root: apt-get install ${*/|*/}"
    step "installing Debian packages: ${*/|*/}"
    as_root apt-get update -qq || die "apt-get update failed, so these packages cannot be installed: $*"
    local -a names=()
    local alternatives name llhttp=no
    for alternatives; do
        if name=$(first_available "$alternatives"); then
            names+=("$name")
        elif [ "$alternatives" = libllhttp-dev ]; then
            llhttp=yes
        else
            die "this system's package sources have no ${alternatives//|/ or }"
        fi
    done
    [ ${#names[@]} -eq 0 ] || without_services install_quietly "${names[@]}"
    [ "$llhttp" = no ] || llhttp_from_trixie
}

first_available() {
    local name
    for name in ${1//|/ }; do
        if [[ $(LC_ALL=C apt-cache policy "$name") == *'Candidate: '[!\(]* ]]; then
            printf '%s' "$name"
            return
        fi
    done
    return 1
}

# apt-get's own words are shown only when it fails.
install_quietly() {
    local log status=0
    log=$(mktemp)
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
        -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 "$@" >"$log" 2>&1 || status=$?
    [ "$status" -eq 0 ] || tail -n 40 "$log" >&2
    rm -f "$log"
    return "$status"
}

# Debian starts what it installs, at once and at every boot, and makes a PostgreSQL cluster. We want the programs only. Services that were
# there before stay as they are: the files that hold back new ones are ours and go away again.
without_services() {
    local policy=/usr/sbin/policy-rc.d cluster=/etc/postgresql-common/createcluster.d/cortex.conf
    local service ours=
    local -a new=()
    for service in rabbitmq-server epmd postgresql; do
        service_known "$service" || new+=("$service")
    done
    if [ ! -e "$policy" ]; then
        ours=$policy
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    as_root mkdir -p "${cluster%/*}"
    printf 'create_main_cluster = false\n' | as_root tee "$cluster" >/dev/null

    local status=0
    (
        trap 'as_root rm -f "$cluster" ${ours:+"$ours"}' EXIT
        trap 'exit 130' INT TERM
        "$@"
    ) || status=$?
    for service in ${new[@]+"${new[@]}"}; do
        ! service_known "$service" || keep_off "$service"
    done
    [ "$status" -eq 0 ] || die "apt-get could not install the packages; its own words are above"
}

service_known() {
    compgen -G "/lib/systemd/system/$1.service" >/dev/null || compgen -G "/usr/lib/systemd/system/$1.service" >/dev/null
}

# Only for a service that this very run has brought in.
keep_off() {
    local unit
    for unit in "$1.service" "$1.socket"; do
        ! command -v systemctl >/dev/null || as_root systemctl disable "$unit" >/dev/null 2>&1 || true
    done
    ! command -v update-rc.d >/dev/null || as_root update-rc.d "$1" disable >/dev/null 2>&1 || true
}

# Debian 12 has no llhttp; Debian 13's two packages need the C library only. They come from the mirror that this machine uses already, by
# way of an apt state of our own, so that the machine's list of sources stays what it is.
llhttp_from_trixie() {
    local work uri
    uri=$(debian_mirror) || die "found no Debian mirror in apt's sources to take libllhttp from"
    step "fetching libllhttp from the Debian 13 suite of this machine's mirror"
    work=$(mktemp -d)
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/packages"
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg options=
    [ ! -f "$keyring" ] || options="[signed-by=$keyring] "
    printf 'deb %s%s trixie main\n' "$options" "$uri" >"$work/sources.list"
    local -a apt=(-qq -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" -o "Dir::Etc::sourcelist=$work/sources.list"
        -o Dir::Etc::sourceparts=- -o "APT::Sandbox::User=$(id -un)")
    apt-get "${apt[@]}" update >&2 || die "the mirror $uri gave no Debian 13 package list"
    (cd "$work/packages" && apt-get "${apt[@]}" download libllhttp9.2 libllhttp-dev >&2) ||
        die "could not download libllhttp from the mirror"
    as_root dpkg -i "$work"/packages/*.deb >/dev/null || die "dpkg could not install libllhttp"
    rm -rf "$work"
}

# The first mirror of the suite that this machine runs, as apt itself understands its sources (one-line and deb822 alike).
debian_mirror() {
    local codename uri
    codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    # shellcheck disable=SC2016 # the dollars are apt's
    uri=$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
        awk -v suite="$codename" '$1 == suite && $2 == "main" && !uri { uri = $3 } END { print uri }')
    [ -n "$uri" ] && printf '%s' "$uri"
}
