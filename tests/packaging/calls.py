"""Compares the system calls that the agent denies itself with those that the unit of systemd allows it.

systemd applies its filter before it starts the agent by an exec, and the agent adopts the descriptor of --trigger-fd
before it enters its sandbox; all else that the agent denies itself, the unit denies as well. What the agent calls to
enter its sandbox, to adopt a descriptor and to know the clock, the unit allows.
"""

import re
import subprocess
import sys

SOURCE = "src/sys/sandbox.rs"
UNIT = "buildroot/package/linkbeat/linkbeat.service"
BEFORE = {"execve", "execveat", "pidfd_getfd"}
NEEDED = {"seccomp", "prctl", "prlimit64", "pidfd_open", "pidfd_getfd", "adjtimex", "clock_adjtime", "getrandom"}


def expand(name):
    """The calls of a group, those of the groups in it included, or the one call."""
    if not name.startswith("@"):
        return {name}
    shown = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager", name], capture_output=True, text=True, check=True
    )
    entries = [line.strip() for line in shown.stdout.splitlines()[1:]]
    return set().union(*(expand(entry) for entry in entries if entry and not entry.startswith("#")))


def allowed_by_unit():
    allowed = set()
    for line in open(UNIT, encoding="utf-8"):
        if value := re.match(r"SystemCallFilter=(~?)(.*)", line):
            calls = set().union(*(expand(name) for name in value[2].split()))
            allowed = allowed - calls if value[1] else allowed | calls
    return allowed


def main():
    denied = set(re.findall(r"libc::SYS_(\w+)[,\]]", open(SOURCE, encoding="utf-8").read().split("mod tests")[0]))
    allowed = allowed_by_unit()
    assert len(denied) > 60 and len(allowed) > 100, (denied, allowed)
    complaints = [f"{call}: denied by {SOURCE}, allowed by {UNIT}" for call in sorted(denied & allowed - BEFORE)]
    complaints += [f"{call}: needed, not allowed by {UNIT}" for call in sorted(NEEDED - allowed)]
    complaints += [f"{call}: needed, denied by {SOURCE}" for call in sorted(NEEDED & denied - BEFORE)]
    print(f"calls: the agent denies itself {len(denied)}, the unit allows {len(allowed)}")
    # An empty text would be a failure, too.
    sys.exit("\n".join(complaints) or None)


main()
