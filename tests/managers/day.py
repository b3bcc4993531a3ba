#!/usr/bin/env python3
"""A day of a camera under real network managers; prints tests/managers/RESULTS.md.

    camera               router
    eth0  (DHCP) ------- r-eth0  192.168.1.1    dnsmasq: DHCP and DNS on both
    wlan1 (DHCP) ------- r-wlan1 192.168.2.1
                         lo      198.51.100.1   the server, :80
                                 8.8.8.8        the probe's target, :53

The nameserver of one network does not answer over the other one. Both cards are veth pairs. A beat is timed from the act and
from the kernel's announcement of what it depends on (carrier lost, or default route there), so that what the manager
itself takes is measured apart.
"""
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import time

CARDS = {"eth0": (11, 21, "192.168.1"), "wlan1": (12, 22, "192.168.2")}
SERVER = "198.51.100.1"
# The longest that a manager may take for an event, in seconds.
PATIENCE = 20
# A day goes on when nothing was sent for so long.
CALM = 1.5
# How long a cable stays out: longer than any manager waits before it believes it.
OUT = 7


def serve():
    """The server, as a program of its own: a line of JSON for each beat."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            beat = json.loads(self.rfile.read(int(self.headers["content-length"])))
            beat = {"at": time.monotonic(), "from": self.client_address[0], **beat}
            answer = b'{"ok":true}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
            print(json.dumps(beat), flush=True)

        def handle_one_request(self):
            try:
                super().handle_one_request()
            except OSError:
                self.close_connection = True

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

    server = Server((SERVER, 80), Handler)
    print("ready", flush=True)
    server.serve_forever()


def run(*command, check=True, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}")
    return done.stdout


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, mode)


class Journal:
    """What a program says, by line and time."""

    def __init__(self, process):
        self.grown = threading.Condition()
        self.lines = []
        self.process = process
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            with self.grown:
                self.lines.append((time.monotonic(), line.rstrip()))
                self.grown.notify_all()

    def wait(self, wanted, since, within):
        """The first line after `since` for which `wanted(time, line)` is true."""
        end = time.monotonic() + within
        with self.grown:
            while True:
                for at, line in self.lines:
                    if at >= since and wanted(at, line):
                        return at, line
                left = end - time.monotonic()
                if left <= 0:
                    return None
                self.grown.wait(left)

    def since(self, at):
        with self.grown:
            return [entry for entry in self.lines if entry[0] >= at]


class Camera:
    """Camera and router, and the programs in them."""

    def __init__(self, manager):
        self.manager = manager
        self.programs = []
        if os.path.islink("/etc/resolv.conf"):
            os.remove("/etc/resolv.conf")
        write("/etc/resolv.conf", "")
        for space in ("camera", "router"):
            run("ip", "netns", "add", space)
            run("ip", "-n", space, "link", "set", "lo", "up")
        run("ip", "-n", "router", "address", "add", f"{SERVER}/32", "dev", "lo")
        run("ip", "-n", "router", "address", "add", "8.8.8.8/32", "dev", "lo")
        for key, value in {
            "net.ipv4.conf.all.rp_filter": 2,
            "net.ipv6.conf.all.disable_ipv6": 1,
            "net.ipv6.conf.default.disable_ipv6": 1,
        }.items():
            run("ip", "netns", "exec", "camera", "sysctl", "-qw", f"{key}={value}")
        drops = "".join(f"iifname r-{card} ip saddr != {{ {net}.0/24, 0.0.0.0 }} drop\n"
                        f"iifname r-{card} ip daddr {other}.0/24 drop\n"
                        for (card, (*_, net)), other in zip(CARDS.items(), ["192.168.2", "192.168.1"]))
        run("ip", "netns", "exec", "router", "nft", "-f", "-",
            input=f"table inet apart {{\nchain input {{\ntype filter hook input priority 0\n{drops}}}\n}}\n")
        for card in CARDS:
            self.plug_in(card)
        self.hold()
        self.beats = self.start("ip", "netns", "exec", "router", "python3", "-B", __file__, "--serve", where=None)
        assert self.beats.wait(lambda _, line: line == "ready", 0, 10), self.beats.lines
        self.beats.lines.clear()
        self.kernel = self.start("ip", "-n", "camera", "-o", "monitor", "link", "address", "route", "neigh", where=None)
        self.leases = {"eth0": 10, "wlan1": 10}
        self.dnsmasq = None
        self.serve_leases()

    def plug_in(self, card):
        """Makes the card; its cable is in."""
        ours, theirs, net = CARDS[card]
        run("ip", "-n", "camera", "link", "add", card, "index", str(ours), "address", f"b8:27:eb:00:01:{ours}",
            "type", "veth", "peer", "name", f"r-{card}", "index", str(theirs), "netns", "router")
        run("ip", "-n", "router", "address", "add", f"{net}.1/24", "dev", f"r-{card}")
        # A real card fills the checksum in. The DHCP client of ConnMan does not know that it may be absent.
        run("ip", "netns", "exec", "router", "ethtool", "--offload", f"r-{card}", "tx", "off")
        run("ip", "-n", "router", "link", "set", f"r-{card}", "up")

    def cable(self, card, state):
        run("ip", "-n", "router", "link", "set", f"r-{card}", state)

    def gateway(self, answers):
        """Lets the gateway of eth0 answer or not, behind a switch: no carrier shows it."""
        run("ip", "-n", "router", "link", "set", "r-eth0", "arp", "on" if answers else "off")
        dead = "table inet dead {\nchain input {\ntype filter hook input priority 0\niifname r-eth0 drop\n}\n}\n"
        run("ip", "netns", "exec", "router", "nft", "-f", "-", input="delete table inet dead" if answers else dead)
        if not answers:
            # Else the kernel thinks well of it for another minute, and no FAILED is announced.
            run("ip", "-n", "camera", "neighbour", "flush", "dev", "eth0")
        else:
            # A router that is back asks for its cameras, as soon as it has something for one.
            speak = f"import socket; socket.socket(type=2).sendto(b'', ('192.168.1.{self.leases['eth0']}', 9))"
            run("ip", "netns", "exec", "router", "python3", "-c", speak)

    def neighbour(self, *states):
        """When the kernel announced the gateway of eth0 in one of these states."""
        return self.announced(lambda line: line.startswith("192.168.1.1 dev eth0") and line.endswith(states))

    def hold(self):
        """The mounts and processes of the camera: they end with this one program."""
        prepare = ("mount -t tmpfs tmpfs /run; mount -o remount,ro /sys; "
                   "for it in NetworkManager connman dhcpcd dhcp systemd; do mkdir -p /var/lib/$it; "
                   "mount -t tmpfs tmpfs /var/lib/$it; done; mkdir -p /run/dbus /run/linkbeat; "
                   "install -d -o systemd-network -g systemd-network /run/systemd/netif "
                   "/run/systemd/netif/links /run/systemd/netif/leases; echo ready; exec cat")
        holder = subprocess.Popen(
            ["ip", "netns", "exec", "camera", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
             "sh", "-c", prepare], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert holder.stdout.readline() == "ready\n", "the camera cannot be prepared"
        with open(f"/proc/{holder.pid}/task/{holder.pid}/children") as children:
            self.pid = children.read().split()[0]
        self.holder = holder

    def into(self):
        return ["nsenter", "--target", self.pid, "--mount", "--net", "--pid", "--root", "--wd"]

    def start(self, *command, where="camera"):
        inside = self.into() if where else []
        process = subprocess.Popen([*inside, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, errors="replace")
        journal = Journal(process)
        self.programs.append((command, journal))
        return journal

    def run(self, *command, check=True):
        return run(*self.into(), *command, check=check)

    def serve_leases(self):
        """Starts dnsmasq, again if it runs: it forgets the leases that it gave."""
        if self.dnsmasq:
            self.dnsmasq.process.terminate()
            self.dnsmasq.process.wait()
        hosts = [f"--dhcp-host=b8:27:eb:00:01:{ours},{net}.{self.leases[card]}" for card, (ours, _, net) in CARDS.items()]
        ranges = [f"--dhcp-range={net}.0,static,2m" for *_, net in CARDS.values()]
        self.dnsmasq = self.start(
            "ip", "netns", "exec", "router", "dnsmasq", "--keep-in-foreground", "--log-facility=-", "--log-dhcp",
            "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--no-ping", "--dhcp-authoritative", "--bind-dynamic",
            f"--host-record=meeting.test,{SERVER}", "--dhcp-leasefile=/tmp/leases", "--user=root", *ranges, *hosts,
            where=None)
        assert self.dnsmasq.wait(lambda _, line: "started" in line, 0, 10), self.dnsmasq.lines

    def start_agent(self):
        write("/etc/rpi-cam/meeting.json", json.dumps({
            "api_url": "http://meeting.test/api", "device_key": "camera-1", "heartbeat_interval": 3600,
            "status_listen": "", "log_level": "debug", "log_target": "stderr"}))
        self.agent = self.start("linkbeat", "run")
        assert self.agent.wait(lambda _, line: "Heartbeat thread started" in line, 0, 10), self.agent.lines

    def announced(self, wanted):
        """Gives when the kernel announced what is wanted, for the first time since a moment."""
        def at(since):
            found = self.kernel.wait(lambda _, line: wanted(line), since, 0)
            return found and found[0]
        return at

    def route(self, *cards):
        return self.announced(lambda line: line.startswith("default via") and any(f"dev {card} " in line + " " for card in cards))

    def address(self, net):
        return self.announced(lambda line: f"inet {net}" in line and not line.startswith("Deleted"))

    def carrier_lost(self, card):
        return self.announced(lambda line: f": {card}" in line and ("NO-CARRIER" in line or line.startswith("Deleted")))

    def end(self):
        self.holder.kill()
        self.holder.wait()
        for _, journal in self.programs:
            journal.process.kill()
            journal.process.wait()
        for space in ("camera", "router"):
            run("ip", "netns", "delete", space)
        if os.path.exists("/tmp/leases"):
            os.remove("/tmp/leases")


# The managers. Each has a name and a version, starts, has the lease of eth0 asked for anew, and knows where its hook goes.

def start_bus(camera):
    camera.bus = camera.start("dbus-daemon", "--system", "--nofork", "--nopidfile")
    for _ in range(100):
        if "bus" in camera.run("ls", "/run/dbus"):
            return
        camera.bus.wait(lambda *_: False, 0, 0.05)
    raise RuntimeError(f"no bus: {camera.bus.lines}")


class Dhcpcd:
    name = "dhcpcd"

    def version(self):
        return run("dhcpcd", "--version").split("\n")[0].split()[-1]

    def start(self, camera):
        # As Debian has it but for IPv6, and without udev, which does not run here.
        write("/etc/dhcpcd.conf", "hostname\nclientid\npersistent\noption rapid_commit\noption domain_name_servers, domain_name\n"
              "option classless_static_routes\noption interface_mtu\nrequire dhcp_server_identifier\n"
              "ipv4only\nnodev\nallowinterfaces eth0 wlan1\n")
        camera.start("dhcpcd", "--nobackground")

    def renew(self, camera):
        # What --rebind does, of which 9.4.1 takes one only ("cannot handle another client").
        camera.run("pkill", "-HUP", "-o", "-x", "dhcpcd")

    def install_hook(self):
        shutil.copy("/managers/hooks/dhcpcd", "/etc/dhcpcd.exit-hook")


class NetworkManager:
    name = "NetworkManager"

    def version(self):
        return run("NetworkManager", "--version").strip()

    def start(self, camera):
        write("/etc/NetworkManager/NetworkManager.conf",
              "[main]\nplugins=keyfile\nno-auto-default=*\nauth-polkit=false\nhostname-mode=none\n"
              "[connectivity]\nenabled=false\n"
              "[device]\nmatch-device=interface-name:eth0,interface-name:wlan1\nmanaged=1\n")
        for card, metric in (("eth0", 100), ("wlan1", 600)):
            write(f"/etc/NetworkManager/system-connections/{card}.nmconnection",
                  f"[connection]\nid={card}\ntype=ethernet\ninterface-name={card}\n"
                  f"[ipv4]\nmethod=auto\nroute-metric={metric}\n[ipv6]\nmethod=disabled\n", 0o600)
        start_bus(camera)
        camera.start("NetworkManager", "--no-daemon")

    def renew(self, camera):
        camera.run("nmcli", "--wait", "0", "connection", "up", "eth0", check=False)

    def install_hook(self):
        shutil.copy("/managers/hooks/networkmanager", "/etc/NetworkManager/dispatcher.d/90-linkbeat")


class Networkd:
    name = "systemd-networkd and resolved"

    def version(self):
        return run("networkctl", "--version").split()[1]

    def start(self, camera):
        for card, metric in (("eth0", 100), ("wlan1", 600)):
            write(f"/etc/systemd/network/10-{card}.network",
                  f"[Match]\nName={card}\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\n[DHCPv4]\nRouteMetric={metric}\n")
        os.remove("/etc/resolv.conf")
        os.symlink("/run/systemd/resolve/stub-resolv.conf", "/etc/resolv.conf")
        start_bus(camera)
        camera.start("/lib/systemd/systemd-resolved")
        camera.start("/lib/systemd/systemd-networkd")

    def renew(self, camera):
        # "renew" does not hear that its address is refused: dnsmasq broadcasts that.
        camera.run("networkctl", "reconfigure", "eth0")

    install_hook = None


class ConnMan:
    """It gives one service a default route, and that of another one alone when the first is lost."""

    name = "ConnMan"

    def version(self):
        return run("connmand", "--version").strip()

    def start(self, camera):
        # Its own default passes over cards like these, by the beginning of their names at most.
        write("/etc/connman/main.conf", "[General]\nAllowHostnameUpdates=false\nEnableOnlineCheck=false\n"
              "NetworkInterfaceBlacklist=r-\n")
        # As its file for tmpfiles.d has it.
        camera.run("mkdir", "/run/connman")
        os.remove("/etc/resolv.conf")
        os.symlink("/run/connman/resolv.conf", "/etc/resolv.conf")
        start_bus(camera)
        camera.start("connmand", "--nodaemon")
        self.put_first(camera, 0)

    def put_first(self, camera, since):
        """Has eth0 come first, once both have an address after this moment or from before."""
        for card, (*_, net) in CARDS.items():
            given = lambda _, line, net=net: f"inet {net}." in line and not line.startswith("Deleted")
            assert camera.kernel.wait(given, since if card == "eth0" else 0, PATIENCE), f"no address for {card}"
        camera.run("connmanctl", "move-before", *(self.service(card) for card in CARDS))

    @staticmethod
    def service(card):
        return f"ethernet_b827eb0001{CARDS[card][0]}_cable"

    def renew(self, camera):
        for what in "disconnect", "connect":
            camera.run("connmanctl", what, self.service("eth0"), check=False)

    install_hook = None


class Udhcpc:
    """As on an image of BusyBox: one client for each card, and ifplugd for the cable of eth0."""

    name = "udhcpc and ifplugd"
    script = """#!/bin/sh
# That of Buildroot, in short.
case $1 in
deconfig) ip link set "$interface" up; ip -4 address flush dev "$interface" ;;
renew|bound)
    ip -4 address replace "$ip/${mask:-24}" dev "$interface"
    while ip route delete default dev "$interface" 2>/dev/null; do :; done
    [ "$interface" = eth0 ] && metric=100 || metric=600
    ip route add default via "$router" dev "$interface" metric $metric
    : >/tmp/resolv.conf.$interface
    for i in $dns; do echo "nameserver $i" >>/tmp/resolv.conf.$interface; done
    cat /tmp/resolv.conf.$interface >/etc/resolv.conf ;;
esac
for hook in "$0.d"/*; do [ -x "$hook" ] && "$hook" "$1"; done
exit 0
"""

    def version(self):
        return run("busybox").split()[1]

    def start(self, camera):
        write("/usr/share/udhcpc/default.script", self.script, 0o755)
        # It has udhcpc ask again when the cable is back.
        action = "#!/bin/sh\nfor it in /etc/ifplugd/action.d/*; do [ -x $it ] && $it \"$@\"; done\nexit 0\n"
        write("/etc/ifplugd/ifplugd.action", action, 0o755)
        shutil.rmtree("/etc/ifplugd/action.d", ignore_errors=True)
        write("/etc/ifplugd/action.d/udhcpc", "#!/bin/sh\n[ $2 = down ] || pkill -USR1 -f 'udhcpc.* -i '$1\n", 0o755)
        for card in CARDS:
            self.start_client(camera, card)

    def start_client(self, camera, card):
        """As mdev would when the card appears; both programs end with it, or should."""
        camera.run("pkill", "-KILL", "-f", f"udhcpc.* -i {card}", check=False)
        camera.start("busybox", "udhcpc", "-f", "-R", "-i", card, "-s", "/usr/share/udhcpc/default.script")
        if card == "eth0":
            camera.start("ifplugd", "--no-daemon", "--no-auto", "--no-beep", "--no-startup", f"--iface={card}", "--delay-up=0",
                         "--delay-down=0", "--api-mode=iff", "--run=/etc/ifplugd/ifplugd.action")

    def renew(self, camera):
        camera.run("pkill", "-USR2", "-f", "udhcpc.* -i eth0", check=False)
        camera.run("pkill", "-USR1", "-f", "udhcpc.* -i eth0", check=False)

    def install_hook(self):
        os.makedirs("/usr/share/udhcpc/default.script.d", exist_ok=True)
        shutil.copy("/managers/hooks/udhcpc", "/usr/share/udhcpc/default.script.d/linkbeat")
        shutil.copy("/managers/hooks/ifplugd", "/etc/ifplugd/action.d/linkbeat")


MANAGERS = [Dhcpcd(), NetworkManager(), Networkd(), ConnMan(), Udhcpc()]


class Day:
    """The events of a day under one manager."""

    def __init__(self, manager):
        self.manager = manager
        self.rows = []
        self.faults = []
        self.camera = Camera(manager)

    def beats(self, since):
        beats = [json.loads(line) for _, line in self.camera.beats.lines]
        return [beat for beat in beats if beat["at"] >= since]

    def event(self, name, act, reason, card, evidence=None, calm=CALM):
        """Performs an act and waits for the beat that reports it: for this reason, over this card."""
        net = CARDS[card][2]
        began = time.monotonic()
        act()

        def wanted(_, line):
            beat = json.loads(line)
            leased = f"{net}.{self.camera.leases[card]}"
            return beat["reason"].startswith(reason) and beat["from"] == beat.get("ip_address") == leased

        found = self.camera.beats.wait(wanted, began, PATIENCE)
        # Whatever comes besides.
        while True:
            last = max([beat["at"] for beat in self.beats(began)] or [began])
            left = max(last, began) + calm - time.monotonic()
            if left <= 0 or not found:
                break
            self.camera.beats.wait(lambda at, _, last=last: at > last + 0.001, last, left)
        beats = self.beats(began)
        shown = ", ".join(f"{beat['reason']} over {self.card_of(beat)}" for beat in beats) or "none"
        sent_at = found and json.loads(found[1])["at"]
        usable = evidence and evidence(began)
        after = f"{(sent_at - began) * 1000:.0f} ms" if found else "never"
        # The announcement is read by another thread, a little late; one that comes much later is not what the beat waited for.
        then = f"{max(sent_at - usable, 0) * 1000:.0f} ms" if found and usable and usable < sent_at + 0.05 else ""
        self.rows.append((self.manager.name, name, after, then, shown))
        print(*self.rows[-1], sep=" | ", file=sys.stderr, flush=True)
        if not found and not self.rows[1:]:
            raise RuntimeError("no beat at all")
        if not found:
            self.faults.append(f"{self.manager.name}, {name}: no {reason} over {card}")
        numbers = [beat["seq"] for beat in beats]
        if len(set(numbers)) < len(numbers):
            self.faults.append(f"{self.manager.name}, {name}: one beat was sent twice: {shown}")
        for beat in beats:
            if beat["reason"].endswith("_priority") and not beat["reason"].startswith(self.card_of(beat)):
                self.faults.append(f"{self.manager.name}, {name}: {beat['reason']} over {self.card_of(beat)}")

    @staticmethod
    def card_of(beat):
        return next((card for card, (*_, net) in CARDS.items() if beat["from"].startswith(net + ".")), beat["from"])

    def live(self):
        camera, manager = self.camera, self.manager
        camera.start_agent()
        # Which uplink is first is the manager's; the beats end up on eth0.
        first, back = CARDS, "eth0_priority"
        if isinstance(manager, ConnMan):
            # There is one default route at a time: whether the former one is gone first is chance.
            first, back = ["eth0"], ""
        self.event("boot", lambda: manager.start(camera), "", "eth0", camera.route(*first), calm=3)
        self.event("cable of eth0 pulled", lambda: camera.cable("eth0", "down"), "failover_to_wlan1", "wlan1",
                   camera.carrier_lost("eth0"), calm=OUT)
        self.event("plugged back", self.plug_back, back, "eth0", camera.route("eth0"), calm=3)
        camera.leases["eth0"] = 77
        # A client that is refused its old address has none for a moment: the reason is the manager's.
        self.event("lease with another address", self.change_lease, "", "eth0", camera.address("192.168.1.77"), calm=3)
        self.event("card of eth0 gone", lambda: run("ip", "-n", "camera", "link", "delete", "eth0"), "failover_to_wlan1",
                   "wlan1", camera.carrier_lost("eth0"), calm=OUT)
        self.event("card back", self.card_back, back, "eth0", camera.route("eth0"), calm=3)
        if manager.install_hook:
            manager.install_hook()
            camera.leases["eth0"] = 10
            self.event("the former lease, with the hook", self.change_lease, "trigger:", "eth0", camera.address("192.168.1.10"))
        if isinstance(manager, Udhcpc):
            # ifplugd looks once a second.
            self.event("cable pulled once more", lambda: camera.cable("eth0", "down"), "failover_to_wlan1", "wlan1",
                       camera.carrier_lost("eth0"), calm=3)
            self.event("plugged back, with the hook", lambda: camera.cable("eth0", "up"), "trigger:ifplugd-up", "eth0", calm=3)
        self.behind_a_switch()
        status = camera.run("linkbeat", "status", check=False)
        if "nothing outside answered" in status:
            self.faults.append(f"{manager.name}: the outage is called wrong: {status}")

    def behind_a_switch(self):
        """What no manager sees."""
        camera = self.camera
        if isinstance(self.manager, ConnMan):
            # There is no other way out: the beat is sent when the gateway is back.
            camera.gateway(False)
            camera.run("linkbeat", "trigger", "--reason", "doorbell")
            self.event("gateway dead behind a switch, doorbell, gateway back", lambda: camera.gateway(True), "trigger:doorbell",
                       "eth0", camera.neighbour("REACHABLE", "STALE", "DELAY"), calm=3)
            return
        camera.gateway(False)
        # The flush is announced as a failure, too.
        died = time.monotonic() + 0.5
        self.event("gateway dead behind a switch; doorbell", lambda: camera.run("linkbeat", "trigger", "--reason", "doorbell"),
                   "trigger:doorbell", "wlan1")
        if not camera.kernel.wait(lambda _, line: line.startswith("192.168.1.1 dev eth0") and line.endswith("FAILED"), died, 20):
            self.faults.append(f"{self.manager.name}: the kernel does not miss the gateway")
        self.event("gateway back", lambda: camera.gateway(True), "eth0_priority", "eth0",
                   camera.neighbour("REACHABLE", "STALE", "DELAY"), calm=3)

    def plug_back(self):
        began = time.monotonic()
        self.camera.cable("eth0", "up")
        self.put_first(began)

    def change_lease(self):
        began = time.monotonic()
        self.camera.serve_leases()
        self.manager.renew(self.camera)
        self.put_first(began)

    def put_first(self, since):
        if isinstance(self.manager, ConnMan):
            self.manager.put_first(self.camera, since)

    def card_back(self):
        began = time.monotonic()
        self.camera.plug_in("eth0")
        self.put_first(began)
        if isinstance(self.manager, Udhcpc):
            self.manager.start_client(self.camera, "eth0")


HEAD = """\
# A day under real network managers

Written by `scripts/test managers`: {versions},
as Debian has them, in network namespaces, with dnsmasq as the DHCP server of both networks. Both cards are veth pairs; the
beat is plain HTTP.

*After the act* counts from the cable, the command or the start of the manager, *after the kernel* from the moment when the
kernel announced what the beat depends on (the lost carrier, the default route, the new address, the gateway): what is between
the two is the manager's, or the 300 ms of doubt. Each event is one sample, and the machine does other things beside.

- The agent starts before the manager, with an empty `resolv.conf`. dhcpcd probes an address for some five seconds.
- A client that is refused its old address has none until it has the new one: that is a change to wlan1 and back. So it is with
  udhcpc whenever ifplugd has it ask anew.
- ConnMan gives one of two cards of the same kind the default route, and leaves it there when the other card is back: then the
  test puts eth0 first again (`connmanctl move-before`). So there is no second way out when a gateway is dead behind a switch.
- ifupdown takes no part in a change (it runs a DHCP client once). Not run: other releases of these, WiFi. The
  package under systemd as process 1 is [another test](../packaging/SYSTEMD.md).

| manager | event | beat after the act | after the kernel | beats |
|---|---|---|---|---|"""


def main():
    wanted = sys.argv[1:]
    managers = [it for it in MANAGERS if not wanted or it.name in wanted]
    rows, faults, versions = [], [], []
    for manager in managers:
        day = Day(manager)
        try:
            versions.append(f"{manager.name} {manager.version()}")
            day.live()
        except Exception:
            show(day)
            raise
        finally:
            rows += day.rows
            faults += day.faults
            if day.faults:
                show(day)
            day.camera.end()
    print(HEAD.format(versions=", ".join(versions)))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    for fault in faults:
        print("managers: " + fault, file=sys.stderr)
    sys.exit(bool(faults))


def show(day):
    for command, journal in day.camera.programs:
        for at, line in journal.lines[-200:]:
            print(f"{os.path.basename(command[-1] if command[0] == 'ip' else command[0])}: {at:.3f} {line}", file=sys.stderr)


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["--serve"] else main()
