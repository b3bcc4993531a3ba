#!/bin/sh
# Rings for a heartbeat once, with a word of its own, and prints the answer:
# set, pending, held until T, disabled or unconfigured.
#
# Where the linkbeat command is at hand, `linkbeat trigger --reason WORD` does the same.
word=${1:-}
socket=${2:-/run/linkbeat/trigger.sock}
# The first line is the greeting.
printf 'trigger %s\n' "$word" | socat -t 5 - "UNIX-CONNECT:$socket" | sed 1d
