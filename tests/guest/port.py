"""A stand-in for the web manager of a camera: what `gunicorn --workers 2 --bind 0.0.0.0:5000` does to a port.

Prints "bound" or why it could not bind, which it tries once; gunicorn would try five times.
"""

import os
import signal
import socket
import sys

WORKERS = 2
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nmanager"


def work(listener):
    while True:
        client, _ = listener.accept()
        client.recv(4096)
        client.sendall(ANSWER)
        client.close()


listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
try:
    listener.bind(("0.0.0.0", 5000))
    listener.listen(2048)
except OSError as error:
    print(f"cannot bind: {error}", flush=True)
    sys.exit(1)
workers = []
for _ in range(WORKERS):
    worker = os.fork()
    if not worker:
        work(listener)
    workers.append(worker)

# Blocked and waited for: one that arrives just before pause(2) would be slept through.
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
print("bound", flush=True)
signal.sigwait({signal.SIGTERM})
for worker in workers:
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
