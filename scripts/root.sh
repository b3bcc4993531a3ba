# How scripts get packages, a binary for a device, and network namespaces. Sourced from the root of the repository.

# need COMMAND PACKAGE: makes sure that COMMAND is there.
need() {
    PATH=$PATH:/usr/sbin:/sbin
    if command -v "$1" >/dev/null; then return; fi
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "$0: $1 is missing: as root, apt-get install $2" >&2
        return 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    if [ -z "${apt_updated-}" ]; then apt-get -qq update && apt_updated=yes; fi
    apt-get -qq install --no-install-recommends "$2" >/dev/null
}

# need_namespaces: what makes networks of namespaces.
need_namespaces() {
    need ip iproute2 && need mount mount && need nft nftables
}

# need_cargo: the toolchain is the developer's to choose. It links with a C compiler, which ring needs too.
need_cargo() {
    command -v cargo >/dev/null || { echo "$0: cargo is missing: see https://rustup.rs" >&2 && exit 1; }
    need cc build-essential
}

# triple_of MACHINE: rustc's name of a machine that scripts/cross builds for.
triple_of() {
    case $1 in
    armv7) echo armv7-unknown-linux-musleabihf ;;
    armv6) echo arm-unknown-linux-musleabihf ;;
    riscv64) echo riscv64gc-unknown-linux-musl ;;
    *) echo "$1-unknown-linux-musl" ;;
    esac
}

# this_machine: the name of this machine as scripts/cross has it.
this_machine() {
    case $(uname --machine) in
    armv7*) echo armv7 ;;
    armv6*) echo armv6 ;;
    *) uname --machine ;;
    esac
}

# need_aarch64: makes sure that the static binary of aarch64 is newer than its sources.
need_aarch64() {
    aarch64=target/$(triple_of aarch64)/release/linkbeat
    local newer='no binary'
    [ ! -e "$aarch64" ] ||
        newer=$(find src Cargo.toml Cargo.lock .cargo scripts/cross -newer "$aarch64" -print -quit)
    [ -z "$newer" ] || { echo 'building for aarch64 ...' >&2 && scripts/cross aarch64 >&2 && touch "$aarch64"; }
}

# can_namespaces: whether as_root will work.
can_namespaces() {
    [ "$(id -u)" = 0 ] || unshare --user --map-root-user --net --mount true 2>/dev/null
}

# as_root COMMAND...: as root, or else as root of a user namespace with a network and a /run of its own.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif can_namespaces; then
        # shellcheck disable=SC2016 # for the inner shell to expand
        unshare --user --map-root-user --net --mount \
            sh -c 'mount -t tmpfs tmpfs /run && exec "$@"' sh "$@"
    else
        echo "$0: user namespaces are forbidden here: run this as root" >&2
        return 1
    fi
}
