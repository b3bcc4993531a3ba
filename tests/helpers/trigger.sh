#!/bin/sh
# trigger.sh [WORD [SOCKET]]: requests a heartbeat with WORD as its reason and prints the answer:
# set, pending, held until T, disabled or unconfigured. Exits with 1 without an answer, or where it is an error.
#
# If the linkbeat command is installed, `linkbeat trigger --reason WORD` does the same.
word=${1:-}
socket=${2:-/run/linkbeat/trigger.sock}
# The first line is the greeting.
answer=$(printf 'trigger %s\n' "$word" | socat -t 5 - "UNIX-CONNECT:$socket" | sed 1d)
[ -n "$answer" ] || exit 1
echo "$answer"
case $answer in error:*) exit 1 ;; esac
