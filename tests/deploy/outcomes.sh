# What may come of a deploy. Sourced by the test beside it, whose functions it uses.

# client_that FAULT [BYTES]: a bad line, from the middle of the binary on.
client_that() {
    client="tests/deploy/client $1 ${2-200000} "
}

refused_before_anything() {
    outcome='no executable'
    before && deploy script
    expect 1 'is no executable for' && untouched

    outcome='wrong architecture'
    before && deploy foreign
    expect 1 'foreign is for aarch64, the device is x86_64' && untouched

    outcome='no space'
    mount -o "remount,size=$(($(du -k "$work/agent" | cut -f 1) * 3 / 2))k" "$tree/usr/bin"
    before && deploy good
    expect 1 'refused: no space in /usr/bin: .* needed, .* free' && untouched
    mount -o remount,size=50% "$tree/usr/bin"

    outcome='read-only'
    mount -o remount,ro "$tree/usr/bin"
    before && deploy good
    expect 1 'refused: cannot write to /usr/bin (Read-only file system)' && untouched
    mount -o remount,rw "$tree/usr/bin"
}

refused_after_the_copy() {
    outcome='damaged on the way'
    client_that flip
    before && deploy good
    expect 1 'refused: damaged on the way' && untouched

    outcome='incomplete'
    client_that cut
    before && deploy good
    expect 1 'refused: incomplete' && untouched

    outcome='no more comes'
    client_that hang
    before && deploy good --wait 1
    expect 1 'refused: no more came for 1 s' && untouched
    client=''

    outcome='self-check: --version fails'
    before && deploy no-version
    expect 1 'refused: the self-check fails: --version exits 1' && untouched

    outcome='self-check: the configuration is suddenly wrong'
    before && deploy no-check
    expect 1 'refused: the self-check fails: check exits 78, that of the old binary 0' && untouched

    outcome='self-check: hangs'
    before && deploy hangs --wait 1
    expect 1 'refused: the self-check fails: --version exits 124' && untouched

    outcome='dry run'
    before && deploy good --dry-run
    expect 0 'deployed: all is well with linkbeat .*; nothing was changed' && untouched
}

lost_connections() {
    outcome='connection lost during the copy'
    client_that hang
    until='copied'
    before && deploying good
    kill -KILL "$(cat "$CLIENT_PID")"
    ended
    wait_for 'the device has cleared up' idle
    expect 1 'connection lost: nothing was changed' && untouched

    outcome='connection lost before the replacement'
    client_that wait
    : >"$GO_ON"
    until='the checksum is right'
    before && deploying slow
    kill -KILL "$(cat "$CLIENT_PID")"
    ended
    wait_for 'the device has cleared up' idle
    expect 3 'connection lost after the copy' && untouched

    outcome='connection lost while the new agent fails'
    until='restarting with'
    before && deploying dies --wait 6
    kill -KILL "$(cat "$CLIENT_PID")"
    ended
    wait_for 'the device has decided' idle
    expect 3 'connection lost after the copy' && back

    outcome='connection lost while the new agent lives'
    until='watching it'
    before && deploying good
    kill -KILL "$(cat "$CLIENT_PID")"
    ended
    wait_for 'the device has decided' idle
    expect 3 'connection lost after the copy'
    runs good
    again
    rm "$GO_ON"
    client=''
}

# Of an agent that dies at once its script may or may not catch a glimpse.
dead='\(it does not start: .*\|no agent answers\)'

rolled_back() {
    outcome='does not start'
    before && deploy dies --wait 6
    expect 2 "back: $dead; the old binary is back" && back

    outcome='dies after the start'
    until='watching it'
    before && deploying good
    kill -KILL "$(sed -n 's/.*as process \([0-9]*\);.*/\1/p' "$work/deploy")"
    ended
    expect 2 'back: the agent ended' && back

    outcome='lives, but its beats are refused'
    before && deploy mute --wait 6
    expect 2 'back: no beat was acknowledged, state [a-z_]*, before online' && back
}

two_at_once() {
    outcome='second deploy at the same time'
    client_that wait
    until='copied'
    before && deploying good
    first=$deploying
    client=''
    mv "$work/deploy" "$work/first"
    deploy better
    expect 1 'refused: another deploy is under way, by '
    [ "$(agent)" = "$was" ] || fail 'the second one has touched the agent'
    : >"$GO_ON"
    deploying=$first
    ended
    [ "$code" = 0 ] || fail "$server_name, $outcome: the first one failed"
    runs good
    again
    rm "$GO_ON"
}

good() {
    outcome='good'
    before && deploy good
    expect 0 'deployed: linkbeat .* runs and its beat was acknowledged'
    grep -q 'copied 100 %' "$work/deploy" || fail 'no progress'
    runs good
    snapshot | grep -v ' .*/usr/bin/linkbeat$' >"$work/after"
    grep -v ' .*/usr/bin/linkbeat$' "$work/before" | diff - "$work/after" || fail "$server_name: more was changed"
    again
}

every_outcome() {
    client=''
    refused_before_anything
    refused_after_the_copy
    rolled_back
    two_at_once
    lost_connections
    good
}

# state: what the agent says of itself.
state() {
    agent_status | sed -n 's/.*"heartbeat_thread_running":true,"state":"\([a-z_]*\)".*/\1/p'
}
in_trouble() {
    chroot "$tree" /usr/bin/linkbeat trigger >/dev/null || true
    [ "$(state)" != online ]
}

troubles_of_before() {
    outcome='the server is away, before and after'
    before
    kill "$server"
    wait_for 'the beats fail' in_trouble
    # It is server_silent for the seconds until the gateway, which does not exist, was asked for in vain.
    deploy good
    expect 0 'deployed: linkbeat .* runs; state \(offline\|server_silent\), before \(offline\|server_silent\)$'
    [ "$(state)" != online ] || fail "$outcome: online"
    serve_beats
    again

    outcome='the configuration is invalid, but a good one is in force'
    before
    mv "$tree/etc/rpi-cam/meeting.json" "$tree/tmp/meeting.json"
    echo '{' | install -m 640 -g 101 /dev/stdin "$tree/etc/rpi-cam/meeting.json"
    deploy good
    expect 1 'refused: the configuration has become invalid'
    [ "$(agent)" = "$was" ] || fail "$outcome: the agent is another one"

    outcome='the configuration is invalid, before and after'
    script restart
    deploy good
    expect 0 'check exits 78, for the old binary too'
    grep -q 'state unconfigured, before unconfigured' "$work/deploy" || fail "$outcome: other states"
    mv "$tree/tmp/meeting.json" "$tree/etc/rpi-cam/meeting.json"
    again
}

agents_that_do_not_run() {
    outcome='stopped before, does not start'
    before
    script stop
    snapshot >"$work/before"
    deploy dies --wait 6
    expect 2 "back: $dead; the old binary is back, the agent stopped as before" && left_as_it_was
    ! script status || fail "$outcome: it runs"

    outcome='stopped before, good'
    deploy good
    expect 0 'no agent answers here yet' && runs good

    outcome='first binary at all, does not start'
    script stop
    rm "$tree/usr/bin/linkbeat"
    snapshot >"$work/before"
    deploy dies --wait 6
    expect 2 "back: $dead; there was none before, the agent stopped as before" && left_as_it_was

    outcome='first binary at all, good'
    deploy good
    expect 0 'deployed: ' && runs good
    again

    outcome='no init knows it'
    before
    mv "$tree/etc/init.d/S60linkbeat" "$tree/tmp"
    deploy good
    expect 0 'no init here knows linkbeat: start it again with: /usr/bin/linkbeat run'
    cmp "$work/good" "$tree/usr/bin/linkbeat" || fail "$outcome: good is not installed"
    [ "$(agent)" = "$was" ] || fail "$outcome: the agent is another one"
    mv "$tree/tmp/S60linkbeat" "$tree/etc/init.d"
    again
}

init_that_errs() {
    outcome='the script starts another binary'
    sed -i 's|^EXECUTABLE=.*|EXECUTABLE=/opt/linkbeat|' "$tree/etc/init.d/S60linkbeat"
    script restart
    before && deploy good --wait 6
    expect 3 'broken: another program answers; the old binary is back, but does not answer' && left_as_it_was
    install -m 755 buildroot/package/linkbeat/S60linkbeat "$tree/etc/init.d/S60linkbeat"
    # The other one is not known to the right script.
    kill "$(cat "$tree/run/linkbeat-keeper.pid")"
    again
}

systemd() {
    mkdir -p "$tree/run/systemd/system"
    cat >"$tree/bin/systemctl" <<'END'
#!/bin/sh
case $1 in
cat) ;;
is-active) /etc/init.d/S60linkbeat status >/dev/null && echo active || echo inactive ;;
*) echo "$*" >>/tmp/calls && exec /etc/init.d/S60linkbeat "$1" ;;
esac
END
    chmod 755 "$tree/bin/systemctl"
    outcome='systemd'
    : >"$tree/tmp/calls"
    before && deploy good
    expect 0 'restarting with systemctl'
    runs good
    again
    outcome='systemd, does not start'
    before && deploy dies --wait 6
    expect 2 "back: $dead; the old binary is back" && wait_for 'the old agent beats' beating && runs agent
    [ "$(sort "$tree/tmp/calls" | uniq -c | xargs)" = '3 restart linkbeat.service' ] ||
        fail "$outcome: called with $(xargs <"$tree/tmp/calls")"
    rm -r "$tree/run/systemd" "$tree/bin/systemctl" "$tree/tmp/calls"
}

# What is left by a deploy that was killed.
cut_off() {
    outcome='the lock of a process that is gone'
    mkdir "$tree/run/linkbeat-deploy"
    # Process 1 is there, but began at another time.
    echo '1 1 somebody@elsewhere' >"$tree/run/linkbeat-deploy/owner"
    deploy good --dry-run
    expect 0 'a deploy by somebody@elsewhere was killed here'
    idle || fail "$outcome: it is still there"

    outcome='a binary that was never confirmed'
    before
    cp "$work/good" "$tree/usr/bin/linkbeat.tmp"
    mv "$tree/usr/bin/linkbeat" "$tree/usr/bin/.linkbeat.old"
    mv "$tree/usr/bin/linkbeat.tmp" "$tree/usr/bin/linkbeat"
    deploy no-version
    expect 1 'its old binary is put back first' && untouched

    outcome='terminated on the device'
    until='restarting with'
    before && deploying mute
    read -r owner _ <"$tree/run/linkbeat-deploy/owner"
    kill "$owner"
    ended
    expect 2 'back: the deploy was interrupted' && back

    outcome='the space goes during the copy'
    client_that wait
    until='copied'
    before && deploying good
    mount -o "remount,size=$(($(du -k "$work/agent" | cut -f 1) * 3 / 2))k" "$tree/usr/bin"
    : >"$GO_ON"
    ended
    expect 1 'refused: cannot write all of it: No space left on device' && untouched
    mount -o remount,size=50% "$tree/usr/bin"
    rm "$GO_ON"
    client=''
}

made_by_cross() {
    repository=$work/repository
    local aarch64=$repository/target/aarch64-unknown-linux-musl/release
    local x86_64=$repository/target/x86_64-unknown-linux-musl/release
    mkdir -p "$repository/scripts"
    cp scripts/deploy scripts/deploy-device.sh "$repository/scripts"
    outcome='nothing was built'
    before && deploy ''
    expect 1 'there is no binary yet: scripts/cross makes one' && untouched

    outcome='nothing was built for this machine'
    mkdir -p "$aarch64" "$x86_64"
    cp "$work/foreign" "$aarch64/linkbeat"
    before && deploy ''
    expect 1 'there is no binary for x86_64 yet: scripts/cross x86_64 may make one' && untouched

    outcome='of two machines'
    cp "$work/good" "$x86_64/linkbeat"
    before && deploy '' --dry-run
    expect 0 'copying target/x86_64-unknown-linux-musl/release/linkbeat' && untouched
    unset repository
}

other_client() {
    outcome='the client of dropbear'
    dropbearkey -t ed25519 -f "$work/other-key" | grep '^ssh-ed25519' >>"$tree/root/.ssh/authorized_keys"
    ssh="dbclient -y -i $work/other-key -p $port"
    # Where it writes its known hosts.
    export HOME=$work
    before && deploy good --dry-run
    expect 0 'nothing was changed' && untouched
}

# hostile NAME LINE...: a device that says these lines; nothing of them is evaluated, and no terminal obeys them.
hostile() {
    outcome="hostile: $1"
    shift
    printf '%s\n' "$@" >"$work/payload"
    rm -f "$work/evaluated"
    code=0
    PAYLOAD=$work/payload timeout 60 scripts/deploy --ssh "$PWD/tests/deploy/hostile" --binary "$work/good" camera \
        >"$work/deploy" 2>&1 || code=$?
    [ ! -e "$work/evaluated" ] || fail "$outcome: a command of the device ran on this machine"
    ! LC_ALL=C grep -q '[^[:print:]]' "$work/deploy" || fail "$outcome: control characters reach the terminal"
}

hostile_devices() {
    local run="\$(touch $work/evaluated)"
    hostile 'a command in place of a number' 'deploy:want MACHINE' "deploy:copied a[$run]"
    expect 1 'the device broke the protocol: deploy:copied a\['
    hostile 'a command as the machine' "deploy:want x[$run]"
    expect 1 'the device broke the protocol'
    hostile 'a number in octal, and one too large' 'deploy:want MACHINE' 'deploy:copied 08'
    expect 1 'the device broke the protocol: deploy:copied 08'
    hostile 'more than there is' 'deploy:want MACHINE' 'deploy:copied 999999999999'
    expect 1 'the device broke the protocol'
    hostile 'progress of nothing' 'deploy:copied 0'
    expect 1 'the device broke the protocol'
    hostile 'the binary twice' 'deploy:want MACHINE' 'deploy:want MACHINE'
    expect 1 'the device broke the protocol: deploy:want'
    hostile 'a machine that was not offered' 'deploy:want vax'
    expect 1 'the device broke the protocol: deploy:want vax'
    hostile 'an unknown word' 'deploy:exec id'
    expect 1 'the device broke the protocol: deploy:exec id'
    hostile 'a word alone' 'deploy:deployed'
    expect 1 'the device broke the protocol'
    hostile 'after the copy' 'deploy:want MACHINE' 'deploy:checked all of it' 'deploy:exec id'
    expect 3 'the device broke the protocol'
    hostile 'escape sequences' '\033]0;title\007 hello' 'deploy:say \033[2J\033[1;31mred' 'deploy:refused \033[5m\302\233 no'
    expect 1 'refused: ?\[5m?? no'
    hostile 'a line without end' "$(head --bytes=100000 /dev/zero | tr '\0' x)" 'deploy:refused no'
    expect 1 'refused: no'
}

# Devices that say anything, by 100 seeds.
any_device() {
    tests/deploy/any_device.py "$work/good" || fail 'a device that says anything'
    echo 'deploy: either: devices that say anything' >&3
}

only_once() {
    hostile_devices
    any_device
    server_name='either'
    client=''
    troubles_of_before
    agents_that_do_not_run
    init_that_errs
    systemd
    cut_off
    made_by_cross
    other_client
}
