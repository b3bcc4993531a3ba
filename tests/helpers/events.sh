#!/bin/sh
# events.sh OFFLINE_S LIMIT_S PROGRAM [ARGUMENT...]
#
# Runs PROGRAM when a beat is acknowledged after an outage (online), when an outage has lasted OFFLINE_S seconds (offline),
# and when the last uplink is lost (uplink_lost). It reads `linkbeat events --follow --json`; other programs can do the same.
#
# PROGRAM finds the facts in its environment, and none of an earlier event:
#   LINKBEAT_EVENT      online, offline or uplink_lost
#   LINKBEAT_OFFLINE_S  online, offline: seconds since the outage began
#   LINKBEAT_CAUSE      online, offline: why beats failed when it began, for example timed_out or http_503, or no_connectivity
#   LINKBEAT_UPLINK     uplink_lost: the interface that was the uplink
#
# One PROGRAM runs at a time, in the order of the events. One that takes longer than LIMIT_S seconds is killed. Events from
# before the start of this script run nothing, except that an outage that still lasts is reported. It ends with the exit code of
# `linkbeat events` (3 if no agent runs at the start), so that a supervisor of services can start it again. An agent that ends
# later is waited for.
[ $# -ge 3 ] || { echo "usage: $0 OFFLINE_S LIMIT_S PROGRAM [ARGUMENT...]" >&2 && exit 64; }
offline_s=$1 limit_s=$2
shift 2

directory=$(mktemp -d) || exit 71
trap 'rm -r "$directory"' EXIT
trap 'exit 0' INT TERM
mkfifo "$directory/lines" || exit 71
# Open for writing as well: opening a FIFO for reading alone waits for a writer.
exec 3<>"$directory/lines"
{
    linkbeat events --follow --json
    echo "ended $?"
} >"$directory/lines" 3>&- &

uptime_s() {
    cut -d. -f1 /proc/uptime
}

# field NAME: the string or the number of that name in $line.
field() {
    printf '%s\n' "$line" | sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",}]*\).*/\1/p"
}

# run NAME=VALUE... COMMAND...: nothing if the event is older than this script.
run() {
    [ "$at" -lt "$started" ] || timeout -s KILL "$limit_s" env "$@" </dev/null 3>&-
}

started=$(uptime_s)
echo "follows the events of linkbeat" >&2
# When the outage began, in seconds of the system's uptime; empty while there is none.
began='' cause='' outages=0
while read -r line <&3; do
    case $line in
    "ended "*) exit "${line#ended }" ;;
    "timer "*)
        # An outage that has ended, or another one by now.
        [ -n "$began" ] || continue
        [ "${line#timer }" = "$outages" ] || continue
        at=$(uptime_s)
        run LINKBEAT_EVENT=offline LINKBEAT_OFFLINE_S=$((at - began)) "LINKBEAT_CAUSE=$cause" "$@"
        continue
        ;;
    esac
    ago_ms=$(field ago_ms) kind=$(field kind)
    at=$(($(uptime_s) - ${ago_ms:-0} / 1000))
    case $line in
    *'"to":null'*)
        run LINKBEAT_EVENT=uplink_lost "LINKBEAT_UPLINK=$(field from)" "$@"
        ;;
    esac
    if [ -n "$began" ] && [ "$(field result)" = acknowledged ]; then
        run LINKBEAT_EVENT=online LINKBEAT_OFFLINE_S=$((at - began)) "LINKBEAT_CAUSE=$cause" "$@"
        began=
    elif [ "$kind" = offline ] || [ "$kind" = failing ]; then
        [ -z "$began" ] || continue
        began=$at outages=$((outages + 1))
        cause=$(field cause)
        cause=${cause:-no_connectivity}
        left_s=$((offline_s + began - $(uptime_s)))
        [ "$left_s" -gt 0 ] || left_s=1
        { sleep "$left_s" && echo "timer $outages"; } >"$directory/lines" 3>&- &
    fi
done
