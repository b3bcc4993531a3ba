#!/bin/bash
# The rival that a careful person can write in an afternoon: a beat by curl every 30 s, and at once when
# `ip monitor` reports a change or a helper requests it.
#
# It has features that such loops usually lack: time-outs, retries, a short wait after a failure, debounce,
# verification of the certificate, and the same JSON body as the others.
#
#   curl.sh          sends beats forever; a line `trigger` written to $FIFO requests a beat
#   curl.sh once     sends one beat
#
# API_URL, DEVICE_KEY, TOKEN_CODE, CA_FILE and FIFO come from the environment.
set -u
: "$API_URL" "$DEVICE_KEY" "$TOKEN_CODE" "$CA_FILE" "$FIFO"

INTERVAL=30   # between two beats
AGAIN=5       # after a beat that failed with all its retries
QUIET=0.5     # a change is a burst of messages, which ends with this silence
BURST_MAX=100 # messages, in case they never end

body() {
    local ip mac up load total available disk temperature model words
    words=$(ip -4 route get 203.0.113.1 2>/dev/null) || words=
    ip=${words##* src } ip=${ip%% *} words=${words##* dev }
    mac=$(<"/sys/class/net/${words%% *}/address") 2>/dev/null || mac=
    read -r up _ </proc/uptime
    read -r load _ </proc/loadavg
    while read -r words available _; do
        case $words in
        MemTotal:) total=$available ;;
        MemAvailable:) break ;;
        esac
    done </proc/meminfo
    disk=$(df --output=pcent / | tr -dc 0-9)
    read -r temperature </sys/class/thermal/thermal_zone0/temp || temperature=0
    { read -r -d '' model </proc/device-tree/model || [ -n "$model" ]; } || model=camera
    up=${up%.*}
    printf '{"ip_address": "%s", "ip_lan": "%s", "mac": "%s", ' "$ip" "$ip" "${mac^^}"
    printf '"note": "RTSP Recorder - %s - %s", ' "$model" "$ip"
    TZ=UTC printf '"timestamp": "%(%Y-%m-%dT%H:%M:%SZ)T", ' -1
    printf '"uptime": "%dh %dm", "cpu_load": %s, ' $((up / 3600)) $((up / 60 % 60)) "$load"
    printf '"memory_percent": %d, "disk_percent": %s, ' $((100 - 100 * available / total)) "$disk"
    printf '"temperature": %d.%d}' $((temperature / 1000)) $((temperature / 100 % 10))
} 2>/dev/null

beat() {
    curl --silent --show-error --fail --output /dev/null --cacert "$CA_FILE" \
        --connect-timeout 3 --max-time 10 --retry 2 --retry-delay 1 --retry-all-errors \
        --header 'Content-Type: application/json' --header 'Accept: application/json' \
        --header "X-Token-Code: $TOKEN_CODE" --data "$(body)" \
        "$API_URL/devices/$DEVICE_KEY/online"
}

# Returns when a beat is due: after $1 seconds, after a change, or at once after a trigger.
wait_for_reason() {
    local line count=0
    read -r -t "$1" -u 3 line || return 0
    while [ "$line" != trigger ] && ((count++ < BURST_MAX)); do
        read -r -t "$QUIET" -u 3 line || return 0
    done
}

[ "${1-}" != once ] || { beat && exit; }

rm -f "$FIFO"
mkfifo -m 600 "$FIFO"
exec 3<>"$FIFO"
monitor=
while true; do
    # shellcheck disable=SC2086 # it is empty at first
    kill -0 $monitor 2>/dev/null || { ip monitor link address route 3>&- >"$FIFO" & monitor=$!; }
    if beat; then wait_for_reason $INTERVAL; else wait_for_reason $AGAIN; fi
done
