# SPDX-License-Identifier: GPL-2.0-or-later
"""
One row for each kind of thing that a program can be doing (docs/KINDS.md): a small program, what `carryover check` says of
it, and what it says itself behind one jump that all of them share. No row ends with "ok" and a loss.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

import pytest

from conftest import Lab
from lab import check
from lab.images import DISTROS
from lab.machine import Machine
from lab.util import turn, wait_for

TOP = "/root/kinds"

# What each program in Python begins with. It says "ready" when it is in place, and waits for a line in its FIFO `wake`.
PREAMBLE = """\
import ctypes, mmap, os, select, signal, socket, struct, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
os.path.exists("wake") or os.mkfifo("wake")
wake = os.open("wake", os.O_RDWR)
def say(*words): print(*words, flush=True)
def wait():
    say("ready")
    os.read(wake, 100)
"""


@dataclass(frozen=True)
class Kind:
    """`after` is run in the program's directory behind the jump, with its number in $PID; then its log ends like `says`."""

    name: str
    program: str  # Python behind PREAMBLE, or a script with its own "#!"
    says: str  # regular expression
    after: str = "timeout 10 sh -c 'echo x >wake'"
    before: str = ":"  # run as soon as it is ready
    level: str | dict[str, str] = "ok"  # of the verdict; by distribution where they differ
    note: str = ""  # `what` of a note that the verdict must have, "" for none
    distros: tuple[str, ...] = field(default=DISTROS)

    def level_on(self, distro: str) -> str:
        return self.level if isinstance(self.level, str) else self.level[distro]


def interrupted(name: str, call: str, says: str = r"answer 1  after \d+") -> Kind:
    """A call of libc's, which Python would begin again by itself, in a program that waits at the end of its FIFO."""
    return Kind(name, f"""\
p = ctypes.create_string_buffer(struct.pack("ihh", wake, 1, 0))
ep = select.epoll()
ep.register(wake, select.EPOLLIN)
event = ctypes.create_string_buffer(64)
begun = time.monotonic()
say("ready")
r = {call}
say("answer", r, os.strerror(ctypes.get_errno()) if r < 0 else "", "after", int(time.monotonic() - begun))
""", says)


# A refused kind cannot share the jump: such rows have a level "refused" and are only looked at.
KINDS = [
    interrupted("poll", "libc.poll(p, 1, 1000000)"),
    interrupted("poll-endless", "libc.poll(p, 1, -1)"),
    interrupted("epoll", "libc.epoll_wait(ep.fileno(), event, 1, 1000000)"),
    # It sleeps what was left; its clock goes on a little while it is saved. usleep() sleeps whole anew, 114 s in all.
    interrupted("nanosleep", 'libc.syscall(35, struct.pack("qq", 75, 0), ctypes.create_string_buffer(16))',
                r"answer 0  after (7[5-9]|8\d|9\d)"),
    interrupted("usleep", "libc.usleep(75000000)", r"answer 0  after \d+"),
    # Stopped while it rings. Three reads in a row, of which the first may find what was waiting.
    Kind("timerfd", """\
fd = libc.timerfd_create(1, 0)
assert libc.timerfd_settime(fd, 0, struct.pack("qqqq", 1, 0, 1, 0), None) == 0
select.select([fd], [], [])
wait()
ticks = [struct.unpack("Q", os.read(fd, 8))[0] > 0 for _ in range(3)]
say(ticks)
""", r"\[True, True, True\]"),
    Kind("alarm", """\
signal.signal(signal.SIGALRM, lambda *_: say("rang"))
signal.alarm(600)
wait()
left = signal.getitimer(signal.ITIMER_REAL)[0]
say("left", 300 < left < 600)
signal.setitimer(signal.ITIMER_REAL, 2)
signal.pause()
""", r"left True\s+rang"),
    Kind("alarm-rings", """\
signal.signal(signal.SIGALRM, lambda *_: say("rang", int(time.monotonic() - begun)))
begun = time.monotonic()
signal.alarm(75)
say("ready")
signal.pause()
time.sleep(10**6)
""", r"rang 7[5-9]", after=":"),
    Kind("wiped", """\
libc.mmap.restype = ctypes.c_void_p
libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
at = libc.mmap(None, 65536, 3, 0x22, -1, 0)
assert libc.madvise(at, 65536, 18) == 0
ctypes.memset(at, 115, 65536)
wait()
say("kept", ctypes.string_at(at, 2))
if os.fork() == 0:
    say("child", ctypes.string_at(at, 2))
    os._exit(0)
os.wait()
""", r"kept b'ss'\s+child b'\\x00\\x00'"),
    Kind("inotify", """\
os.mkdir("/tmp/in")
fd = libc.inotify_init1(0)
assert libc.inotify_add_watch(fd, b"/tmp/in", 0x100) > 0  # IN_CREATE
say("ready")
say("new", os.read(fd, 1000)[16:].rstrip(b"\\0"))
""", "new b'file'", after="touch /tmp/in/file"),
    # The pool is empty after the boot. The restore would let the kernel make more (restore/huge.c), but no jump has shown it yet.
    Kind("hugetlb", """\
open("/proc/sys/vm/nr_hugepages", "w").write("16")
m = mmap.mmap(-1, 16 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000)
m[:] = b"h" * len(m)
wait()
say(m[:3], m[-3:], open("/proc/sys/vm/nr_overcommit_hugepages").read().strip())
""", "b'hhh' b'hhh' 0", level="refused", note="huge-pages"),
    # What is named or refused before.
    Kind("multicast", """\
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 5007))
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.1.2.3") + socket.inet_aton("127.0.0.1"))
wait()
say("alive")
""", "alive", level="degraded", note="multicast"),
    Kind("udp", """\
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 5008))
wait()
say("alive")
""", "alive"),
    Kind("syslog", """\
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect("/dev/log")
wait()
say("sent", s.send(b"<14>kinds"))
""", "sent 9"),
    Kind("journal", "#!/bin/sh\necho ready\nexec journalctl -f -n 0 >/dev/null\n", "alive",
         after="kill -0 $PID && echo alive >>log", level="degraded", note="journal-reader"),
    Kind("bus", "#!/bin/sh\necho ready\nexec dbus-monitor --system >/dev/null\n", "", after=":", level="degraded",
         note="bus-exit"),
    Kind("epoll-shared", """\
ep = select.epoll()
if os.fork() == 0:
    a, b = socket.socketpair()
    ep.register(a.fileno(), select.EPOLLIN)
    wait()
time.sleep(10**6)
""", "", level="refused", note="epoll-shared"),
    Kind("trap", """\
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTRAP])
os.kill(os.getpid(), signal.SIGTRAP)
wait()
""", "", level="refused", note="pending-trap"),
    Kind("in-flight", """\
a, b = socket.socketpair()
socket.send_fds(a, [b"x"], [0, 1])
wait()
""", "", level="refused", note="files-in-flight"),
    Kind("ktls", """\
os.system("modprobe tls")
listener = socket.create_server(("127.0.0.1", 7443))
c = socket.create_connection(("127.0.0.1", 7443))
c.setsockopt(socket.IPPROTO_TCP, 31, b"tls")
wait()
""", "", level="refused", note="tcp-ulp"),
    Kind("tail", "#!/bin/sh\ntouch data\necho ready\nexec tail -f data\n", "more", after="echo more >>data"),
]


def of(distro: str) -> list[Kind]:
    return [kind for kind in KINDS if distro in kind.distros]


def start(machine: Machine, kinds: list[Kind]) -> dict[str, int]:
    """Each in a session of its own, all in one unit; their numbers."""
    for kind in kinds:
        program = kind.program if kind.program.startswith("#!") else f"#!/usr/bin/python3 -u\n{PREAMBLE}{kind.program}"
        machine.run(f"mkdir -p {TOP}/{kind.name}")
        machine.write(f"{TOP}/{kind.name}/program", program, "755")
    machine.write(f"{TOP}/all", f"""\
#!/bin/sh
for d in {TOP}/*/; do
    cd $d
    setsid ./program </dev/null >log 2>&1 &
    echo $! >pid
done
exec sleep infinity
""", "755")
    machine.run(f"systemd-run --unit=kinds --property=KillMode=process {TOP}/all")
    for kind in kinds:
        wait_for(f"{kind.name} to be ready", lambda: "ready" in said(machine, kind), 60, 0.5)
    for kind in kinds:
        machine.run(f"cd {TOP}/{kind.name}; PID=$(cat pid); {kind.before}")
    found = machine.run(f"cd {TOP}; for d in */; do echo ${{d%/}} $(cat $d/pid); done")
    return {name: int(pid) for name, pid in (line.split() for line in found.splitlines())}


def said(machine: Machine, kind: Kind) -> str:
    return machine.run(f"cat {TOP}/{kind.name}/log", check=False)


def verdict(machine: Machine, kind: Kind, pid: int) -> dict:
    """What `carryover check` says of it."""
    text = machine.run(f"carryover check --json=short pid:{pid}", check=False)
    return json.loads(text)["trees"][0]


def verdict_is_right(kind: Kind, distro: str, tree: dict) -> None:
    notes = [note["what"] for note in tree["notes"]]
    print(f"{kind.name}: {tree['level']} {notes}")
    assert tree["level"] == kind.level_on(distro), f"{kind.name}: {tree['level']}: {tree['notes']}"
    assert not kind.note or kind.note in notes or tree["level"] == "ok", f"{kind.name}: {notes}"


def came_back(machine: Machine, kind: Kind, pid: int) -> str:
    """What is wrong with it; empty: nothing."""
    print(machine.run(f"cd {TOP}/{kind.name}; PID={pid}; {kind.after}; true", check=False), end="")
    pattern = re.compile(rf"(?:{kind.says})\s*\Z")
    try:
        wait_for(f"{kind.name} to answer", lambda: pattern.search(said(machine, kind)), 60, 0.5)
    except Exception:  # all are heard before one is a failure
        return f"{kind.name}: {said(machine, kind)[-300:]!r}, and not {kind.says!r}"
    print(f"{kind.name}: {said(machine, kind).splitlines()[-1]}")
    return ""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """On one release, by the commit; the other one is marked thorough."""
    chosen = DISTROS[turn() % len(DISTROS)]
    metafunc.parametrize("distro", [pytest.param(distro, marks=[] if distro == chosen else pytest.mark.thorough) for distro in DISTROS])


def test_kinds(lab: Lab, distro: str) -> None:
    machine = lab.machine(distro)
    machine.one_login = True
    session = machine.session()
    old = check.before(machine, session)
    kinds = of(distro)
    pids = start(machine, kinds)
    for kind in kinds:
        verdict_is_right(kind, distro, verdict(machine, kind, pids[kind.name]))
    carried = [kind for kind in kinds if kind.level_on(distro) != "refused"]
    machine.run("; ".join(f"carryover keep pid:{pids[kind.name]}" for kind in carried), check=False, timeout=200)
    stop_a_job(session)
    check.reboot(session, timeout=400)
    check.same_session(session, old)
    check.other_boot(machine, old)
    states = {tree["name"]: tree["state"] for tree in check.status(machine)["trees"]}
    assert set(states.values()) == {"carried"} and len(states) == len(carried) + 1, check.status(machine)
    wrong = [text for kind in carried if (text := came_back(machine, kind, pids[kind.name]))]
    assert not wrong, "\n".join(wrong)
    the_job_goes_on(session)


def stop_a_job(session) -> None:
    """By Ctrl-Z, as everybody does."""
    session.send_line("sh -c 'echo list''ens; read line; echo heard-$line-'")
    session.expect(r"listens")
    session.send("\x1a")
    session.expect(r"Stopped")
    session.expect(r"[$#] ")
    session.send_line("cat &")  # reads the terminal from the background
    session.expect(r"\[2\]")


def the_job_goes_on(session) -> None:
    status, text = session.command("jobs -l")
    print(text)
    assert status == 0 and re.search(r"\[1\].*Stopped", text) and re.search(r"\[2\].*Stopped", text), text
    session.send_line("fg %1")
    session.expect(r"heard-.*\r\n")  # the shell names the job
    session.send_line("word")
    session.expect(r"heard-word-")
