# shellcheck shell=bash
# A root of Debian 13, made once, for programs that are newer there than on this machine. To be sourced after common.sh and packages.sh.
#
#   debian13_need PACKAGE…   makes the root when there is none, and installs what is missing in it
#   $DEBIAN13                the root: a folder to chroot into; start_process does so when CHROOT names it
#
# mmdebstrap takes the packages from the mirror that this machine's apt uses. Making the root and running in it need root. Nothing is mounted
# in it: it has its own /dev, and no /proc. A program that runs in it keeps its files below $DEBIAN13/srv. Checkouts may share one
# root: CORTEX_DEBIAN13 names it. Several may need it at once: one makes it, and the others wait.

# The status of debian13_need when this machine cannot have a root: nobody here is root, or no mirror can be reached.
readonly DEBIAN13_MISSING=77

# In the checkout, or, where the service user cannot get there (root's own folder), beside other caches.
debian13_choose() {
    ensure_service_user
    mkdir -p "$ROOT/.cortex"
    DEBIAN13=$ROOT/.cortex/debian13
    service_can_reach "$ROOT/.cortex" || DEBIAN13=/var/cache/cortex/debian13
    DEBIAN13=${CORTEX_DEBIAN13:-$DEBIAN13}
}

debian13_need() {
    am_root || debian13_missing "programs of Debian 13 run in a root of their own, and chroot needs root"
    debian13_choose
    mkdir -p "${DEBIAN13%/*}"
    (
        flock 8
        [ -d "$DEBIAN13" ] || debian13_make "$@"
        debian13_install "$@"
    ) 8>"$DEBIAN13.lock"
}

debian13_missing() {
    warn "$1"
    exit "$DEBIAN13_MISSING"
}

# debian13_failed WHAT: says so with the end of the log.
debian13_failed() {
    ! tail -n 40 "$DEBIAN13.log" | grep -qE 'Temporary failure|Could not (resolve|connect)|Unable to connect|Network is unreachable' ||
        debian13_missing "$1: no Debian mirror can be reached from here"
    tail -n 15 "$DEBIAN13.log" >&2
    die "$1; its log is $DEBIAN13.log"
}

# It is made beside its place and moved there when it is whole, so that one that was interrupted is made again.
debian13_make() {
    local mirror include option started=$SECONDS
    local -a proxies=()
    packages_need debian13
    mirror=$(debian_mirror) || die "found no Debian mirror in apt's sources to make a root of Debian 13 from"
    step "making a root of Debian 13 in $DEBIAN13, once; this takes a minute or two"
    rm -rf "$DEBIAN13.new"
    include=$(IFS=, && printf '%s' "$*")
    while read -r option; do
        proxies+=("--aptopt=$option")
    done < <(apt-config dump | grep -E '^Acquire::(http|https)::Proxy ' || true)
    # It is thrown away and made again when the machine stops meanwhile: nothing waits for the disk.
    mmdebstrap --mode=root --variant=apt --skip=chroot/mount --include="$include" --dpkgopt=force-unsafe-io \
        --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' ${proxies[@]+"${proxies[@]}"} \
        trixie "$DEBIAN13.new" "$mirror" >"$DEBIAN13.log" 2>&1 || debian13_failed "mmdebstrap could not make a root of Debian 13"
    printf '#!/bin/sh\nexit 101\n' >"$DEBIAN13.new/usr/sbin/policy-rc.d"
    chmod 755 "$DEBIAN13.new/usr/sbin/policy-rc.d"
    mv "$DEBIAN13.new" "$DEBIAN13"
    step "the root of Debian 13 is made ($((SECONDS - started)) s)"
}

debian13_install() {
    local package
    local -a missing=()
    for package; do
        [ -e "$DEBIAN13/var/lib/dpkg/info/$package.list" ] || compgen -G "$DEBIAN13/var/lib/dpkg/info/$package:*.list" >/dev/null ||
            missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    step "installing ${missing[*]} in the root of Debian 13"
    cp /etc/resolv.conf "$DEBIAN13/etc/resolv.conf"
    mkdir -p "$DEBIAN13/var/cache/apt/archives/partial"
    chroot "$DEBIAN13" sh -c 'apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$@"' \
        apt "${missing[@]}" >>"$DEBIAN13.log" 2>&1 || debian13_failed "apt-get could not install ${missing[*]} in $DEBIAN13"
}
