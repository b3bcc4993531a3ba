#!/usr/bin/env python3
"""A stand-in for the web manager of the camera: it binds, beats and writes its files the same way.

Two workers share port 5000 of every address, as gunicorn's do. Each has two loops that send a beat in every
interval: one is started by the initialization if `enabled` and `auto_connect` are true, the other in any case.
A loop reads the configuration in each round, and the sending reads it once more. The requests of the page that
write the configuration are here, with what they write: the seven keys that the manager knows, in place.

What it leaves out: the question to third parties for the public address, the check of the connectivity, and that
it reads its own file while it writes it, which gives it its defaults for a round.
"""

import contextlib
import fcntl
import http.server
import json
import os
import socket
import ssl
import threading
import time
import urllib.request

MEETING = "/etc/rpi-cam/meeting.json"
ENV = "/etc/rpi-cam/config.env"
CHECK_S = 0.5
RESET = {
    "MEETING_ENABLED": "no",
    "MEETING_API_URL": "https://meeting.example.com/api",
    "MEETING_DEVICE_KEY": "",
    "MEETING_TOKEN_CODE": "",
    "MEETING_PROVISIONED": "no",
}

triggered = threading.Event()
first_loop_runs = threading.Event()


def say(text):
    # One write: lines of two workers do not mix.
    os.write(1, f"{text}\n".encode())


@contextlib.contextmanager
def locked(how):
    """Keeps its own loops from the file that it is writing, which the manager itself does not."""
    with open(__file__) as file:
        fcntl.flock(file, how)
        yield


def env_lines():
    try:
        with open(ENV) as file:
            return file.readlines()
    except OSError:
        return []


def load():
    config = {
        "enabled": True,
        "api_url": "https://built-in.invalid",
        "device_key": "",
        "token_code": "",
        "heartbeat_interval": 60,
        "auto_connect": True,
        "provisioned": False,
    }
    if os.path.exists(MEETING):
        try:
            with locked(fcntl.LOCK_SH), open(MEETING) as file:
                config.update(json.load(file))
        except Exception as error:
            say(f"Error loading meeting config from JSON: {error}")
    else:
        for line in env_lines():
            key, _, value = line.strip().partition("=")
            value = value.strip().strip('"').strip("'")
            if key == "MEETING_ENABLED":
                config["enabled"] = value.lower() in ("yes", "true", "1")
            elif key == "MEETING_API_URL" and value:
                config["api_url"] = value
            elif key == "MEETING_DEVICE_KEY" and value:
                config["device_key"] = value
    config["device_key"] = config["device_key"] or f"{socket.gethostname()}-derived"
    return config


def save(config):
    keys = ("enabled", "api_url", "device_key", "heartbeat_interval", "auto_connect", "provisioned")
    kept = {key: config[key] for key in keys}
    if config.get("token_code"):
        kept["token_code"] = config["token_code"]
    with locked(fcntl.LOCK_EX), open(MEETING, "w") as file:
        json.dump(kept, file, indent=2)


def save_env(values):
    lines = []
    for line in env_lines():
        key = line.split("=", 1)[0].strip()
        lines.append(f'{key}="{values[key]}"\n' if key in values else line)
    if lines:
        with open(ENV, "w") as file:
            file.writelines(lines)


def send(sender="the page"):
    config = load()
    if not config["enabled"]:
        return {"success": False, "message": "Meeting API not enabled"}
    base = config["api_url"].rstrip("/").removesuffix("/api")
    request = urllib.request.Request(
        f"{base}/api/devices/{config['device_key']}/online",
        data=json.dumps({"note": sender, "ip_address": "192.0.2.1"}).encode(),
        headers={"Content-Type": "application/json", "X-Token-Code": config["token_code"]},
        method="POST",
    )
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with urllib.request.urlopen(request, timeout=10, context=context) as response:
            return {"success": True, "data": json.loads(response.read()), "status_code": response.status}
    except Exception as error:
        return {"success": False, "error": str(error)}


def loop(name):
    say("[Meeting] Heartbeat thread started")
    was_enabled = None
    while True:
        config = load()
        triggered.clear()
        if config["enabled"]:
            send(name)
        if config["enabled"] != was_enabled:
            was_enabled = config["enabled"]
            say(f"{name} {'beats' if was_enabled else 'is silent'}")
        began = time.monotonic()
        while time.monotonic() - began < config["heartbeat_interval"] and not triggered.is_set():
            time.sleep(CHECK_S)


def begin(name):
    threading.Thread(target=loop, args=(f"loop {os.getpid()} {name}",), daemon=True).start()


def begin_first():
    if load()["enabled"] and not first_loop_runs.is_set():
        first_loop_runs.set()
        begin("first")


def initialize():
    config = load()
    if config["enabled"] and config["auto_connect"]:
        begin_first()
        send("the start")


def provision(wanted):
    config = {**load(), **wanted, "enabled": True, "provisioned": True}
    save(config)
    yes = {"MEETING_ENABLED": "yes", "MEETING_PROVISIONED": "yes", "MEETING_TOKEN_CODE": "********"}
    save_env({**yes, "MEETING_API_URL": config["api_url"], "MEETING_DEVICE_KEY": config["device_key"]})
    begin_first()
    return {"success": True}


def disable(_):
    save({**load(), "enabled": False})
    return {"success": True}


def master_reset(_):
    if os.path.exists(MEETING):
        os.remove(MEETING)
    save_env(RESET)
    return {"success": True}


REQUESTS = {
    "/api/meeting/heartbeat": lambda _: send(),
    "/api/meeting/provision": provision,
    "/api/meeting/disable": disable,
    "/api/meeting/master-reset": master_reset,
}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = REQUESTS[self.path](json.loads(body or b"{}"))
        text = json.dumps(answer).encode()
        self.send_response(200 if answer["success"] else 400)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def work(listener):
    server = http.server.ThreadingHTTPServer(listener.getsockname(), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    initialize()
    begin("second")
    server.serve_forever()


def main():
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("0.0.0.0", 5000))
    listener.listen(2048)
    listener.setblocking(False)
    say("listening at 0.0.0.0:5000")
    alive, parent = os.pipe()
    if os.fork() == 0:
        os.close(parent)
        # The second worker ends with the first one, however that ends.
        threading.Thread(target=lambda: (os.read(alive, 1), os._exit(0)), daemon=True).start()
    work(listener)


if __name__ == "__main__":
    main()
