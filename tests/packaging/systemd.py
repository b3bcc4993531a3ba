#!/usr/bin/env python3
"""The life of the Debian package under systemd as process 1; prints tests/packaging/SYSTEMD.md.

    systemd.py SYSTEM OLD.deb NEW.deb

SYSTEM is a directory with a minimal Debian, which stays as it is. A system is booted from it in namespaces, with a card
eth0 whose cable leads here, where a server answers. `scripts/test systemd` calls this as root.
"""
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SERVER, CAMERA = "192.0.2.1", "192.0.2.2"
MEETING = {"api_url": f"http://{SERVER}/api", "device_key": "camera-1", "token_code": "secret"}
# As a change by the administrator.
CHANGED = {"interfaces": ["eth0"], "status_listen": "unix:/run/linkbeat/http.sock"}
# What is waited for takes no longer, in seconds, on a machine that is busy with other things.
PATIENCE = 30
# Of the unit.
WATCHDOG = 90


def run(*command, check=True, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}")
    return done.stdout.strip()


def until(found, what, within=PATIENCE):
    """The first true value of `found()`."""
    end = time.monotonic() + within
    while not (value := found()):
        if time.monotonic() > end:
            raise RuntimeError(f"not within {within} s: {what}")
        # Neither systemd nor the kernel announces all that is waited for.
        threading.Event().wait(0.05)
    return value


class Server:
    """Keeps the beats, each with the time of its arrival."""

    def __init__(self):
        self.beats = []
        self.grown = threading.Condition()

    def start(self):
        kept = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                beat = json.loads(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(200)
                self.send_header("Content-Length", "11")
                self.end_headers()
                self.wfile.write(b'{"ok":true}')
                with kept.grown:
                    kept.beats.append((time.monotonic(), beat))
                    kept.grown.notify_all()

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except OSError:
                    self.close_connection = True

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer((SERVER, 80), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def wait(self, since, within=PATIENCE, last=False):
        """The first beat after `since`, or the first one that says that the agent ends: its time and itself."""
        with self.grown:
            found = lambda: next((beat for beat in self.beats if beat[0] >= since and ("stopping" in beat[1]) == last), None)
            if not self.grown.wait_for(found, within):
                raise RuntimeError(f"no beat within {within} s")
            return found()


class System:
    """The Debian system, booted."""

    def __init__(self, lower, upper):
        unified = next(line.split()[1] for line in open("/proc/mounts") if line.split()[2] == "cgroup2")
        self.cgroup = f"{unified}/linkbeat-systemd-{os.getpid()}"
        os.makedirs(self.cgroup, exist_ok=True)
        enter = 'echo $$ >"$1/cgroup.procs"; exec unshare --pid --fork --kill-child --mount --uts --ipc --net --cgroup -- "$0" "$@"'
        self.process = subprocess.Popen(["sh", "-c", enter, f"{HERE}/boot.sh", self.cgroup, lower, upper],
                                        stdin=subprocess.DEVNULL, stdout=sys.stderr)
        children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        self.init = until(lambda: open(children).read().split() if self.process.poll() is None else ["none"], "a process 1")[0]
        until(lambda: self.run("systemctl", "is-system-running", check=False) in ("running", "degraded"), "boot")

    def run(self, *command, check=True, **options):
        into = ["nsenter", "--target", self.init, "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd"]
        clean = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"]
        return run(*into, *clean, *command, check=check, **options)

    def shell(self, script, check=True):
        return self.run("sh", "-c", script, check=check)

    def show(self, name):
        return self.run("systemctl", "show", "--value", "--property", name, "linkbeat.service")

    def write(self, path, text):
        self.run("sh", "-c", 'mkdir -p "${0%/*}" && cat >"$0"', path, input=text)

    def plug_in(self):
        """The cable of eth0, or all of it."""
        # Different indexes, or the kernel holds carrier events back.
        run("ip", "link", "add", "far", "index", "21", "type", "veth",
            "peer", "name", "eth0", "index", "11", "netns", self.init)
        run("ip", "address", "add", f"{SERVER}/24", "dev", "far")
        run("ip", "link", "set", "far", "up")
        inside = ["nsenter", "--target", self.init, "--net", "ip"]
        run(*inside, "address", "add", f"{CAMERA}/24", "dev", "eth0")
        run(*inside, "link", "set", "lo", "up")
        run(*inside, "link", "set", "eth0", "up")
        run(*inside, "route", "add", "default", "via", SERVER)

    def outside(self, pid):
        """The number that the machine has for a process of the system."""
        for name in os.listdir("/proc"):
            try:
                with open(f"/proc/{name}/status") as status:
                    ids = next(line.split()[1:] for line in status if line.startswith("NSpid:"))
                if len(ids) > 1 and ids[-1] == pid and os.readlink(f"/proc/{name}/ns/pid") == os.readlink(f"/proc/{self.init}/ns/pid"):
                    return name
            except (OSError, StopIteration):
                pass
        raise RuntimeError(f"no process {pid}")

    def files(self):
        """All files but those that the system itself writes, with owner and mode."""
        paths = ("find / -xdev ( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /var/log -o -path /var/cache "
                 "-o -path /var/lib/dpkg -o -path /var/tmp -o -path /root/debs ) -prune -o -printf %p\\040%M\\040%u\\040%g\\n")
        run_paths = "find /run ( -path /run/systemd -o -path /run/log ) -prune -o -printf %p\\040%M\\040%u\\040%g\\n"
        lines = self.run(*paths.split()).splitlines() + self.run(*run_paths.split()).splitlines()
        return {line.split()[0]: line for line in lines}

    def end(self):
        self.process.kill()
        self.process.wait()
        until(lambda: not os.path.exists(f"/proc/{self.init}"), "the end of process 1")
        for directory, _, _ in os.walk(self.cgroup, topdown=False):
            os.rmdir(directory)


class Life:
    """The steps, each a row of the table."""

    def __init__(self, lower, upper, old, new):
        self.lower, self.upper, self.debs = lower, upper, {"old": old, "new": new}
        self.rows, self.faults = [], []
        self.server = Server()

    def step(self, name, act):
        began = time.monotonic()
        try:
            outcome = act(began)
        except (RuntimeError, AssertionError, OSError) as error:
            self.faults.append(f"{name}: {error}")
            outcome = f"**FAULT** {error}"
        self.rows.append((name, " ".join(outcome.split()), time.monotonic() - began))
        print(f"{name}: {outcome}", file=sys.stderr)

    def expect(self, **found):
        """Each value beside what it should be."""
        wrong = [f"{name} is {value!r}, not {wanted!r}" for name, (value, wanted) in found.items() if value != wanted]
        if wrong:
            raise RuntimeError("; ".join(wrong))

    def boot(self):
        self.system = System(self.lower, self.upper)

    def dpkg(self, *arguments):
        return self.system.run("dpkg", *arguments)

    def pid(self):
        return self.system.show("MainPID")

    def active(self):
        until(lambda: self.system.show("ActiveState") == "active", "active")

    def starts(self):
        """How often the agent was started."""
        return self.system.run("journalctl", "--quiet", "--unit", "linkbeat", "--output", "cat").count("Heartbeat thread started")

    def beat(self, since, within=PATIENCE):
        at, beat = self.server.wait(since, within)
        return f"beat `{beat['reason']}` after {at - since:.1f} s"

    def goodbye(self, since, word):
        _, beat = self.server.wait(since, last=True)
        self.expect(stopping=(beat["stopping"], word))
        return f"`\"stopping\": \"{word}\"`"

    def install(self, began):
        system = self.system
        self.before = system.files()
        self.dpkg("--install", "/root/debs/old.deb")
        beat = self.beat(began)
        self.active()
        process = f"/proc/{self.pid()}"
        status = dict(line.split(":\t") for line in system.run("cat", f"{process}/status").splitlines() if ":\t" in line)
        owner = lambda path: system.run("stat", "--format=%a %U:%G", path)
        self.expect(
            user=(owner(process).split()[1], "linkbeat:linkbeat"),
            configuration=(owner("/etc/linkbeat"), "2750 root:linkbeat"),
            file=(owner("/etc/linkbeat/linkbeat.json"), "640 root:linkbeat"),
            token=(owner("/etc/rpi-cam/meeting.json"), "640 root:linkbeat"),
            runtime=(owner("/run/linkbeat"), "755 linkbeat:linkbeat"),
            effective=(status["CapEff"].strip(), "0" * 16),
            bounding=(status["CapBnd"].strip(), "0" * 16),
            privileges=(status["NoNewPrivs"].strip(), "1"),
            seccomp=(status["Seccomp"].strip(), "2"),
            enabled=(system.run("systemctl", "is-enabled", "linkbeat"), "enabled"),
            restarts=(system.show("NRestarts"), "0"),
            probe=(system.run("cat", "/proc/sys/net/ipv4/neigh/eth0/retrans_time_ms"), "200"))
        return f"active, {beat}; enabled; as user linkbeat without any capability, with seccomp; modes and owners as documented"

    def served(self, _):
        status = json.loads(self.system.run("linkbeat", "status", "--json"))
        shown = self.system.show("StatusText")
        answer = self.system.run("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "linkbeat", "trigger",
                                 "--reason", "door", check=False)
        began = time.monotonic()
        self.system.run("linkbeat", "trigger", "--wait", "--reason", "door")
        took = time.monotonic() - began
        assert status["state"] in shown, (status["state"], shown)
        assert "Permission denied" in answer, answer
        return f"`linkbeat status` and `systemctl status` say {shown}; `trigger` is for root and the group linkbeat, and took {took:.1f} s"

    def logged(self, _):
        lines = [json.loads(line) for line in self.system.run("journalctl", "--unit", "linkbeat", "--output", "json").splitlines()]
        ours = [line for line in lines if line.get("_COMM") == "linkbeat"]
        assert not any(line["MESSAGE"].startswith("<") for line in ours), ours[:3]
        self.expect(identifier=({line["SYSLOG_IDENTIFIER"] for line in ours}, {"linkbeat"}),
                    priorities=({line["PRIORITY"] for line in ours}, {"6"}))
        self.system.write("/etc/rpi-cam/meeting.json", json.dumps({**MEETING, "heartbeat_intervall": 1}))
        warned = lambda: self.system.run("journalctl", "--quiet", "--unit", "linkbeat", "--priority", "warning", "--output", "cat", "_COMM=linkbeat")
        until(lambda: "heartbeat_intervall" in warned(), "a warning about the unknown key")
        assert "thread started" not in warned(), warned()
        self.system.write("/etc/rpi-cam/meeting.json", json.dumps(MEETING))
        return "lines have their priority: `journalctl -p warning` shows an unknown key and no line of info"

    def reloaded(self, began):
        before, starts = self.pid(), self.starts()
        self.system.write("/etc/linkbeat/linkbeat.json", json.dumps(CHANGED))
        self.system.run("systemctl", "reload", "linkbeat")
        self.expect(process=(self.pid(), before), starts=(self.starts(), starts))
        assert "eth0" in self.system.run("linkbeat", "check"), "the change is not in force"
        return "the same process"

    def halted(self, began):
        before = self.pid()
        outside = int(self.system.outside(before))
        os.kill(outside, signal.SIGSTOP)
        threading.Event().wait(20)
        os.kill(outside, signal.SIGCONT)
        resumed = time.monotonic()
        self.system.run("linkbeat", "trigger", "--wait")
        beat = self.beat(resumed)
        self.expect(process=(self.pid(), before))
        return f"the same process; triggered, {beat}"

    def hung(self, began):
        before = self.pid()
        os.kill(int(self.system.outside(before)), signal.SIGSTOP)
        until(lambda: self.pid() not in (before, "0"), "another process", WATCHDOG + PATIENCE)
        took = time.monotonic() - began
        beat = self.beat(began + took - 2)
        self.active()
        journal = self.system.run("journalctl", "--unit", "linkbeat", "--output", "cat")
        assert "Watchdog timeout" in journal, journal
        return f"the watchdog has another process run after {took:.0f} s; {beat}"

    def fed(self, _):
        self.system.write("/run/systemd/system/linkbeat.service.d/watchdog.conf", "[Service]\nWatchdogSec=2\n")
        self.system.run("systemctl", "daemon-reload")
        self.system.run("systemctl", "restart", "linkbeat")
        self.active()
        before = self.pid()
        threading.Event().wait(9)
        self.expect(process=(self.pid(), before), watchdog=(self.system.show("WatchdogUSec"), "2s"))
        self.system.run("rm", "-r", "/run/systemd/system/linkbeat.service.d")
        self.system.run("systemctl", "daemon-reload")
        self.system.run("systemctl", "restart", "linkbeat")
        return "with `WatchdogSec=2` it ran on for 9 s: it is fed"

    def killed(self, began):
        before, restarts = self.pid(), int(self.system.show("NRestarts"))
        os.kill(int(self.system.outside(before)), signal.SIGKILL)
        until(lambda: self.pid() not in (before, "0"), "another process")
        took = time.monotonic() - began
        beat = self.beat(began)
        self.active()
        self.expect(restarts=(int(self.system.show("NRestarts")), restarts + 1))
        return f"another process after {took:.1f} s; {beat}"

    def upgraded(self, began):
        starts, before = self.starts(), self.pid()
        self.dpkg("--install", "/root/debs/new.deb")
        word = self.goodbye(began, "upgrade")
        beat = self.beat(began)
        self.active()
        self.expect(
            word=(self.system.shell("ls /run/linkbeat/stopping 2>/dev/null", check=False), ""),
            starts=(self.starts(), starts + 1),
            version=(self.system.run("dpkg-query", "--show", "--showformat=${Version}", "linkbeat"), "0.1.1"),
            configuration=(json.loads(self.system.run("cat", "/etc/linkbeat/linkbeat.json")), CHANGED),
            owner=(self.system.run("stat", "--format=%a %U:%G", "/etc/linkbeat/linkbeat.json"), "640 root:linkbeat"))
        assert self.pid() != before
        self.system.run("cmp", f"/proc/{self.pid()}/exe", "/usr/bin/linkbeat")
        return f"one restart, reported with {word}; the new executable runs, {beat}; the changed configuration is kept"

    def disabled(self, _):
        self.system.run("systemctl", "disable", "--now", "linkbeat")
        self.dpkg("--install", "/root/debs/old.deb")
        self.dpkg("--install", "/root/debs/new.deb")
        self.expect(state=(self.system.show("ActiveState"), "inactive"),
                    enabled=(self.system.run("systemctl", "is-enabled", "linkbeat", check=False), "disabled"))
        self.system.run("systemctl", "enable", "--now", "linkbeat")
        self.active()
        return "stays disabled and stopped, down and up again"

    def off(self, began):
        # Process 1 may end before it answers.
        self.system.run("systemctl", "poweroff", check=False)
        word = self.goodbye(began, "reboot")
        until(lambda: self.system.process.poll() is not None, "the end of process 1")
        self.system.end()
        self.boot()
        self.active()
        began = time.monotonic()
        self.system.plug_in()
        return f"the last beat has {word}; after the boot {self.beat(began)}"

    def rebooted(self, _):
        starts = self.starts()
        self.system.end()
        self.boot()
        self.active()
        began = time.monotonic()
        self.system.plug_in()
        beat = self.beat(began)
        self.expect(starts=(self.starts(), starts + 1))
        return f"active before there is a network; cable in: {beat}"

    def removed(self, _):
        before = self.pid()
        self.dpkg("--remove", "linkbeat")
        self.expect(state=(self.system.show("ActiveState"), "inactive"),
                    process=(self.system.shell(f"test -e /proc/{before} && echo there", check=False), ""),
                    directory=(self.system.shell("ls -d /run/linkbeat /usr/bin/linkbeat 2>/dev/null", check=False), ""),
                    failed=(self.system.run("systemctl", "--failed", "--no-legend"), ""),
                    configuration=(json.loads(self.system.run("cat", "/etc/linkbeat/linkbeat.json")), CHANGED))
        return "stopped; executable and /run/linkbeat gone; the configuration is kept"

    def again(self, began):
        self.dpkg("--install", "/root/debs/new.deb")
        beat = self.beat(began)
        self.active()
        self.expect(enabled=(self.system.run("systemctl", "is-enabled", "linkbeat"), "enabled"),
                    configuration=(json.loads(self.system.run("cat", "/etc/linkbeat/linkbeat.json")), CHANGED))
        return f"active, {beat}; enabled, with the kept configuration"

    def purged(self, _):
        self.dpkg("--purge", "linkbeat")
        after = self.system.files()
        # Where the user is, which stays.
        users = {"/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/.pwd.lock"}
        left = sorted(line for path, line in after.items()
                      if self.before.get(path) != line and path.rstrip("-") not in users)
        gone = sorted(path for path in self.before if path not in after)
        # Of the web manager: its group may still be that of the user.
        expected = ["/etc/rpi-cam/meeting.json -rw-r----- root linkbeat"]
        self.expect(left=(left, expected), gone=(gone, []),
                    known=(self.system.run("dpkg-query", "--show", "linkbeat", check=False).split()[-2:], ["matching", "linkbeat"]),
                    unit=(self.system.show("LoadState"), "not-found"))
        user = self.system.run("getent", "passwd", "linkbeat")
        return f"no file is left but the web manager's own; the user stays (`{user}`)"

    def reinstalled(self, began):
        self.dpkg("--install", "/root/debs/new.deb")
        beat = self.beat(began)
        self.active()
        return f"active, {beat}"

    def secure(self, _):
        shown = self.system.run("systemd-analyze", "--no-pager", "security", "linkbeat").splitlines()
        print("\n".join(shown), file=sys.stderr)
        problem = self.system.run("systemd-analyze", "verify", "linkbeat.service", check=False)
        assert not problem, problem
        return re.search(r": (\d+\.\d+ \w+)", shown[-1])[1]

    def live(self):
        self.boot()
        self.system.plug_in()
        self.server.start()
        self.system.run("mkdir", "/root/debs")
        for name, path in self.debs.items():
            with open(path, "rb") as deb:
                into = ["nsenter", "--target", self.system.init, "--mount", "--root"]
                subprocess.run([*into, "sh", "-c", f"cat >/root/debs/{name}.deb"], stdin=deb, check=True)
        self.system.write("/etc/rpi-cam/meeting.json", json.dumps(MEETING))
        for name, act in (
            ("`dpkg -i`", self.install),
            ("`linkbeat status`, `trigger`", self.served),
            ("journal", self.logged),
            ("`systemctl reload`", self.reloaded),
            ("SIGSTOP for 20 s, SIGCONT", self.halted),
            ("SIGSTOP", self.hung),
            ("watchdog", self.fed),
            ("SIGKILL", self.killed),
            ("`dpkg -i` of a newer version", self.upgraded),
            ("upgrade while disabled", self.disabled),
            ("boot without a cable", self.rebooted),
            ("`systemctl poweroff`", self.off),
            ("`dpkg -r`", self.removed),
            ("`dpkg -i` again", self.again),
            ("`dpkg --purge`", self.purged),
            ("`dpkg -i` after the purge", self.reinstalled),
            ("`systemd-analyze security`", self.secure),
        ):
            self.step(name, act)
        version = self.system.run("systemctl", "--version").split("(")[1].split(")")[0]
        debian = self.system.run("cat", "/etc/debian_version")
        self.system.end()
        return version, debian


def main():
    lower, old, new = map(os.path.abspath, sys.argv[1:4])
    if "--inside" not in sys.argv:
        # A network of our own, and mounts that nobody else sees.
        os.execvp("unshare", ["unshare", "--mount", "--net", "--", sys.executable, "-B", os.path.abspath(__file__), lower, old, new, "--inside"])
    run("mount", "-t", "tmpfs", "tmpfs", "/mnt")
    life = Life(lower, "/mnt/system", old, new)
    os.mkdir("/mnt/system")
    run("ip", "link", "set", "lo", "up")
    try:
        version, debian = life.live()
    finally:
        if life.system.process.poll() is None:
            life.system.end()
    print(f"""# The Debian package under systemd

Written by `scripts/test systemd`: Debian {debian} with systemd {version} as process 1, in namespaces of the machine that the
test ran on, with its kernel {os.uname().release.split("-")[0]}. A veth pair is the cable of eth0; the server at its far end answers 200 to plain HTTP.
The executable is the static one that `scripts/package-deb` ships. Each step begins with what the one before left.

- Beats and restarts count from the command, and from the end of the process for signals.
- A hung agent is found by the watchdog within {WATCHDOG} s of its last sign of life, which it gives at least every half of that.
- Not run: other releases of Debian, and a kernel before 5.7, for which the generator adds a capability.

| step | outcome | took |
|---|---|---|""")
    for name, outcome, took in life.rows:
        print(f"| {name} | {outcome} | {took:.1f} s |")
    for fault in life.faults:
        print(f"systemd: {fault}", file=sys.stderr)
    sys.exit(bool(life.faults))


if __name__ == "__main__":
    main()
