#!/usr/bin/env python3
"""Captures the vectors of this directory from the running kernel.

Needs root, iproute2 and veth. Everything happens in network namespaces that end with this program:

    unshare --net --mount ./capture.py DIRECTORY [PART...]

Each act below is followed by the datagrams it is expected to cause, which are written to one file each.
"""

import os
import socket
import struct
import subprocess
import sys
import time

NEWLINK, DELLINK, NEWADDR, DELADDR, NEWROUTE, DELROUTE = 16, 17, 20, 21, 24, 25
GETROUTE, NEWNEIGH, DELNEIGH, NEWRULE, DELRULE, NEWNEXTHOP, DELNEXTHOP = 26, 28, 29, 32, 33, 104, 105
ERROR, DONE = 2, 3
INET, INET6, BRIDGE = socket.AF_INET, socket.AF_INET6, 7
GROUPS = 0x1 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 1 << 18 | 1 << 31
NUD_REACHABLE, NUD_STALE, NUD_FAILED = 0x02, 0x04, 0x20
DUMP_INTR = 0x10
LOOKUP_TABLE, FIB_MATCH = 0x1000, 0x2000
RTA_DST, RTA_SRC, RTA_OIF = 1, 2, 4


def open_socket(groups):
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    s.bind((0, groups))
    return s


def ip(line):
    subprocess.run(["ip", *line.split()], check=True)


def sysctl(name, value):
    with open("/proc/sys/net/" + name, "w") as f:
        f.write(value)


def listen(s, seconds):
    """All datagrams of the next `seconds`, in order."""
    end = time.monotonic() + seconds
    heard = []
    while (left := end - time.monotonic()) > 0:
        s.settimeout(left)
        try:
            heard.append(s.recv(65536))
        except TimeoutError:
            break
    return heard


def messages(datagram):
    while len(datagram) >= 16:
        length, kind, flags, seq, pid = struct.unpack_from("=IHHII", datagram)
        yield kind, flags, datagram[16:length]
        datagram = datagram[(length + 3) & ~3:]


def attributes(body, skip):
    found = {}
    body = body[skip:]
    while len(body) >= 4:
        length, kind = struct.unpack_from("=HH", body)
        if length < 4:
            break
        found[kind & 0x3FFF] = body[4:length]
        body = body[(length + 3) & ~3:]
    return found


class Capture:
    def __init__(self, directory):
        self.directory = directory
        self.s = open_socket(GROUPS)

    def save(self, name, datagram):
        with open(os.path.join(self.directory, name + ".bin"), "wb") as f:
            f.write(datagram)

    def act(self, *lines, seconds=0.4):
        """Does what the lines say; what the kernel announces is kept for `expect`."""
        listen(self.s, 0.05)
        for line in lines:
            ip(line)
        self.heard = listen(self.s, seconds)

    def expect(self, name, kind, family, good=lambda body: True, last=False):
        """Saves the first (or last) datagram of this kind, family and look."""
        for datagram in reversed(self.heard) if last else self.heard:
            found, _, body = next(messages(datagram))
            if found == kind and body[0] == family and good(body):
                return self.save(name, datagram)
        raise SystemExit(f"{name}: the kernel did not say it")

    def dump(self, kind, name=None):
        """The datagrams of a dump."""
        s = open_socket(0)
        s.send(struct.pack("=IHHII16x", 32, kind, 0x301, 1, 0))
        all_datagrams, ended = [], False
        while not ended:
            all_datagrams.append(s.recv(65536))
            ended = any(k in (ERROR, DONE) for k, _, _ in messages(all_datagrams[-1]))
        for number, datagram in enumerate(all_datagrams):
            if name:
                self.save(f"{name}_{number}", datagram)
        return all_datagrams


def index(body):
    return struct.unpack_from("=i", body, 4)[0]


def link_flags(body):
    return struct.unpack_from("=I", body, 8)[0]


def links(c):
    c.act("link add eth0 index 50 address 02:00:00:00:00:50 type veth peer name far0 index 77 address 02:00:00:00:00:77")
    c.expect("link_new", NEWLINK, 0, lambda b: index(b) == 50)
    c.act("link set eth0 up", seconds=1.2)
    c.expect("link_no_carrier", NEWLINK, 0, lambda b: index(b) == 50)
    c.act("link set far0 up", seconds=1.2)
    c.expect("link_running", NEWLINK, 0, lambda b: index(b) == 50 and link_flags(b) & 0x40, last=True)
    c.act("link set far0 down", seconds=1.2)
    c.expect("link_carrier_lost", NEWLINK, 0, lambda b: index(b) == 50, last=True)
    c.act("link set eth0 down", "link set eth0 name wlan0", seconds=1.2)
    c.expect("link_renamed", NEWLINK, 0, lambda b: b"wlan0\0" in b)
    c.expect("link_down", NEWLINK, 0, lambda b: index(b) == 50 and not link_flags(b) & 1)
    c.act("link add br0 type bridge", "link set wlan0 master br0", seconds=0.6)
    c.expect("bridge_port_new", NEWLINK, BRIDGE)
    c.act("link set wlan0 nomaster", seconds=0.6)
    c.expect("bridge_port_gone", DELLINK, BRIDGE)
    c.act("link del br0", "link del wlan0", seconds=0.6)
    c.expect("link_gone", DELLINK, 0, lambda b: index(b) == 50)


def pair(name, number):
    far = name.replace("eth", "far")
    ip(f"link add {name} index {number} address 02:00:00:00:00:{number} type veth peer name {far} index 1{number}")
    ip(f"link set {far} up")
    ip(f"link set {name} up")


def addresses(c):
    pair("eth1", 51)
    listen(c.s, 2)
    c.act("addr add 192.0.2.2/24 dev eth1")
    c.expect("address4_new", NEWADDR, INET)
    c.act("addr del 192.0.2.2/24 dev eth1")
    c.expect("address4_gone", DELADDR, INET)
    c.act("addr add 192.0.2.2 peer 198.51.100.1 dev eth1")
    c.expect("address4_point_to_point", NEWADDR, INET)
    c.act("addr del 192.0.2.2 peer 198.51.100.1 dev eth1")
    c.act("addr add 2001:db8::2/64 dev eth1", seconds=3)
    tentative = lambda b: struct.unpack("=I", attributes(b, 8)[8])[0] & 0x40
    c.expect("address6_new", NEWADDR, INET6, lambda b: not tentative(b), last=True)
    c.act("addr change 2001:db8::2/64 dev eth1 preferred_lft 0 valid_lft 1000")
    c.expect("address6_deprecated", NEWADDR, INET6)
    c.act("addr del 2001:db8::2/64 dev eth1")
    c.expect("address6_gone", DELADDR, INET6)
    c.act("addr add 2001:db8::2 peer 2001:db8::1 dev eth1 nodad")
    c.expect("address6_point_to_point", NEWADDR, INET6)
    ip("addr flush dev eth1 scope global")
    # The other end has the address already: duplicate detection fails.
    sysctl("ipv6/conf/far1/accept_dad", "0")
    ip("addr add 2001:db8::9/64 dev far1 nodad")
    c.act("addr add 2001:db8::9/64 dev eth1", seconds=3)
    c.expect("address6_duplicate", NEWADDR, INET6, lambda b: struct.unpack("=I", attributes(b, 8)[8])[0] & 0x08)
    ip("addr flush dev eth1 scope global")
    listen(c.s, 0.2)
    c.act("addr add 2001:db8::a/64 dev eth1", seconds=0.02)
    c.save("address6_tentative_dumped", next(m for b, m in dumped(c, 22) if b"\x20\x01\x0d\xb8" in b))
    try:
        sysctl("ipv6/conf/eth1/optimistic_dad", "1")
        sysctl("ipv6/conf/eth1/use_optimistic", "1")
        c.act("addr add 2001:db8::b/64 dev eth1 optimistic", seconds=3)
        c.expect("address6_optimistic", NEWADDR, INET6, tentative)
    except (OSError, subprocess.CalledProcessError, SystemExit) as why:
        print("no optimistic address:", why)
    ip("link del eth1")


def dumped(c, request):
    """Every message of a dump on its own: (body, whole message)."""
    for datagram in c.dump(request):
        while len(datagram) >= 16:
            length, kind = struct.unpack_from("=IH", datagram)
            if kind not in (ERROR, DONE):
                yield datagram[16:length], datagram[:length]
            datagram = datagram[(length + 3) & ~3:]


def routes(c):
    pair("eth0", 50)
    pair("eth1", 51)
    listen(c.s, 2)
    c.act("addr add 192.0.2.2/24 dev eth0")
    c.expect("route4_connected", NEWROUTE, INET, lambda b: b[4] == 254)
    c.expect("route4_local", NEWROUTE, INET, lambda b: b[4] == 255)
    ip("addr add 198.51.100.2/24 dev eth1")
    c.act("route add default via 192.0.2.1 metric 100")
    c.expect("route4_default", NEWROUTE, INET)
    c.act("route replace default via 198.51.100.1 metric 100")
    c.expect("route4_replaced", NEWROUTE, INET)
    c.act("route append default via 192.0.2.1 metric 100")
    c.expect("route4_appended", NEWROUTE, INET)
    c.act("route del default via 198.51.100.1 metric 100")
    c.expect("route4_gone", DELROUTE, INET)
    c.act("route add 203.0.113.0/24 nexthop via 192.0.2.1 weight 2 nexthop via 198.51.100.1")
    c.expect("route4_multipath", NEWROUTE, INET)
    c.act("route replace 203.0.113.0/24 nexthop via 198.51.100.1 nexthop via 192.0.2.1")
    c.expect("route4_multipath_replaced", NEWROUTE, INET)
    c.act("route del 203.0.113.0/24")
    c.expect("route4_multipath_gone", DELROUTE, INET)
    c.act("route add 203.0.113.0/25 via inet6 fe80::1 dev eth0")
    c.expect("route4_via_ipv6", NEWROUTE, INET)
    c.act("route add blackhole 203.0.113.128/25")
    c.expect("route4_blackhole", NEWROUTE, INET)
    c.act("route add default via 192.0.2.1 table 1000")
    c.expect("route4_other_table", NEWROUTE, INET)
    c.act("route add default via 192.0.2.1 tos 0x10")
    c.expect("route4_tos", NEWROUTE, INET)
    c.act("nexthop add id 7 via 192.0.2.1 dev eth0", "route add 203.0.114.0/24 nhid 7")
    c.expect("route4_nexthop_object", NEWROUTE, INET)
    # One next hop loses its carrier, the other its interface.
    ip("route add 203.0.115.0/24 nexthop via 192.0.2.1 nexthop via 198.51.100.1")
    c.act("link set far0 down", "link set eth1 down", seconds=1.5)
    c.save("route4_dead_hop_dumped", next(m for b, m in dumped(c, 26) if b"\xcb\x00\x73\x00" in b))
    ip("link set far0 up")
    ip("link set eth1 up")
    time.sleep(1.5)

    ip("addr add 2001:db8:0::2/64 dev eth0 nodad")
    ip("addr add 2001:db8:1::2/64 dev eth1 nodad")
    listen(c.s, 1)
    c.act("route add default via 2001:db8:0::1")
    c.expect("route6_default", NEWROUTE, INET6)
    c.act("route replace default via 2001:db8:1::1")
    c.expect("route6_replaced", NEWROUTE, INET6)
    c.act("route append default via 2001:db8:0::1")
    c.expect("route6_appended", NEWROUTE, INET6)
    c.act("route del default via 2001:db8:0::1")
    c.expect("route6_hop_gone", DELROUTE, INET6)
    c.act("-6 route add 2001:db8:2::/64 nexthop via 2001:db8:0::1 nexthop via 2001:db8:1::1")
    c.expect("route6_multipath", NEWROUTE, INET6)
    c.act("-6 route add unreachable 2001:db8:3::/64")
    c.expect("route6_unreachable", NEWROUTE, INET6)
    c.act("-6 route add 2001:db8:4::/64 via fe80::1 dev eth0 expires 600 pref high")
    c.expect("route6_link_local_gateway", NEWROUTE, INET6)

    c.dump(18, "dump_links")
    ip("link del eth0")
    ip("link del eth1")


def rules(c):
    pair("eth0", 50)
    pair("eth1", 51)
    ip("addr add 192.0.2.2/24 dev eth0")
    ip("addr add 198.51.100.2/24 dev eth1")
    listen(c.s, 1)
    c.act("rule add from 192.0.2.2 lookup 1000 pref 100")
    c.expect("rule4_new", NEWRULE, INET)
    c.act("rule del pref 100")
    c.expect("rule4_gone", DELRULE, INET)
    c.act("-6 rule add oif eth0 lookup 1000 pref 100")
    c.expect("rule6_new", NEWRULE, INET6)
    ip("-6 rule del pref 100")
    c.act("nexthop add id 7 via 192.0.2.1 dev eth0")
    c.expect("nexthop_new", NEWNEXTHOP, INET)
    c.act("nexthop replace id 7 via 198.51.100.1 dev eth1")
    c.expect("nexthop_replaced", NEWNEXTHOP, INET)
    sysctl("ipv4/nexthop_compat_mode", "0")
    c.act("route add 203.0.114.0/24 nhid 7")
    c.expect("route4_object_only", NEWROUTE, INET)
    c.act("nexthop add id 8 group 7")
    c.expect("nexthop_group", NEWNEXTHOP, 0)
    c.act("nexthop del id 7")
    c.expect("nexthop_gone", DELNEXTHOP, INET)
    sysctl("ipv4/nexthop_compat_mode", "1")
    ip("link del eth0")
    ip("link del eth1")


def question(to, form, seq, bound=None, source=None):
    """RTM_GETROUTE, put together from linux/rtnetlink.h."""
    family = INET6 if ":" in to else INET
    attribute = lambda kind, value: struct.pack("=HH", 4 + len(value), kind) + value
    address = lambda text: socket.inet_pton(family, text)
    bits = len(address(to)) * 8
    body = struct.pack("=BBBB4xI", family, bits, bits if source else 0, 0, form) + attribute(RTA_DST, address(to))
    if source:
        body += attribute(RTA_SRC, address(source))
    if bound:
        body += attribute(RTA_OIF, struct.pack("=I", bound))
    return struct.pack("=IHHII", 16 + len(body), GETROUTE, 1, seq, 0) + body


def ask(c, name, to, **how):
    s = open_socket(0)
    for form, flags in (("matching", LOOKUP_TABLE | FIB_MATCH), ("resolved", LOOKUP_TABLE)):
        s.send(question(to, flags, 7, **how))
        c.save(f"{name}_{form}", s.recv(65536))


def questions(c):
    pair("eth0", 50)
    pair("eth1", 51)
    ip("addr add 192.0.2.2/24 dev eth0")
    ip("addr add 198.51.100.2/24 dev eth1")
    ip("addr add 2001:db8:0::2/64 dev eth0 nodad")
    ip("addr add 2001:db8:1::2/64 dev eth1 nodad")
    listen(c.s, 1)
    ip("route add default via 192.0.2.1 metric 100")
    ip("-6 route add default via 2001:db8:0::1 metric 200")
    ip("route add default via 198.51.100.1 table 1000")
    ip("rule add from 198.51.100.2 lookup 1000")
    ip("rule add to 203.0.115.0/24 lookup 1000")
    ip("route add 203.0.116.0/24 nexthop via 192.0.2.1 nexthop via 198.51.100.1")
    ip("-6 route add 2001:db8:6::/64 nexthop via 2001:db8:0::1 nexthop via 2001:db8:1::1")
    ip("route add 203.0.117.0/24 via inet6 fe80::1 dev eth0")
    ip("route add blackhole 203.0.118.0/24")
    ip("-6 route add 2001:db8:7::7/128 via 2001:db8:1::1")
    ip("nexthop add id 7 via 198.51.100.1 dev eth1")
    ip("route add 203.0.119.0/24 nhid 7")
    sysctl("ipv4/nexthop_compat_mode", "0")
    ask(c, "answer4_default", "203.0.113.9")
    ask(c, "answer4_bound", "203.0.113.9", bound=50)
    ask(c, "answer4_guess", "203.0.113.9", bound=51)
    ask(c, "answer4_from_guess", "203.0.113.9", bound=51, source="198.51.100.2")
    ask(c, "answer4_on_link", "192.0.2.77")
    ask(c, "answer4_local", "192.0.2.2")
    ask(c, "answer4_broadcast", "192.0.2.255")
    ask(c, "answer4_group", "224.0.0.251", bound=50)
    ask(c, "answer4_table", "203.0.115.9")
    ask(c, "answer4_multipath", "203.0.116.9")
    ask(c, "answer4_via_ipv6", "203.0.117.9")
    ask(c, "answer4_blackhole", "203.0.118.9")
    ask(c, "answer4_object_only", "203.0.119.9")
    ask(c, "answer6_default", "2001:db8:5::9")
    ask(c, "answer6_unrouted", "2001:db8:5::9", bound=51)
    ask(c, "answer6_local", "2001:db8:0::2")
    ask(c, "answer6_multipath", "2001:db8:6::9")
    ask(c, "answer6_host", "2001:db8:7::7")
    sysctl("ipv4/nexthop_compat_mode", "1")
    ip("rule del from 198.51.100.2 lookup 1000")
    ip("rule del to 203.0.115.0/24 lookup 1000")
    ip("link del eth0")
    ip("link del eth1")


def neighbours(c):
    ip("netns add far")
    ip("link add eth0 index 50 address 02:00:00:00:00:50 type veth peer name far0 index 150 netns far")
    for address in ("192.0.2.1/24", "2001:db8::1/64"):
        ip(f"-n far addr add {address} dev far0" + " nodad" * (":" in address))
    for address in ("192.0.2.2/24", "2001:db8::2/64"):
        ip(f"addr add {address} dev eth0" + " nodad" * (":" in address))
    ip("-n far link set far0 up")
    ip("link set eth0 up")
    listen(c.s, 3)

    def send(family, to):
        with socket.socket(family, socket.SOCK_DGRAM) as s:
            s.sendto(b"", (to, 9))

    in_state = lambda state: lambda b: struct.unpack_from("=H", b, 8)[0] == state
    for digit, family, nobody, router in (
        (4, INET, "192.0.2.9", "192.0.2.1"),
        (6, INET6, "2001:db8::9", "2001:db8::1"),
    ):
        send(family, nobody)
        c.act(seconds=5)
        c.expect(f"neighbour{digit}_failed", NEWNEIGH, family, in_state(NUD_FAILED))
        send(family, router)
        c.heard = listen(c.s, 1)
        c.expect(f"neighbour{digit}_reachable", NEWNEIGH, family, in_state(NUD_REACHABLE))
        c.act(f"neigh change {router} dev eth0 nud stale")
        c.expect(f"neighbour{digit}_stale", NEWNEIGH, family, in_state(NUD_STALE))
        c.act(f"neigh change {router} dev eth0 nud probe")
        c.expect(f"neighbour{digit}_probed", NEWNEIGH, family)
        c.act(f"neigh del {router} dev eth0")
        c.expect(f"neighbour{digit}_gone", DELNEIGH, family)
    ip("link add br0 type bridge")
    c.act("link set eth0 master br0")
    c.expect("neighbour_of_a_bridge", NEWNEIGH, BRIDGE)
    ip("link del br0")
    ip("link del eth0")
    ip("netns del far")


def answers(c):
    # Enough for several datagrams, so that a dump is still running when the next request comes.
    for number in range(40):
        ip(f"link add many{number} type veth peer name more{number}")
    s = open_socket(0)
    request = lambda kind, seq: struct.pack("=IHHII16x", 32, kind, 0x301, seq, 0)
    s.send(request(18, 1))
    s.send(request(22, 2))
    refused = None
    while refused is None:
        datagram = s.recv(65536)
        if next(messages(datagram))[0] == ERROR:
            refused = datagram
    c.save("error_busy", refused)

    s = open_socket(0)
    s.send(request(18, 1))
    ip("link del many0")
    interrupted = None
    while interrupted is None:
        datagram = s.recv(4096)
        kinds = list(messages(datagram))
        if any(flags & DUMP_INTR for _, flags, _ in kinds):
            interrupted = datagram
        elif kinds[0][0] == DONE:
            raise SystemExit("the dump was not interrupted")
    c.save("dump_interrupted", interrupted)


def requests(c):
    """What the agent is expected to send: not captured, put together from linux/rtnetlink.h."""
    c.save("request_links", struct.pack("=IHHII", 32, 18, 0x301, 7, 0).ljust(32, b"\0"))
    c.save("request_question4", question("203.0.113.9", LOOKUP_TABLE | FIB_MATCH, 7))
    c.save("request_question6", question("2001:db8::9", LOOKUP_TABLE, 8, bound=50, source="2001:db8::2"))


def main():
    subprocess.run(["mount", "-t", "sysfs", "none", "/sys"], check=True)
    ip("link set lo up")
    c = Capture(sys.argv[1])
    parts = {part.__name__: part for part in (links, addresses, routes, rules, questions, neighbours, answers, requests)}
    for name in sys.argv[2:] or parts:
        parts[name](c)


if __name__ == "__main__":
    main()
