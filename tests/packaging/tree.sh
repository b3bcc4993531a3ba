# A device to try things on: a directory with BusyBox as Buildroot lays it out. Sourced by the tests beside it.

# fail MESSAGE...: ends the test.
fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# wait_for WHAT COMMAND...: until the command succeeds, ten seconds at most, or $patience.
wait_for() {
    local what=$1 tries=$((${patience-10} * 10))
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "not within ${patience-10} seconds: $what"
        sleep 0.1
    done
}

# make_tree DIRECTORY: BusyBox, the users root and linkbeat, /proc and /dev mounted. Wants a mount
# namespace of its own, and a PID namespace, so that nothing of it stays.
make_tree() {
    local tree=$1 applet
    mkdir -p "$tree"/{bin,sbin,usr/bin,usr/sbin,etc/init.d,proc,dev,run,tmp,root}
    ln -s ../run "$tree/var-run" && mkdir "$tree/var" && mv "$tree/var-run" "$tree/var/run"
    cp "$(command -v busybox)" "$tree/bin/busybox"
    for applet in $(busybox --list); do
        # Buildroot has none of these.
        case $applet in busybox | fsync | timeout | stat) continue ;; esac
        ln -s busybox "$tree/bin/$applet"
    done
    ln -s ../../bin/env "$tree/usr/bin/env"
    printf '%s\n' root:x:0:0:root:/root:/bin/sh linkbeat:x:100:101::/:/bin/false >"$tree/etc/passwd"
    printf '%s\n' root:x:0: linkbeat:x:101: >"$tree/etc/group"
    mount -t proc proc "$tree/proc"
    mount -t tmpfs tmpfs "$tree/dev"
    mknod -m 666 "$tree/dev/null" c 1 3 2>/dev/null ||
        { touch "$tree/dev/null" && mount --bind /dev/null "$tree/dev/null"; }
    chmod 1777 "$tree/tmp"
}

# put_agent TREE BINARY: with the shared libraries of a test build.
put_agent() {
    local library
    install -m 755 "$2" "$1/usr/bin/linkbeat"
    for library in $(ldd "$2" 2>/dev/null | grep -o '/[^ ]*'); do
        install -D "$library" "$1$library"
    done
}
