# A test device: a directory with BusyBox in the layout of Buildroot. Sourced by the tests beside it.

# fail MESSAGE...: ends the test.
fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# wait_for WHAT COMMAND...: waits until the command succeeds, at most ten seconds or $patience.
wait_for() {
    local what=$1 tries=$((${patience-10} * 10))
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "not within ${patience-10} seconds: $what"
        sleep 0.1
    done
}

# make_tree DIRECTORY: makes a tree with BusyBox, the users root and linkbeat, and mounted /proc and /dev. It needs
# a mount namespace and a PID namespace of its own, so that nothing is left afterwards.
make_tree() {
    local tree=$1 applet
    mkdir -p "$tree"/{bin,sbin,usr/bin,usr/sbin,etc/init.d,proc,dev,run,tmp,root}
    ln -s ../run "$tree/var-run" && mkdir "$tree/var" && mv "$tree/var-run" "$tree/var/run"
    cp "$(command -v busybox)" "$tree/bin/busybox"
    for applet in $(busybox --list); do
        # The BusyBox of Buildroot lacks these.
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

# put_program TREE FILE NAME: installs a program in /usr/bin with its shared libraries.
put_program() {
    local library
    install -m 755 "$2" "$1/usr/bin/$3"
    for library in $(ldd "$2" 2>/dev/null | grep -o '/[^ ]*'); do
        install -D "$library" "$1$library"
    done
}

# put_agent TREE BINARY: installs the agent, which in a test build has shared libraries.
put_agent() {
    put_program "$1" "$2" linkbeat
}
