#!/usr/bin/env python3
"""Rings for a heartbeat at each line of standard input.

linkbeat greets every helper on its Unix socket with a line that carries an eventfd. From then on
one write of 8 bytes is a trigger: no answer to wait for, nothing to keep up but the connection.
When the agent goes, the connection ends, and this connects again for a new eventfd.
"""
import os
import select
import socket
import sys

PATH = sys.argv[1] if len(sys.argv) > 1 else "/run/linkbeat/trigger.sock"


def connect():
    agent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    agent.connect(PATH)
    _greeting, descriptors, _flags, _peer = socket.recv_fds(agent, 64, 1)
    return agent, descriptors[0]


def has_gone(agent):
    """Whether the agent has hung up: it says nothing after its greeting."""
    return bool(select.select([agent], [], [], 0)[0])


agent, eventfd = connect()
for _line in sys.stdin:
    if has_gone(agent):
        agent.close()
        os.close(eventfd)
        agent, eventfd = connect()
    os.write(eventfd, (1).to_bytes(8, sys.byteorder))
