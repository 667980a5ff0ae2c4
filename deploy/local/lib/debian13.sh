# shellcheck shell=bash
# A root of Debian 13, made once, for programs that are newer there than on this machine. To be sourced after common.sh and packages.sh.
#
#   debian13_need PACKAGE…   makes the root when there is none, and installs what is missing in it
#   $DEBIAN13                the root: a folder to chroot into; start_process does so when CHROOT names it
#
# debootstrap takes the packages from the mirror that this machine's apt uses. Making the root and running in it need root. Nothing is mounted
# in it: it has its own /dev, and no /proc. A program that runs in it keeps its files below $DEBIAN13/srv. Checkouts may share one
# root: CORTEX_DEBIAN13 names it.

# In the checkout, or, where the service user cannot get there (root's own folder), beside other caches.
debian13_choose() {
    ensure_service_user
    mkdir -p "$ROOT/.cortex"
    DEBIAN13=$ROOT/.cortex/debian13
    service_can_reach "$ROOT/.cortex" || DEBIAN13=/var/cache/cortex/debian13
    DEBIAN13=${CORTEX_DEBIAN13:-$DEBIAN13}
}

debian13_need() {
    am_root || die "programs of Debian 13 run in a root of their own, and chroot needs root"
    debian13_choose
    mkdir -p "${DEBIAN13%/*}"
    (
        flock 8
        [ -d "$DEBIAN13" ] || debian13_make "$@"
        debian13_install "$@"
    ) 8>"$DEBIAN13.lock"
}

# It is made beside its place and moved there when it is whole, so that one that was interrupted is made again.
debian13_make() {
    local mirror include started=$SECONDS
    packages_need debian13
    mirror=$(debian_mirror) || die "found no Debian mirror in apt's sources to make a root of Debian 13 from"
    step "making a root of Debian 13 in $DEBIAN13, once; this takes a few minutes"
    ! mountpoint -q "$DEBIAN13.new/proc" || umount "$DEBIAN13.new/proc" # debootstrap's, while it works
    rm -rf "$DEBIAN13.new"
    include=$(IFS=, && printf '%s' "$*")
    debootstrap --variant=minbase --include="$include" trixie "$DEBIAN13.new" "$mirror" >"$DEBIAN13.log" 2>&1 ||
        { tail -n 15 "$DEBIAN13.log" >&2 && die "debootstrap could not make a root of Debian 13; its log is $DEBIAN13.log"; }
    printf '#!/bin/sh\nexit 101\n' | tee "$DEBIAN13.new/usr/sbin/policy-rc.d" >/dev/null
    chmod 755 "$DEBIAN13.new/usr/sbin/policy-rc.d"
    rm -rf "$DEBIAN13.new/var/cache/apt/archives"
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
        apt "${missing[@]}" >>"$DEBIAN13.log" 2>&1 ||
        { tail -n 15 "$DEBIAN13.log" >&2 && die "apt-get could not install ${missing[*]} in $DEBIAN13; its log is $DEBIAN13.log"; }
}
