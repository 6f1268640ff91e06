#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Measures the pause: how long a client outside hears nothing, and beside it, in the same machine, how long it is until
somebody new can log in. Each round is a real kexec of a woken machine. docs/PERFORMANCE.md says what the figures mean.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from lab import check, images  # noqa: E402
from lab.machine import Machine  # noqa: E402
from lab.ssh import SshSession  # noqa: E402
from lab.util import BOUND, SOURCE, LabError, progress, run, wait_for  # noqa: E402

STORED = SOURCE / "tests" / "vm" / "bench.json"
MIB = 1 << 20
# No answer for so long is the pause, not a slow machine.
SILENT = 2.0
# 64 sessions that come back one by one, on a slow machine.
TIMEOUT = 900.0

# The restore as it was before carryover had an early one: a unit of multi-user.target, behind network-online.target.
UNIT = "carryover-restore.service"
OLD_WAY = f"""
sed -e '/^Before=/d' -e '/^After=/a Before=shutdown.target\\nWants=network-online.target\\nAfter=network-online.target' \
    -e 's/^WantedBy=.*/WantedBy=multi-user.target/' /usr/lib/systemd/system/{UNIT} >/etc/systemd/system/{UNIT}
systemctl reenable {UNIT}
"""

# A heap of which a part is written anew each second, in one stretch.
HEAP = """
import os, sys, time
size, percent = int(sys.argv[1]), int(sys.argv[2])
block = os.urandom(1 << 20)
heap = bytearray(b"".join(block[i % 997:] + block[:i % 997] for i in range(size >> 20)))
print("heap-" + "made", flush=True)
while True:
    time.sleep(0.1)
    part = size * percent // 1000
    heap[:part] = bytes(reversed(heap[:part])) if part < 1 << 20 else heap[1:part] + heap[:1]
"""

# As many connections as asked for, each of which answers after the jump.
SERVER = """
import selectors, socket
listener = socket.create_server(("", 7000), backlog=4096)
print("server-" + "listens", flush=True)
wait = selectors.DefaultSelector()
wait.register(listener, selectors.EVENT_READ)
while True:
    for key, _ in wait.select():
        if key.fileobj is listener:
            wait.register(listener.accept()[0], selectors.EVENT_READ)
        else:
            key.fileobj.send(key.fileobj.recv(1))
"""
CLIENT = """
import socket, sys
opened = [socket.create_connection(("10.0.2.15", 7000)) for _ in range(int(sys.argv[1]))]
print("connected", flush=True)
sys.stdin.readline()
for one in opened:
    one.send(b"x")
print("answered", sum(one.recv(1) == b"x" for one in opened), flush=True)
"""


@dataclass(frozen=True)
class Case:
    """What is carried."""

    sessions: int = 1
    heap: int = 0  # bytes
    percent: int = 0  # of the heap, each second
    connections: int = 0
    beside: bool = False  # the heap lives in a second session
    old_way: bool = False


CASES = {
    "session": Case(),
    "old-way": Case(old_way=True),
    "sessions-16": Case(sessions=16),
    "sessions-64": Case(sessions=64),
    **{f"heap-{size}-{percent}": Case(heap=size * MIB, percent=percent) for size in (256, 1024) for percent in (0, 5, 50)},
    "beside-1024": Case(sessions=2, heap=1024 * MIB, beside=True),
    "connections-1000": Case(connections=1000),
    "connections-10000": Case(connections=10000),
}
DEFAULT = ["session", "old-way"]


@dataclass(frozen=True)
class Silence:
    """When a client heard nothing (monotonic times)."""

    begin: float
    end: float


def silence(session: SshSession, since: float) -> Silence:
    """The longest one."""
    times = [chunk.time for chunk in list(session.chunks) if chunk.time >= since]
    begin, end = max(zip(times, times[1:]), key=lambda pair: pair[1] - pair[0])
    return Silence(begin, end)


def open_sessions(machine: Machine, case: Case) -> list[SshSession]:
    """All sessions of a case, each kept; the first one is the one that is watched."""
    machine.write("/etc/carryover/carryover.conf.d/bench.conf", "[Carryover]\nKeepSshSessions=yes\nMaxUsePerUser=90%\n")
    if case.old_way:
        machine.run(OLD_WAY)
    sessions = [machine.session() for _ in range(case.sessions)]
    if case.heap:
        owner = sessions[1 if case.beside else 0]
        machine.write("/root/heap", HEAP)
        owner.send_line(f"python3 /root/heap {case.heap} {case.percent} &")
        owner.expect("heap-made", 300)
    return sessions


@contextlib.contextmanager
def connected(machine: Machine, session: SshSession, count: int) -> Iterator[subprocess.Popen[str] | None]:
    """A server in the session, and so many connections to it from one client outside."""
    if not count:
        yield None
        return
    machine.write("/root/server", SERVER)
    session.send_line("ulimit -n 20000; python3 /root/server &")
    session.expect("server-listens", 60)
    prefix = machine.network.endpoint(machine.index).prefix
    with subprocess.Popen([*BOUND, *prefix, "prlimit", "--nofile=20000", sys.executable, "-c", CLIENT, str(count)],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout
        if client.stdout.readline() != "connected\n":
            raise LabError(f"the client did not get its {count} connections")
        yield client


def all_answer(client: subprocess.Popen[str], count: int) -> None:
    """Each of the connections lives."""
    text, _ = client.communicate("go\n", timeout=300)
    if text != f"answered {count}\n":
        raise LabError(f"of {count} connections: {text.strip()}")


def jump(machine: Machine, sessions: list[SshSession], case: Case) -> dict:
    """One round: carry it, and what it took."""
    first = sessions[0]
    old = check.before(machine, first)
    ticks = check.counter(first)
    with connected(machine, first, case.connections) as client:
        began = time.monotonic()
        first.send_line("carryover reboot --yes; echo \"returned\" $?.")
        # Whoever asks while it saves would be one more thing that it does.
        wait_for("the silence", lambda: time.monotonic() - first.chunks[-1].time > SILENT, TIMEOUT, 0.1)
        machine.wait_for_boot(old.boot_id, TIMEOUT)
        login = time.monotonic()
        first.expect(r"returned \d+\.", TIMEOUT)
        ticks.goes_on()
        ticks.check()
        check.same_session(first, old)
        if client:
            all_answer(client, case.connections)
    return figures(machine, old, silence(first, began), login, case)


def figures(machine: Machine, old: check.Before, seen: Silence, login: float, case: Case) -> dict:
    """What a round says, in seconds."""
    report = check.status(machine)
    lost = [tree["name"] for tree in report["trees"] if tree["state"] != "carried"]
    if lost or len(report["trees"]) != case.sessions:
        raise LabError(f"carried {len(report['trees'])} trees of {case.sessions}, lost {lost}")
    gaps = [tree["gap_usec"] / 1e6 for tree in report["trees"]]
    told = [tree["gap_usec"] / 1e6 for tree in report["trees"] if tree["name"] == f"session-{old.number}"][0]
    gap = seen.end - seen.begin
    if abs(told - gap) > max(0.5, 0.1 * gap):
        raise LabError(f"the report's gap is {told:.2f} s, the client saw {gap:.2f} s")
    steps: dict[str, float] = {}
    for step in report["steps"]:
        steps[step["name"]] = steps.get(step["name"], 0) + step["duration_usec"] / 1e6
    return {"gap": gap, "longest_gap": max(gap, *gaps), "login": login - seen.begin, "ratio": gap / (login - seen.begin), "steps": steps}


def one_round(distro: str, case: Case) -> dict:
    """On a machine of its own."""
    from conftest import Lab  # needs pytest, which who only asks for help may not have

    directory = Path(tempfile.mkdtemp(prefix="carryover-bench-"))
    lab = Lab(directory)
    try:
        # What is dumped lies in the page cache beside what it was made of.
        machine = lab.machine(distro, "netns", memory=2048 + 3 * (case.heap // MIB))
        return jump(machine, open_sessions(machine, case), case)
    finally:
        lab.close()
        shutil.rmtree(directory, ignore_errors=True)


def summed(rounds: list[dict], pick: Callable[[dict], float]) -> list[float]:
    """Minimum, median, maximum."""
    values = [pick(found) for found in rounds]
    return [round(value, 3) for value in (min(values), statistics.median(values), max(values))]


def summary(rounds: list[dict]) -> dict:
    """What is stored of a case."""
    names = sorted({name for found in rounds for name in found["steps"]})
    return {"rounds": len(rounds), **{figure: summed(rounds, lambda found, figure=figure: found[figure])
                                      for figure in ("gap", "longest_gap", "login", "ratio")},
            "steps": {name: summed(rounds, lambda found, name=name: found["steps"].get(name, 0.0)) for name in names}}


def show(results: dict, stored: dict) -> None:
    """The table, each line beside the last committed one."""
    base = results.get("session", {}).get("gap")
    print(f"{'CASE':18} {'ROUNDS':>6}  {'GAP min/median/max':>22}  {'LOGIN':>6}  {'GAP/LOGIN':>9}  {'x SESSION':>9}  {'STORED GAP, RATIO':>18}")
    for name, found in results.items():
        gap = "/".join(f"{value:.1f}" for value in found["gap"])
        times = f"{found['longest_gap'][1] / base[1]:.2f}" if base else "-"
        before = stored.get(name)
        old = f"{before['gap'][1]:.1f}, {before['ratio'][1]:.2f}" if before else "-"
        print(f"{name:18} {found['rounds']:6}  {gap:>22}  {found['login'][1]:6.1f}  {found['ratio'][1]:9.2f}  {times:>9}  {old:>18}")
    if "old-way" in results and base:
        print(f"gap / gap of the old way: {base[1] / results['old-way']['gap'][1]:.2f}")


def measure(args: argparse.Namespace) -> dict:
    """All rounds: each case once, then each once more, so that a machine that gets slower does so for all."""
    rounds: dict[str, list[dict]] = {name: [] for name in args.case}
    for number in range(args.rounds):
        for name in args.case:
            found = one_round(args.distro, CASES[name])
            rounds[name].append(found)
            progress(f"{args.distro} {name}, round {number + 1} of {args.rounds}: gap {found['gap']:.1f} s, "
                     f"a new login after {found['login']:.1f} s")
    return {name: summary(found) for name, found in rounds.items()}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__,
        epilog="A round takes one to three minutes. Use the machine for nothing else meanwhile.\n"
               f"Cases: {', '.join(CASES)}.\nExit status: 0 when all rounds were carried, 1 when not, 2 for wrong words.")
    parser.add_argument("--distro", choices=images.DISTROS, default="bookworm", help="the machine's Debian (bookworm)")
    parser.add_argument("--case", action="append", choices=CASES, metavar="CASE", help=f"once for each ({', '.join(DEFAULT)})")
    parser.add_argument("--all", action="store_true", help="all cases")
    parser.add_argument("--rounds", type=int, default=5, help="how often each case (5)")
    parser.add_argument("--json", action="store_true", help="print what would be stored, too")
    parser.add_argument("--store", action="store_true", help=f"put the figures of these cases into {STORED.relative_to(SOURCE)}")
    parser.add_argument("--parse-only", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error("--rounds needs at least 1")
    if args.all and args.case:
        parser.error("--all and --case exclude each other")
    args.case = list(CASES) if args.all else args.case or DEFAULT
    return args


def commit() -> str:
    """What was measured, and whether something of it is not committed."""
    git = ["git", "-C", SOURCE]
    changed = run([*git, "status", "--porcelain", "--", "src", "units", "hooks", "initramfs", "proto"])
    return run([*git, "rev-parse", "--short=12", "HEAD"]).strip() + ("+" if changed else "")


def main() -> int:
    args = parse()
    if args.parse_only:
        return 0
    stored = json.loads(STORED.read_text(encoding="utf-8")) if STORED.exists() else {}
    try:
        results = measure(args)
    except (LabError, AssertionError, subprocess.SubprocessError, OSError) as error:
        print(f"scripts/bench: {error}", file=sys.stderr)
        return 1
    show(results, stored.get(args.distro, {}))
    for found in results.values():
        found["commit"] = commit()
    if args.json:
        print(json.dumps(results, indent=1))
    if args.store:
        stored[args.distro] = {**stored.get(args.distro, {}), **results}
        text = re.sub(r"\[\s+([-\d.]+),\s+([-\d.]+),\s+([-\d.]+)\s+\]", r"[\1, \2, \3]", json.dumps(stored, indent=1, sort_keys=True))
        STORED.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
