#!/usr/bin/env python3
"""Devices that say anything to scripts/deploy: any_device.py BINARY [FIRST_SEED [SEEDS]]

What each says is made of lines of the protocol, whole, spoilt and spliced, by a seed. The exit code is compared with a
second reading of the protocol; no command of a device runs here, no byte that is not printable reaches the terminal, and
the output is as long as the lines at most. A failure names its seed and leaves what the device said.
"""

import os
import random
import re
import stat
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Longest line that is read as one, in bytes.
LINE_MAX = 1000
MACHINES = {0xB7: ['aarch64'], 0x28: ['armv7', 'armv6'], 0xF3: ['riscv64'], 0x3E: ['x86_64']}


def lines_of(said):
    """The lines as the shell reads them: without zero bytes, in pieces of LINE_MAX, the last only with its end."""
    rest = said.replace(b'\0', b'')
    while rest:
        piece = rest[:LINE_MAX]
        end = piece.find(b'\n')
        if end >= 0:
            line, rest = piece[:end], rest[end + 1:]
        elif len(piece) == LINE_MAX:
            line, rest = piece, rest[LINE_MAX:]
        else:
            return
        yield line[:-1] if line.endswith(b'\r') else line


def verdict(said, machines, size):
    """The exit code that --help gives to what a device has said."""
    wanted = whole = False
    outcome = None
    for line in lines_of(said):
        if not line.startswith(b'deploy:'):
            continue
        broken = 3 if whole else 1
        parts = re.fullmatch(rb'deploy:([a-z]+) (.*)', line, re.DOTALL)
        if not parts:
            return broken
        verb, text = parts[1].decode(), parts[2]
        if verb == 'want':
            if wanted or text not in [machine.encode() for machine in machines]:
                return broken
            wanted = True
        elif verb == 'copied':
            if not wanted or not re.fullmatch(rb'0|[1-9][0-9]{0,11}', text) or int(text) > size:
                return broken
        elif verb == 'checked':
            whole = True
        elif verb == 'unmatched':
            return 1
        elif verb in ('deployed', 'refused', 'back', 'broken'):
            outcome = verb
        elif verb != 'say':
            return broken
    if outcome:
        return ['deployed', 'refused', 'back', 'broken'].index(outcome)
    return 3 if whole else 1


def number(rng, size):
    return rng.choice([0, 1, size // 2, size, size + 1, 10 ** 11, 10 ** 12, 2 ** 63, 2 ** 64 + 1])


def line(rng, machines, size, command):
    """A line of the protocol, or nearly."""
    text = rng.choice([
        'done', '', ' ', command, 'a[' + command + ']', rng.choice(machines), 'vax', str(number(rng, size)),
        '0' + str(number(rng, size)), '-1', '1+1', '0x10', '\x1b[2J\x1b]0;x\x07', '\xa0\x9b31m', '*', '%s%n', "'\"\\", '~',
        'x' * rng.choice([10, 980, 999, 1000, 1001, 3000]),
    ])
    verb = rng.choice([
        'say', 'want', 'want', 'copied', 'copied', 'checked', 'deployed', 'refused', 'back', 'broken', 'unmatched', 'exec',
        'Say', '', 'say' + command,
    ])
    kind = rng.randrange(12)
    if kind == 0:
        return rng.choice([text, 'deploy', 'deploy:', ' deploy:' + verb, '\rdeploy:say x'])
    return 'deploy:' + verb + rng.choice([' ', ' ', ' ', '  ', '\t', '']) + text


def kept_line(rng, size):
    """A line that a device may say at any time after it has wanted a binary."""
    good = ['say it goes on', f'copied {rng.randrange(size + 1)}', f'copied {size}', 'checked whole', 'deployed it beats']
    return rng.choice([
        *('deploy:' + text for text in good), 'deploy:refused no', 'deploy:back it does not beat', 'deploy:broken it does not answer',
        'Warning: a word of the shell', '',
    ])


def device(rng, machines, size, command):
    """Everything that one device says, in bytes."""
    said = b''
    if rng.randrange(2):
        # As a device begins that is none.
        said = b'deploy:want ' + machines[0].encode() + b'\n'
    spoilt = rng.choice([0, 0.1, 1])
    for _ in range(rng.randrange(1, 12)):
        text = line(rng, machines, size, command) if rng.random() < spoilt else kept_line(rng, size)
        said += text.encode('latin-1') + rng.choice([b'\n', b'\n', b'\n', b'\r\n'] + [b''] * (spoilt == 1))
    for _ in range(rng.choice([0, 0, 0, 1, 3]) if spoilt else 0):
        # Spoilt anywhere.
        at = rng.randrange(len(said) + 1)
        said = said[:at] + bytes([rng.randrange(256)]) + said[at + rng.randrange(2):]
    return said


def run(binary, said, work):
    payload = os.path.join(work, 'payload')
    with open(payload, 'wb') as file:
        file.write(said)
    client = os.path.join(work, 'client')
    return subprocess.run(
        ['scripts/deploy', '--ssh', client, '--binary', binary, 'camera'], cwd=ROOT, env={**os.environ, 'PAYLOAD': payload},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=100, check=False)


def wrong(said, result, expected, evaluated):
    """What is wrong with a result, if anything."""
    if os.path.exists(evaluated):
        return 'a command of the device ran on this machine'
    if result.returncode != expected:
        return f'exit {result.returncode}, not {expected}'
    if re.search(rb'[^ -~\n]', result.stdout):
        return 'what is not printable reaches the terminal'
    # The program's own: connecting, copying, five quarters, the end.
    lines = result.stdout.count(b'\n')
    if lines > len(list(lines_of(said))) + 8 or any(len(line) > LINE_MAX + 200 for line in result.stdout.split(b'\n')):
        return f'{lines} lines, {len(result.stdout)} bytes'
    return None


def main():
    binary = os.path.abspath(sys.argv[1])
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    seeds = int(sys.argv[3]) if len(sys.argv) > 3 else 100
    size = os.stat(binary).st_size
    with open(binary, 'rb') as file:
        machines = MACHINES[file.read(20)[18]]
    work = tempfile.mkdtemp(prefix='linkbeat-deploy-')
    client, evaluated = os.path.join(work, 'client'), os.path.join(work, 'evaluated')
    with open(client, 'w', encoding='ascii') as file:
        file.write('#!/bin/sh\nexec cat "$PAYLOAD"\n')
    os.chmod(client, stat.S_IRWXU)
    codes = [0] * 4
    for seed in range(first, first + seeds):
        rng = random.Random(seed)
        said = device(rng, machines, size, rng.choice([f'$(touch {evaluated})', f'`touch {evaluated}`']))
        expected = verdict(said, machines, size)
        flaw = wrong(said, run(binary, said, work), expected, evaluated)
        if flaw:
            sys.exit(f'deploy: seed {seed}: {flaw}; the device said what is in {work}/payload')
        codes[expected] += 1
    for name in os.listdir(work):
        os.remove(os.path.join(work, name))
    os.rmdir(work)
    print(f'deploy: {seeds} devices that say anything: exit 0, 1, 2, 3: {codes}')


main()
