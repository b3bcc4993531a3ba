# The device's half of scripts/deploy: comes over ssh into a shell, is stored nowhere. It needs no more than
# BusyBox has: no fsync, timeout or stat. From the moment it has the new binary it ends by
# itself, whatever becomes of the connection.
#
# In front of it are set: from, who asks; offers, a line "MACHINE SIZE SHA256" for each binary there
# is; wait_max, the longest wait in seconds; dry_run. The binary follows on standard input.
# shellcheck shell=dash
# shellcheck disable=SC2154 # set in front
exec 3<&0 </dev/null

lock=/var/run/linkbeat-deploy
# How long the new agent is watched at least, and until when it must have answered at all.
settle=5 answer_max=20
locked='' checking='' copier='' kept='' replaced='' before='' pid='' state='' ago=''

# In a shell of its own: what could not be written to a connection that is gone must not be written later.
send() (
    echo "deploy:$*" 2>/dev/null
)

# outcome WORD TEXT...: the last line that is sent, which the device logs too.
outcome() {
    send "$@"
    shift
    logger -t linkbeat-deploy "$*" 2>/dev/null
}

refuse() {
    outcome refused "$@"
    exit 1
}

uptime() {
    read -r seconds _ </proc/uptime
    echo "${seconds%.*}"
}

# began PID: when the process began. It distinguishes the process from a later one of the same number.
began() {
    sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20
}

# bounded COMMAND...: what it says goes to $lock/said. Returns 124 if it takes too long.
bounded() {
    "$@" >"$lock/said" 2>&1 &
    child=$!
    give_up_at=$(($(uptime) + wait_max))
    while kill -0 "$child" 2>/dev/null; do
        if [ "$(uptime)" -ge "$give_up_at" ]; then
            kill -KILL "$child"
            wait "$child"
            return 124
        fi
        sleep 0.1
    done
    wait "$child"
}

# reason: why the last command failed, from what it said.
reason() {
    sed 's/.*: //' "$lock/said"
}

show_said() {
    while read -r line; do send "say   $line"; done <"$lock/said"
}

# The directory is the lock. Its owner may have been killed, which only its process can show; whoever
# wants to know that holds a second lock, so that no two find the same one stale.
take_lock() {
    if ! mkdir "$lock" 2>/dev/null; then
        [ -d "$lock" ] || refuse "cannot make $lock"
        mkdir "$lock.check" 2>/dev/null || refuse 'another deploy is starting at this moment'
        checking=yes
        tries=10
        until [ -s "$lock/owner" ] || [ "$tries" = 0 ]; do
            tries=$((tries - 1))
            sleep 0.2
        done
        owner='' since='' who=''
        read -r owner since who <"$lock/owner" 2>/dev/null
        if [ -n "$since" ] && [ "$(began "$owner")" = "$since" ]; then
            refuse "another deploy is under way, by $who"
        fi
        send "say a deploy by ${who:-somebody} was killed here: clearing up after it"
        rm -rf "$lock"
        mkdir "$lock" 2>/dev/null || refuse 'another deploy is starting at this moment'
    fi
    locked=yes
    echo "$$ $(began $$) $from" >"$lock/owner"
    [ -z "$checking" ] || { rmdir "$lock.check" && checking=''; }
}

# A rename between two names of one file does nothing, and leaves both.
put_back() {
    mv -f "$old" "$target" 2>"$lock/said" && rm -f "$old"
}

# Sees that the new binary has a place. An earlier deploy that was killed left what it had not
# confirmed: the old binary is the one that is known to work.
make_room() {
    rm -f "$new" 2>/dev/null
    (: >"$new") 2>"$lock/said" ||
        refuse "cannot write to $directory ($(reason)): mount -o remount,rw / may help"
    if [ -e "$old" ]; then
        send 'say an earlier deploy was cut off before it knew: its old binary is put back first'
        put_back || refuse "cannot put $old back: $(reason)"
    fi
    room=$(df -k "$directory" | awk 'END { print $(NF - 2) }')
    needed=$((size / 1024 + 64))
    [ "$room" -ge "$needed" ] || refuse "no space in $directory: $needed KiB needed, $room KiB free"
}

# The end of the input is the end of the binary, or that of the connection: the checksum knows.
copy() {
    cat <&3 2>"$lock/said" >"$new" &
    copier=$!
    exec 3<&-
    seen=0 heard_at=$(uptime)
    while kill -0 "$copier" 2>/dev/null; do
        sleep 0.2
        copied=$(wc -c <"$new")
        if [ "$copied" != "$seen" ]; then
            seen=$copied heard_at=$(uptime)
            send "copied $copied"
        elif [ $(($(uptime) - heard_at)) -ge "$wait_max" ]; then
            kill "$copier"
            refuse "no more came for $wait_max s: $copied of $size bytes"
        fi
    done
    wait "$copier"
    code=$?
    copier=''
    [ "$code" = 0 ] || refuse "cannot write all of it: $(reason)"
    copied=$(wc -c <"$new")
    [ "$copied" = "$size" ] || refuse "incomplete: $copied of $size bytes came"
    found=$(sha256sum "$new" | cut -d ' ' -f 1)
    [ "$found" = "$sum" ] || refuse "damaged on the way: its SHA-256 is $found, not $sum"
    send 'checked the checksum is right'
    chmod 755 "$new"
}

# A configuration that the old one does not take either is no fault of the new one.
self_check() {
    bounded "$new" --version
    code=$?
    version=$(head -n 1 "$lock/said")
    case $code:$version in
    0:'linkbeat '*) ;;
    *) show_said && refuse "the self-check fails: --version exits $code" ;;
    esac
    bounded "$new" check
    code=$?
    checked=$code
    if [ "$code" = 0 ]; then
        send "say the self-check is passed: $version"
    elif [ "$code" != 78 ]; then
        show_said
        refuse "the self-check fails: check exits $code"
    else
        show_said
        old_code=78
        if [ -e "$target" ]; then
            bounded "$target" check
            old_code=$?
        fi
        [ "$old_code" = 78 ] ||
            refuse "the self-check fails: check exits 78, that of the old binary $old_code"
        send "say check exits 78, for the old binary too: it is the configuration; going on with $version"
    fi
}

# Sets init and whether the agent was started.
find_init() {
    init='' started=''
    if [ -d /run/systemd/system ] && systemctl cat linkbeat.service >/dev/null 2>&1; then
        init=systemctl
        case $(systemctl is-active linkbeat.service) in
        active | activating | reloading) started=yes ;;
        esac
        return
    fi
    for script in /etc/init.d/S[0-9][0-9]linkbeat /etc/init.d/linkbeat; do
        [ -x "$script" ] || continue
        init=$script
        if "$script" status >/dev/null 2>&1 || [ -e /var/run/linkbeat-keeper.pid ]; then started=yes; fi
        return
    done
}

# run_init start|stop|restart
run_init() {
    status=0
    if [ "$1" = restart ]; then
        # The agent reports to the server why it ends. The word is what a link leads to: the directory is the
        # agent's own, and nothing in it is opened.
        ln -sfT upgrade /run/linkbeat/stopping 2>/dev/null || true
    fi
    case $init in
    systemctl) bounded systemctl "$1" linkbeat.service || status=$? ;;
    *) bounded "$init" "$1" || status=$? ;;
    esac
    # A new agent that does not start has not removed it.
    rm -f /run/linkbeat/stopping 2>/dev/null
    return "$status"
}

# ask: sets pid and state of the agent that answers, and ago, the age in seconds of its last acknowledged beat.
ask() {
    pid='' state='' ago=''
    bounded "$target" status --json
    verdict=$?
    [ "$verdict" -le 2 ] || return "$verdict"
    pid=$(sed -n 's/.*"pid":\([0-9]*\).*/\1/p' "$lock/said")
    state=$(sed -n 's/.*"heartbeat_thread_running":true,"state":"\([a-z_-]*\)".*/\1/p' "$lock/said")
    ago=$(sed -n 's/.*"last_heartbeat_ago":\([0-9]*\),.*/\1/p' "$lock/said")
    [ -n "$pid" ] && [ -n "$state" ]
}

# watch FORMER_PID: until the new agent has lived for a while and is no worse than the old one: it has had a beat
# acknowledged, or is in the trouble that the old one was in. Else says why not.
watch() {
    known='' why='no agent answers'
    while :; do
        if ask && [ "$pid" != "$1" ]; then
            [ "${known:-$pid}" = "$pid" ] || { why='the agent ended and was started again' && return 1; }
            [ "/proc/$pid/exe" -ef "$target" ] || { why='another program answers' && return 1; }
            [ -n "$known" ] || send "say it answers, as process $pid; watching it"
            known=$pid why="no beat was acknowledged, state $state, before $before"
            lived=$(($(uptime) - restarted_at))
            case $before in
            online) [ "$state" = online ] && [ "${ago:-999999}" -le "$lived" ] ;;
            none) true ;;
            # An agent finds out in seconds which of the two it is.
            offline | server_silent)
                case $state in online | offline | server_silent) true ;; *) false ;; esac
                ;;
            *) [ "$state" = online ] || [ "$state" = "$before" ] ;;
            esac && [ "$lived" -ge "$settle" ] && return 0
        elif [ -n "$known" ]; then
            why='the agent ended, or answers no more'
            return 1
        fi
        lived=$(($(uptime) - restarted_at))
        [ "$lived" -lt "$wait_max" ] || return 1
        [ -n "$known" ] || [ "$lived" -lt "$answer_max" ] || return 1
        sleep 0.3
    done
}

# Puts the old binary back, and the agent into the state it was in.
go_back() {
    send "say $1: going back"
    replaced=''
    result='the old binary is back'
    if [ -z "$existed" ]; then
        result='there was none before'
        rm -f "$target"
    elif ! put_back; then
        kept=''
        outcome broken "$1; the old binary cannot be put back, it is in $old: $(reason)"
        return
    fi
    sync
    if [ -z "$init" ]; then
        outcome back "$1; $result"
    elif [ -z "$started" ]; then
        run_init stop
        outcome back "$1; $result, the agent stopped as before"
    else
        restarted_at=$(uptime)
        run_init restart
        until ask && [ "/proc/$pid/exe" -ef "$target" ]; do
            if [ $(($(uptime) - restarted_at)) -lt "$wait_max" ]; then
                sleep 0.3
            elif [ "$before" = none ]; then
                break
            else
                outcome broken "$1; $result, but does not answer"
                return
            fi
        done
        outcome back "$1; $result, and restarted"
    fi
}

replace() {
    ask
    former=$pid
    before=${state:-none}
    # Online, but without a beat for long: nothing that the new one could be measured by.
    [ "$before" != online ] || [ "$verdict" = 0 ] || before=stale
    if [ "$checked$state" = 78online ]; then
        refuse 'the configuration has become invalid: a restart would lose the good one that is in force'
    fi
    case $before in
    none) send 'say no agent answers here yet' ;;
    *) send "say the agent that runs is process $pid, state $before" ;;
    esac
    if [ -n "$dry_run" ]; then
        outcome deployed "all is well with $version; nothing was changed (--dry-run)"
        exit
    fi
    # What is renamed must be in the flash before its name is.
    sync
    # Whoever asked is gone: then better nothing.
    send "say replacing $target" || exit 1
    existed=''
    if [ -e "$target" ]; then
        existed=yes kept=yes
        ln "$target" "$old" 2>/dev/null || cp -p "$target" "$old" 2>"$lock/said" ||
            refuse "cannot keep the old binary: $(reason)"
    fi
    known='' replaced=yes
    mv -f "$new" "$target" || exit 1
    sync
    if [ -z "$init" ]; then
        replaced=''
        outcome deployed "$version is in place; no init here knows linkbeat: start it again with: $target run"
        exit
    fi
    send "say restarting with $init"
    restarted_at=$(uptime)
    run_init restart || { show_said && go_back "it does not start: $init restart failed" && exit 1; }
    watch "$former" || { go_back "$why" && exit 1; }
    replaced=''
    case $state in
    online) outcome deployed "$version runs and its beat was acknowledged" ;;
    *) outcome deployed "$version runs; state $state, before $before" ;;
    esac
}

finish() {
    [ -z "$copier" ] || kill "$copier" 2>/dev/null
    [ -z "$replaced" ] || go_back 'the deploy was interrupted'
    [ -z "$kept" ] || rm -f "$old"
    [ -z "$locked" ] || rm -rf "$new" "$lock"
    [ -z "$checking" ] || rmdir "$lock.check"
}

# Not ignored but caught, so that the agent does not inherit it.
trap : HUP PIPE
trap 'exit 1' INT TERM
trap finish EXIT

machine=$(uname -m)
case $machine in
arm64) machine=aarch64 ;;
armv7* | armv8l) machine=armv7 ;;
armv6*) machine=armv6 ;;
esac
target=$(readlink -f /usr/bin/linkbeat)
target=${target:-/usr/bin/linkbeat}
directory=${target%/*}
new=$directory/.linkbeat.new old=$directory/.linkbeat.old
[ "$(id -u)" = 0 ] || refuse "this needs root on the device, not $(id -un)"
command -v sha256sum >/dev/null || refuse 'there is no sha256sum on the device'
size='' sum=''
while read -r offered bytes digest; do
    [ "$offered" != "$machine" ] || size=$bytes sum=$digest
done <<END_OF_OFFERS
$offers
END_OF_OFFERS
[ -n "$size" ] || { send "unmatched $machine" && exit 1; }
take_lock
make_room
send "want $machine"
copy
self_check
find_init
replace
