# The device that is deployed to: a BusyBox tree with an agent that beats, and an ssh server in it. Sourced by the test
# beside it, in namespaces of its own. Sets tree, work and port.

# Any would do in a network namespace of its own.
port=$((20000 + RANDOM % 20000))
beats=8080
tree=/mnt

# make_device AGENT: the tree, a network with an uplink, and a server that acknowledges beats.
make_device() {
    make_tree "$tree"
    # A file system of its own, to be full or read-only.
    mount -t tmpfs -o mode=755 tmpfs "$tree/usr/bin"
    ln -s ../../bin/env "$tree/usr/bin/env"
    put_agent "$tree" "$1"
    mkdir "$tree/opt" && cp "$1" "$tree/opt/linkbeat"
    install -m 755 buildroot/package/linkbeat/S60linkbeat "$tree/etc/init.d/S60linkbeat"
    install -d -m 2750 -g 101 "$tree/etc/rpi-cam" "$tree/etc/linkbeat"
    echo "{\"api_url\": \"http://127.0.0.1:$beats/api\", \"device_key\": \"camera-1\", \"token_code\": \"secret\"}" |
        install -m 640 -g 101 /dev/stdin "$tree/etc/rpi-cam/meeting.json"
    echo '{"interfaces": ["cam0"], "bind_to_uplink": false, "probe": {"address": ""}, "status_listen": ""}' |
        install -m 640 -g 101 /dev/stdin "$tree/etc/linkbeat/linkbeat.json"
    ip link set lo up
    ip link add cam0 type veth peer name far0
    ip link set far0 up
    ip link set cam0 up
    ip address add 192.0.2.2/24 dev cam0
    ip route add default via 192.0.2.1 dev cam0
    serve_beats
}

serve_beats() {
    python3 tests/deploy/server.py "$beats" &
    server=$!
}

# into_tree FILE...: programs of this machine, with their libraries.
into_tree() {
    local file library
    for file in "$@"; do
        [ -e "$file" ] || continue
        install -D "$file" "$tree$file"
        for library in $(ldd "$file" | grep -o '/[^ ]*'); do
            [ -e "$tree$library" ] || install -D "$library" "$tree$library"
        done
    done
}

make_keys() {
    ssh-keygen -q -t ed25519 -N '' -f "$work/key"
    install -d -m 700 "$tree/root/.ssh"
    install -m 600 "$work/key.pub" "$tree/root/.ssh/authorized_keys"
    mkdir -p "$tree/etc/ssh"
    chmod 755 "$tree" "$tree/root"
    mknod -m 666 "$tree/dev/urandom" c 1 9
}

listens() {
    : 3<>"/dev/tcp/127.0.0.1/$port"
}

# serve_ssh openssh|dropbear: instead of the one before.
serve_ssh() {
    if [ -n "${daemon-}" ]; then
        kill "$daemon"
        wait "$daemon" || true
        port=$((port + 1))
    fi
    case $1 in
    openssh)
        into_tree /usr/sbin/sshd /usr/lib/openssh/sshd-session /usr/lib/openssh/sshd-auth
        mkdir -p "$tree/run/sshd" "$tree/var/empty"
        chmod 755 "$tree/run/sshd"
        grep -q '^sshd:' "$tree/etc/passwd" || echo 'sshd:x:102:102::/run/sshd:/bin/false' >>"$tree/etc/passwd"
        ssh-keygen -q -t ed25519 -N '' -f "$tree/etc/ssh/host"
        chroot "$tree" /usr/sbin/sshd -D -f /dev/null -h /etc/ssh/host -p "$port" -o ListenAddress=127.0.0.1 \
            -o PidFile=none -o PermitRootLogin=prohibit-password &
        ;;
    dropbear)
        into_tree /usr/sbin/dropbear /usr/bin/dropbearkey
        chroot "$tree" /usr/bin/dropbearkey -t ed25519 -f /etc/ssh/dropbear >/dev/null
        chroot "$tree" /usr/sbin/dropbear -F -E -s -r /etc/ssh/dropbear -p "127.0.0.1:$port" -P '' &
        ;;
    esac
    daemon=$!
    wait_for "$1 listens" listens
}

agent_status() {
    chroot "$tree" /usr/bin/linkbeat status --json
}
# The process of the agent that beats.
agent() {
    agent_status | sed -n 's/.*"heartbeat_thread_running":true,"state":"online".*"pid":\([0-9]*\).*/\1/p'
}
beating() {
    agent | grep -q .
}
script() {
    chroot "$tree" /etc/init.d/S60linkbeat "$@"
}

# Every file of the device with mode, owner and content. What the agent says of itself has no content.
snapshot() {
    find "$tree" \( -path "$tree/proc" -o -path "$tree/dev" \) -prune -o -printf '%p %y %m %U %G %l\n' | sort
    find "$tree" \( -path "$tree/proc" -o -path "$tree/dev" -o -name '*.pid' \) -prune -o -type f -print0 |
        sort --zero-terminated | xargs -0 sha256sum
}
