# SPDX-License-Identifier: GPL-2.0-or-later
"""
What "carried" means, in one place: a counter that must not skip or repeat, a session that must be the
same one before and after, and a machine on which nothing of ours is left.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from dataclasses import dataclass
from typing import Iterator

from .machine import Machine
from .net import GUEST4, Capture, Knocker
from .ssh import SshSession, plain
from .util import wait_for

# What a restore may still take after `carryover reboot` has returned: logind's restart, the report.
SETTLED = 60.0

# Marks our routes (src/netlink/talk.h).
ROUTE_PROTOCOL = 0xC1


class Counter:
    """A background job of a session that counts on its terminal, five times a second."""

    def __init__(self, session: SshSession, word: str = "tick", start: bool = True) -> None:
        self.session = session
        self.word = word
        self._begin = len(session.text())
        if start:
            session.send_line(f"{{ i=0; while :; do i=$((i+1)); echo {word}-$i-; sleep 0.2; done; }} &")
            session.expect(rf"{word}-3-", 60)

    def numbers(self) -> list[int]:
        """All numbers until now, in the order in which they came."""
        return [int(n) for n in re.findall(rf"{self.word}-(\d+)-", self.session.text()[self._begin:])]

    def goes_on(self, by: int = 3, timeout: float = 60) -> None:
        """Wait until it has counted on."""
        wanted = len(self.numbers()) + by
        wait_for(f"'{self.word}' to count on", lambda: len(self.numbers()) >= wanted, timeout, 0.1)

    def check(self) -> int:
        """No number is missing and none came twice; the last one."""
        numbers = self.numbers()
        wrong = [(a, b) for a, b in zip([0, *numbers], numbers) if b != a + 1]
        assert not wrong, f"the counter jumped: {wrong[:5]} of {len(numbers)}"
        return numbers[-1]


def counter(session: SshSession) -> Counter:
    """Start a counter in a session."""
    return Counter(session)


def answer(session: SshSession, line: str, timeout: float = 60) -> str:
    """What a line prints in a session in which a counter runs; it must succeed."""
    status, text = session.command(line, timeout)
    # A line that is typed before the prompt is there is echoed twice.
    text = re.sub(r"tick-\d+-\n?", "", text.rpartition("$?\n")[2]).strip()
    assert status == 0, f"`{line}` in the session: exit {status}: {text}"
    return text


@dataclass(frozen=True)
class Before:
    """What a session, its client and its machine were before the jump."""

    client: int
    port: int
    boot_id: str
    kernel: str
    shell: int
    tty: str
    scope: str
    number: str
    loginctl: str
    who: str


def before(machine: Machine, session: SshSession) -> Before:
    """Note what must be the same afterwards, and what must not."""
    found = answer(session, "echo $$ $(tty) $(cat /proc/$$/cgroup)").split()
    shell, tty, scope = int(found[0]), found[1].removeprefix("/dev/"), found[2].rsplit("/", 1)[1]
    number = re.fullmatch(r"session-(.+)\.scope", scope)
    assert number, f"the session lives in {found[2]}"
    loginctl, who = _known(machine, number.group(1), tty)
    # Debian 13's who(1) guesses, and misses a terminal that comes more than five seconds after its session.
    # The machine may have been upgraded since its disk was made.
    release = machine.run(". /etc/os-release; echo $VERSION_CODENAME").strip()
    assert f"Scope={scope}\n" in loginctl and (who or release != "bookworm"), f"{loginctl}{who}"
    return Before(session.pid, session.local_port(), machine.boot_id(), machine.kernel(), shell, tty,
                  scope, number.group(1), loginctl, who)


def _known(machine: Machine, number: str, tty: str) -> tuple[str, str]:
    # Without what must differ: numbers of the audit, and times of the old kernel's clock. Debian 13's logind is not told of
    # sshd's terminals, and who(1) says "sshd pts/0" where it had to guess; afterwards both know.
    fields = "Id Name Class Type State Active Remote RemoteHost Service Scope Seat Timestamp"
    words = " ".join(f"-p {field}" for field in fields.split())
    text = machine.run(f"loginctl show-session {number} {words}; echo; who | grep ' {tty} '", check=False)
    loginctl, _, who = text.partition("\n\n")
    return loginctl + "\n", " ".join(word for word in who.split() if word != "sshd")


def same_session(session: SshSession, old: Before) -> None:
    """The client, its connection, the shell and its terminal are those of before."""
    assert session.alive() and session.pid == old.client
    assert session.local_port() == old.port
    now = answer(session, "echo $$ $(tty)").split()
    assert now == [str(old.shell), f"/dev/{old.tty}"], f"{now}\n{session.text()[-2000:]!r}"


def other_boot(machine: Machine, old: Before, other_kernel: bool = True) -> None:
    """The machine runs another boot, after a jump also another kernel."""
    machine.wait_for_ssh()  # the session is back before a new login could be
    boot_id, kernel = machine.boot_id(), machine.kernel()
    assert boot_id != old.boot_id
    if other_kernel:
        assert kernel != old.kernel and kernel == machine.layer.kernel_b
    print(f"boot {old.boot_id[:8]} -> {boot_id[:8]}, kernel {old.kernel} -> {kernel}")


def status(machine: Machine) -> dict:
    """`carryover status --json`, wrong or right."""
    return json.loads(machine.run("carryover status --json=short", check=False))


def gap_agrees(machine: Machine, session: SshSession, since: float,
               old: Before | None = None) -> tuple[float, float]:
    """The report's gap and the silence that the client saw agree within 10 % or 0.5 s. Where
    several sessions are carried, each has a gap of its own: that of `old`."""
    report = status(machine)
    assert report["steps"], "the report has no steps"
    whole = [tree for tree in report["trees"] if old and tree["name"] == f"session-{old.number}"] or [report]
    told, seen = whole[0]["gap_usec"] / 1e6, session.longest_gap(since)
    print(f"gap: {told:.2f} s by the report, {seen:.2f} s seen by the client")
    assert abs(told - seen) <= max(0.5, 0.1 * seen)
    return told, seen


def steps(machine: Machine) -> None:
    """Print where the time went."""
    report = status(machine)
    for step in sorted(report["steps"], key=lambda s: s["realtime_usec"]):
        begin = (step["realtime_usec"] - report["steps"][0]["realtime_usec"]) / 1e6
        print(f"  {step['name']:18} {step['tree'] or '':12} {begin:8.2f} s {step['duration_usec'] / 1e6:8.2f} s"
              f"  {'new' if step['after_jump'] else 'old'}")


def logind_knows(machine: Machine, old: Before) -> None:
    """loginctl and who show the carried session as they did before; its processes are in its scope."""
    wait_for(f"session {old.number} in loginctl", lambda: _known(machine, old.number, old.tty)[0] ==
             old.loginctl, SETTLED, 0.5)
    now = _known(machine, old.number, old.tty)
    assert now[0] == old.loginctl, now[0]
    assert now[1] and now[1] == (old.who or now[1]), f"who: {old.who} | {now[1]}"
    if machine.boot_id() != old.boot_id:  # sshd does not tell logind, the restore does
        assert machine.run(f"loginctl show-session {old.number} -p TTY --value").strip() == old.tty
    inside = machine.run(f"leader=$(loginctl show-session {old.number} -p Leader --value); "
                         f"grep -x $leader /sys/fs/cgroup/user.slice/*/{old.scope}/cgroup.procs")
    print(f"session {old.number}: leader {inside.strip()}, {now[1]}")


def clean_after(machine: Machine, *carried: Before, namespaces: int = 0, images: bool = False) -> None:
    """Issue 2, shown by 2i: nothing of ours is left, and the sessions are known as they were."""
    def idle() -> bool:
        # The kernel cuts names after 15 characters.
        return not machine.run("pgrep -x 'carryover-(resto|save|hold).*'", check=False)
    wait_for("the end of our own processes", idle, SETTLED, 0.5)

    state = machine.run("systemctl is-system-running --wait", check=False, timeout=120).strip()
    failed = machine.run("systemctl --failed --no-legend")
    assert (state, failed) == ("running", ""), f"{state}: {failed}"
    no_hold(machine)
    if not images:
        found = machine.run("find /var/lib/carryover -name '*.img'")
        assert found == "", f"images are left: {found[:400]}"
    routes = machine.run(f"for f in -4 -6; do ip $f route show table all proto {ROUTE_PROTOCOL}; done")
    assert routes == "", f"a route of ours is left: {routes}"
    ours = machine.run("ps -eo comm,args --no-headers | grep ^carryover", check=False).splitlines()
    inits = [line for line in ours if line.startswith("carryover-init")]
    assert len(inits) == namespaces and len(ours) == namespaces, f"processes are left: {ours}"
    for old in carried:
        logind_knows(machine, old)


def no_hold(machine: Machine) -> None:
    """Neither backend has a rule of ours, nor of CRIU's."""
    rules = machine.run("iptables-legacy -t raw -S && ip6tables-legacy -t raw -S && nft list ruleset")
    assert "carryover" not in rules.lower() and "CRIU-" not in rules, f"a hold is left: {rules}"


def _typed(session: SshSession, line: str, timeout: float) -> tuple[float, str, int]:
    began = time.monotonic()
    begin = len(session.text())
    session.send_line(f"{line}; echo \"returned\" $?.")
    found = session.expect(r"returned (\d+)\.", timeout)
    text = plain(session.text()[begin:])
    print(f"`{line}` returned {found.group(1)} after {time.monotonic() - began:.1f} s")
    session.expect(r"[$#] ", 60)  # what is typed before the prompt is echoed twice
    return began, text, int(found.group(1))


def typed(session: SshSession, line: str, timeout: float) -> tuple[float, str]:
    """Type a line that takes long or prints much, and wait until it returns 0; when that began, and what it printed."""
    began, text, code = _typed(session, line, timeout)
    assert code == 0, f"`{line}` returned {code}: {text[-2000:]}"
    return began, text


def reboot(session: SshSession, how: str = "carryover reboot --yes", timeout: float = 240) -> tuple[float, str]:
    """
    Type `carryover reboot`, and wait for it as typed() does. All that is kept is carried; the lab has logins of its own that end, and
    then the command returns 1.
    """
    began, text, code = _typed(session, how, timeout)
    told = re.search(r"Carried (\d+) of (\d+) to Linux \S+?(?:, gap [\d.]+ s)?(?:;\s+(\d+)\s+not\s+kept)?\.\n", text)
    assert told, f"`{how}` returned {code}: {text[-2000:]}"
    carried, whole, others = (int(number or 0) for number in told.groups())
    assert carried + others == whole and code == (others > 0), f"`{how}` returned {code}: {told.group(0)}"
    return began, text


def jump_under_knocks(machine: Machine, session: SshSession, old: Before, ports: list[int]) -> tuple[float, float]:
    """Jump while the peer knocks at these of its ports; when that began, and the gap by the report."""
    with knocked(machine, ports):
        began, _ = reboot(session)
        same_session(session, old)
        other_boot(machine, old)
    told, _ = gap_agrees(machine, session, began, old)
    steps(machine)
    return began, told


@contextlib.contextmanager
def knocked(machine: Machine, ports: list[int]) -> Iterator[None]:
    """Meanwhile the peer is sending all the time, at these of its ports, and nobody answers with a reset."""
    reset = "tcp[13] & 4 != 0 or (ip6 and ip6[6] = 6 and ip6[53] & 4 != 0)"
    capture = machine.network.capture(machine.directory / "peer.pcap", f"{Knocker.FILTER} or {reset}")
    knocker = Knocker(machine.network.endpoint(machine.index), ports)
    began = time.monotonic()
    yield
    knocker.stop()
    lasted = time.monotonic() - began
    capture.stop()
    knocks = capture.packets(f"{Knocker.FILTER} and dst {GUEST4} and dst port 22")
    _knocks_drew_no_reset(capture, knocks, lasted, ports)


def _knocks_drew_no_reset(capture: Capture, knocks: list[str], lasted: float, ports: list[int]) -> None:
    for port in ports:
        resets = capture.resets(port)
        print(f"port {port}: {sum(f'.{port} >' in line for line in knocks)} segments sent, {len(resets)} resets")
        assert not resets, resets[:5]
    times = [int(h) * 3600 + int(m) * 60 + float(s)
             for h, m, s in re.findall(r"^\S+ (\d+):(\d+):([\d.]+) ", "\n".join(knocks), re.MULTILINE)]
    pause = max(b - a for a, b in zip(times, times[1:]))
    assert times[-1] - times[0] > lasted - 5 and pause < 5, f"the peer paused for {pause:.1f} s"


def _to_front(machine: Machine, session: SshSession, job: str) -> None:
    """Bring job 1 to the front. The shell prints its name before it gives it the terminal: a key between the
    two would be the shell's."""
    session.send_line("fg %1")
    wait_for(f"job {job} in front", lambda: machine.run(f"ps -o tpgid= -p {job}").strip() == job, 30)


def reads(machine: Machine, pid: str) -> None:
    """A program waits for its terminal. Python does not look for a signal between its last instruction and the call of
    read(), which takes an emulated processor milliseconds where it has just come back: a Ctrl-C in between shows only
    with the next line."""
    wait_for(f"process {pid} to read", lambda: machine.run(f"cat /proc/{pid}/syscall").startswith("0 0x0 "), 30, 0.2)


def job_control(machine: Machine, session: SshSession) -> None:
    """Job 1 of a shell has a controlling terminal, comes to the front, is stopped, goes on behind, and is
    interrupted."""
    job, tty, its_tty = answer(session, "echo $(jobs -p %1) $(tty) /dev/$(ps -o tty= -p $(jobs -p %1))").split()
    assert tty == its_tty, f"the shell's terminal is {tty}, its job's {its_tty}"
    _to_front(machine, session, job)
    session.send("\x1a")
    session.expect(r"Stopped", 30)
    assert "Stopped" in answer(session, "jobs %1")
    answer(session, "bg %1")
    assert "Running" in answer(session, "jobs %1")
    _to_front(machine, session, job)

    # A shell whose child has just ended takes the key for the child's and goes on: as people do, once more.
    def interrupted() -> bool:
        session.send("\x03")
        session.expect(r"\^C", 30)
        return machine.run(f"ps -o stat= -p {job}", check=False).strip() in ("", "Z")

    wait_for(f"job {job} to be interrupted", interrupted, 60, 1)
    session.expect(r"[$#] ", 30)
    running = answer(session, "jobs -r")
    assert running == "", f"{running}\n{session.text()[-1000:]!r}"
