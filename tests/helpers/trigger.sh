#!/bin/sh
# trigger.sh [WORD [SOCKET]]: requests a heartbeat with WORD as its reason and prints the answer:
# set, pending, held until T, disabled or unconfigured.
#
# If the linkbeat command is installed, `linkbeat trigger --reason WORD` does the same.
word=${1:-}
socket=${2:-/run/linkbeat/trigger.sock}
# The first line is the greeting.
printf 'trigger %s\n' "$word" | socat -t 5 - "UNIX-CONNECT:$socket" | sed 1d
