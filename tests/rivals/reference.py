#!/usr/bin/env python3
"""The service that linkbeat replaces: the design of the camera's Python service.

A thread sends a beat every 30 s. In each round it connects to 8.8.8.8:53, for at most 2 s, to find out
whether the internet is back. While it waits, it checks every 500 ms whether a beat was requested. A second
thread checks the uplinks every 30 s and requests a beat: at every check while eth0 is up, and 3 s after
another interface has taken over. There is no other event.

Differences from the original that favour it: it does not ask third parties for its public address before
each beat, it needs the standard library only, and it verifies the server's certificate.

SIGUSR1 requests a beat, like a function call of the original's other threads. POST /api/meeting/heartbeat
sends one and answers after it.
"""

import datetime
import http.server
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import sys
import threading
import time
import urllib.request

CONFIG = pathlib.Path("/etc/rpi-cam/meeting.json")
PRIORITY = ("eth0", "wlan1", "wlan0")
CHECK_S = 0.5
WATCH_S = 30
SETTLE_S = 3

asked = threading.Event()


def has_internet_connectivity():
    try:
        socket.create_connection(("8.8.8.8", 53), timeout=2).close()
        return True
    except OSError:
        return False


def active_interface():
    for name in PRIORITY:
        try:
            if pathlib.Path("/sys/class/net", name, "carrier").read_text().strip() == "1":
                return name
        except OSError:
            pass  # absent, or switched off
    return None


def read(path, otherwise=""):
    try:
        return pathlib.Path(path).read_text().strip("\0\n")
    except OSError:
        return otherwise


def own_address():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("8.8.8.8", 53))
            return probe.getsockname()[0]
        except OSError:
            return None


def payload():
    address, interface = own_address(), active_interface()
    memory = {line.split(":")[0]: int(line.split()[1]) for line in read("/proc/meminfo").splitlines()}
    up = int(float(read("/proc/uptime").split()[0]))
    disk = shutil.disk_usage("/")
    return {
        "ip_address": address,
        "ip_lan": address,
        "mac": read(f"/sys/class/net/{interface}/address").upper(),
        "note": f"RTSP Recorder - {read('/proc/device-tree/model', 'camera')} - {address}",
        "timestamp": datetime.datetime.now(datetime.timezone.utc).isoformat(),
        "uptime": f"{up // 3600}h {up // 60 % 60}m",
        "cpu_load": os.getloadavg()[0],
        "memory_percent": round(100 - 100 * memory["MemAvailable"] / memory["MemTotal"], 1),
        "disk_percent": round(100 * disk.used / disk.total),
        "temperature": int(read("/sys/class/thermal/thermal_zone0/temp", "0")) / 1000,
    }


class Service:
    def __init__(self, config, ca_file):
        base = config["api_url"].rstrip("/").removesuffix("/api")
        self.url = f"{base}/api/devices/{config['device_key']}/online"
        self.headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "X-Token-Code": config["token_code"],
        }
        self.interval = config["heartbeat_interval"]
        self.tls = ssl.create_default_context(cafile=ca_file)

    def send(self):
        body = json.dumps(payload()).encode()
        request = urllib.request.Request(self.url, body, self.headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=10, context=self.tls) as answer:
                return json.load(answer)
        except (OSError, ValueError) as error:
            print(f"[Meeting] Heartbeat failed: {error}", file=sys.stderr)
            return None

    def heartbeat_loop(self):
        online = None
        while True:
            asked.clear()
            before, online = online, has_internet_connectivity()
            if before is False and online:
                print("[Meeting] Connectivity restored, sending immediate heartbeat", file=sys.stderr)
            self.send()
            for _ in range(int(self.interval / CHECK_S)):
                if asked.is_set():
                    break
                time.sleep(CHECK_S)


def failover_watchdog():
    active = active_interface()
    while True:
        time.sleep(WATCH_S)
        before, active = active, active_interface()
        if active == PRIORITY[0]:
            asked.set()
        elif active and active != before:
            time.sleep(SETTLE_S)
            asked.set()


def handler(service):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            answer = service.send() if self.path == "/api/meeting/heartbeat" else None
            body = json.dumps({"success": answer is not None, "data": answer}).encode()
            self.send_response(200 if answer is not None else 400)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler


def main():
    service = Service(json.loads(CONFIG.read_text()), os.environ.get("CA_FILE"))
    signal.signal(signal.SIGUSR1, lambda *_: asked.set())
    for work in (service.heartbeat_loop, failover_watchdog):
        threading.Thread(target=work, daemon=True).start()
    port = int(os.environ.get("PORT", "5000"))
    http.server.ThreadingHTTPServer(("127.0.0.1", port), handler(service)).serve_forever()


if __name__ == "__main__":
    main()
