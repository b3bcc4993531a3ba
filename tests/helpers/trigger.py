#!/usr/bin/env python3
"""Requests a heartbeat for each line of standard input.

linkbeat greets every helper on its Unix socket with a line that carries an eventfd. From then on,
each write of 8 bytes to the eventfd is a trigger, as long as the connection is open. There is no
answer to wait for. When the agent ends, the connection ends too, and the helper connects again to
get a new eventfd.
"""
import os
import select
import socket
import sys

PATH = sys.argv[1] if len(sys.argv) > 1 else "/run/linkbeat/trigger.sock"


def connect():
    agent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        agent.connect(PATH)
    except OSError as error:
        sys.exit(f"{PATH}: {error.strerror}")
    _greeting, descriptors, _flags, _peer = socket.recv_fds(agent, 64, 1)
    if not descriptors:
        sys.exit(f"{PATH}: sixteen helpers have an eventfd already")
    return agent, descriptors[0]


def has_gone(agent):
    """Whether the agent has closed the connection: it sends nothing after its greeting."""
    return bool(select.select([agent], [], [], 0)[0])


agent, eventfd = connect()
for _line in sys.stdin:
    if has_gone(agent):
        agent.close()
        os.close(eventfd)
        agent, eventfd = connect()
    os.write(eventfd, (1).to_bytes(8, sys.byteorder))
