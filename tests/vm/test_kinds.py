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
import ctypes, fcntl, mmap, os, select, signal, socket, struct, sys, threading, time
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


def wiped(name: str, flags: int, then: str = "", distros: tuple[str, ...] = DISTROS) -> Kind:
    """Memory, mapped with these flags, that a child finds empty: its owner must not."""
    return Kind(name, f"""\
libc.mmap.restype = ctypes.c_void_p
libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
at = libc.mmap(None, 65536, 3, {flags}, -1, 0)
{then}
ctypes.memset(at, 115, 65536)
wait()
say("kept", ctypes.string_at(at, 2))
if os.fork() == 0:
    say("child", ctypes.string_at(at, 2))
    os._exit(0)
os.wait()
""", r"kept b'ss'\s+child b'\\x00\\x00'", distros=distros)


# Threads that wait in calls that need no cure; each says what it answered. A clock's sleep ends behind the jump, at its time.
ENDLESS = """\
r, w = os.pipe()
child = os.fork()
if child == 0:
    os.close(w)
    os.read(r, 1)
    os._exit(7)
p = ctypes.create_string_buffer(struct.pack("ihh", r, 1, 0))
word = ctypes.create_string_buffer(4)
status = ctypes.create_string_buffer(4)
bits = ctypes.create_string_buffer(bytes(bytearray(r // 8)) + bytes([1 << r % 8]), 128)
until = ctypes.create_string_buffer(struct.pack("qq", int(time.monotonic()) + 75, 0))
calls = {
    "select": lambda: libc.select(r + 1, bits, None, None, None),
    "ppoll": lambda: libc.ppoll(p, 1, None, None),
    "wait4": lambda: libc.wait4(child, status, 0, None) == child,
    "futex": lambda: libc.syscall(202, word, 128, 0, None, None, 0),
    "until": lambda: libc.clock_nanosleep(1, 1, until, None),
}
answers = {}
threads = [threading.Thread(target=lambda name=name: answers.update({name: calls[name]()})) for name in calls]
for thread in threads:
    thread.start()
wait()
os.write(w, b"xx")
libc.syscall(202, word, 129, 1, None, None, 0)
for thread in threads:
    thread.join()
say(sorted(answers.items()))
"""

MEMFD = """\
fd = os.memfd_create("x", 0)
os.write(fd, b"#!/bin/true")
wait()
if os.fork() == 0:
    try:
        os.execve(fd, ["true"], {})
    except OSError as error:
        say(error.strerror)
    os._exit(1)
say("ended", os.wait()[1])
"""

# pause(2) by int $0x80, for ever, in an ELF file of 32 bits.
BITS32 = """\
code = bytes.fromhex("b81d000000cd80ebf7")
head = b"\\x7fELF\\1\\1\\1" + bytes(9) + struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, 0x8048054, 52, 0, 0, 52, 32, 1, 0, 0, 0)
load = struct.pack("<8I", 1, 0, 0x8048000, 0x8048000, 84 + len(code), 84 + len(code), 5, 4096)
open("short", "wb").write(head + load + code)
os.chmod("short", 0o755)
say("ready")
os.execv("./short", ["short"])
"""

RESERVED = """\
libc.mmap.restype = ctypes.c_void_p
whole, part = {gib} << 30, 1 << 20
middle = libc.mmap(None, ctypes.c_size_t(whole), 0, 0x22, -1, ctypes.c_long(0)) + whole // 2
def protect(how): assert libc.mprotect(ctypes.c_void_p(middle), ctypes.c_size_t(part), how) == 0
protect(3)
ctypes.memset(middle, 114, part)
protect(0)
def inside():
    protect(1)
    return ctypes.string_at(middle + part - 3, 3)
def child():
    pid = os.fork()
    return pid and os.waitpid(pid, 0)[1] == 0 or os._exit(0)
"""

# A refused kind cannot share the jump: such rows have a level "refused" and are only looked at.
KINDS = [
    interrupted("poll", "libc.poll(p, 1, 1000000)"),
    interrupted("poll-endless", "libc.poll(p, 1, -1)"),
    interrupted("epoll", "libc.epoll_wait(ep.fileno(), event, 1, 1000000)"),
    # It sleeps what was left; its clock goes on a little while it is saved.
    interrupted("nanosleep", 'libc.syscall(35, struct.pack("qq", 150, 0), ctypes.create_string_buffer(16))',
                r"answer 0  after (1[5-9]|20)\d"),
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
signal.alarm(900)
wait()
left = signal.getitimer(signal.ITIMER_REAL)[0]
say("left", 300 < left < 900)
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
    wiped("wiped", 0x22, "assert libc.madvise(at, 65536, 18) == 0"),
    # More than there is, of which a little is in use: of one's own, and shared with a child.
    Kind("reserved", RESERVED.format(gib=400) + """\
wait()
say("kept", inside(), "child", child())
""", "kept b'rrr' child True"),
    Kind("reserved-child", RESERVED.format(gib=32) + """\
if os.fork() == 0:
    wait()
    say("kept", inside(), "child", child())
time.sleep(10**6)
""", "kept b'rrr' child True"),
    Kind("inotify", """\
os.mkdir("/tmp/in")
fd = libc.inotify_init1(0)
assert libc.inotify_add_watch(fd, b"/tmp/in", 0x100) > 0  # IN_CREATE
say("ready")
say("new", os.read(fd, 1000)[16:].rstrip(b"\\0"))
""", "new b'file'", after="touch /tmp/in/file"),
    Kind("inotify-file", """\
open("/dev/shm/watched", "w").close()
fd = libc.inotify_init1(0)
assert libc.inotify_add_watch(fd, b"/dev/shm/watched", 2) > 0  # IN_MODIFY
wait()
""", "", level="refused", note="inotify-file"),
    Kind("inotify-open", """\
f = open("/tmp/watched", "w")
fd = libc.inotify_init1(0)
assert libc.inotify_add_watch(fd, b"/tmp/watched", 2) > 0
say("ready")
say("changed", len(os.read(fd, 1000)))
""", "changed 16", after="echo more >>/tmp/watched"),
    # The pool is empty after the boot, and the number that the restore raises is what it was.
    Kind("hugetlb", """\
open("/proc/sys/vm/nr_hugepages", "w").write("32")
m = mmap.mmap(-1, 16 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000)
m[:] = b"h" * len(m)
wait()
say(m[:3], m[-3:], open("/proc/sys/vm/nr_hugepages").read().strip())
""", "b'hhh' b'hhh' 0", level="degraded", note="huge-pages"),
    Kind("hugetlb-file", """\
open("/proc/sys/vm/nr_hugepages", "w").write("32")
fd = libc.memfd_create(b"huge", 4)
os.ftruncate(fd, 4 << 20)
m = mmap.mmap(fd, 4 << 20)
m[:] = b"f" * len(m)
wait()
say(m[:3], m[-3:])
""", "b'fff' b'fff'", level="degraded", note="huge-pages"),
    Kind("hugetlb-shared", """\
open("/proc/sys/vm/nr_hugepages", "w").write("32")
m = mmap.mmap(-1, 4 << 20, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | 0x40000)
m[:] = b"s" * len(m)
if os.fork() == 0:
    wait()
    m[:3] = b"new"
    say("done")
    os._exit(0)
os.wait()
say(m[:3], m[-3:])
""", "b'new' b'sss'", level="degraded", note="huge-pages"),
    # Each thread has its own; it is read with the number of a thread, too.
    Kind("timer-slack", """\
answers = {}
ring = threading.Event()
libc.prctl(29, 123456, 0, 0, 0)  # PR_SET_TIMERSLACK; then the thread has it, too
def other():
    answers["first"] = libc.prctl(30, 0, 0, 0, 0)  # PR_GET_TIMERSLACK
    libc.prctl(29, 777777, 0, 0, 0)
    ring.wait()
    answers["other"] = libc.prctl(30, 0, 0, 0, 0)
thread = threading.Thread(target=other)
thread.start()
wait()
ring.set()
thread.join()
say(libc.prctl(30, 0, 0, 0, 0), sorted(answers.items()))
""", re.escape("123456 [('first', 123456), ('other', 777777)]")),
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
    Kind("epoll-moved", """\
ep = select.epoll()
fd = os.eventfd(0)
ep.register(fd, select.EPOLLIN)
moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100)
os.close(fd)
wait()
os.eventfd_write(moved, 1)
say("events", len(ep.poll(10)))
""", "events 1"),
    Kind("barriers", """\
for command in 4, 16, 64, 256: assert libc.syscall(324, command, 0, 0) == 0
wait()
say([libc.syscall(324, command, 0, 0) for command in (2, 8, 32, 128)])
""", re.escape("[0, 0, 0, 0]")),
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
    Kind("endless", ENDLESS, re.escape("[('futex', 0), ('ppoll', 1), ('select', 1), ('until', 0), ('wait4', True)]")),
    Kind("32-bit", BITS32, "alive", after="kill -0 $PID && echo alive >>log", level="degraded", note="interrupted-call"),
    Kind("stopped", """\
say("ready")
os.kill(os.getpid(), signal.SIGSTOP)
say("went on")
""", r"state T\s+went on", after="echo $(grep -o 'State:.T' /proc/$PID/status | tr -d ':' | tr S s) >>log; kill -CONT $PID"),
    wiped("droppable", 0x28, distros=("trixie",)),
    Kind("inotify-disk", """\
os.mkdir("in")
fd = libc.inotify_init1(0)
assert libc.inotify_add_watch(fd, b"in", 0x100) > 0
say("ready")
say("new", os.read(fd, 1000)[16:].rstrip(b"\\0"))
""", "new b'file'", after="touch in/file"),
    Kind("inotify-unread", """\
fd = libc.inotify_init1(0)
assert libc.inotify_add_watch(fd, b".", 0x100) > 0
open("before", "w")
wait()
open("after", "w")
say("lost", os.read(fd, 1000)[16:].rstrip(b"\\0"))
""", "lost b'after'", level="degraded", note="inotify-unread"),
    Kind("hung-up", """\
signal.signal(signal.SIGHUP, signal.SIG_IGN)
master, slave = os.openpty()
os.close(master)
wait()
p = select.poll()
p.register(slave, 0)
say("hung up", p.poll() == [(slave, select.POLLHUP | select.POLLERR)])
try:
    os.write(slave, b"x")
except OSError as error:
    say(error.strerror)
""", r"hung up True\s+Input/output error"),
    # As ZDTM's pty00: bytes in its own terminal, also by /dev/tty, with two open files of the slave before the master's, and SIGHUP
    # when it closes the master.
    Kind("own-terminal", """\
signal.signal(signal.SIGHUP, lambda *_: say("hangup"))
master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
libc.grantpt(master)
libc.unlockpt(master)
slave = os.open("/dev/pts/%d" % struct.unpack("i", fcntl.ioctl(master, 0x80045430, bytes(4))), os.O_RDWR)
tty = os.open("/dev/tty", os.O_RDWR)
high = os.dup2(master, 101), os.dup2(slave, 100)
os.close(master)
os.close(slave)
master, slave = high
for _ in range(10):
    os.write(master, b"hello\\n")
wait()
say("was there", [os.read(slave, 6) for _ in range(10)] == [b"hello\\n"] * 10)
os.write(master, b"hello\\n")
say("by tty", os.read(tty, 6))
os.close(master)
say("ends")
""", r"was there True\s+by tty b'hello\\n'\s+hangup\s+ends"),
    # Of a program: its build id is compared.
    Kind("offset", """\
fd = os.open("/proc/self/exe", os.O_RDONLY)
first = os.read(fd, 4)
rest = os.pread(fd, 60, 4)
wait()
say("the rest", first == b"\\x7fELF" and os.read(fd, 60) == rest)
""", "the rest True"),
    Kind("options", """\
s = socket.create_server(("127.0.0.1", 5009))
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 5000)
wait()
say("alive")
""", "alive", level="degraded", note="socket-option"),
    Kind("corked", """\
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_UDP, 1, 1)
wait()
""", "", level="refused", note="udp-corked"),
    Kind("exec-memfd", MEMFD, "ended 0", distros=("trixie",)),
    Kind("exec-memfd", MEMFD, r"Text file busy\s+ended 256", level="degraded", note="memfd-program", distros=("bookworm",)),
    Kind("tail", "#!/bin/sh\ntouch data\necho ready\nexec tail -f data\n", "more", after="echo more >>data"),
    # It sleeps whole anew. The last one, so that nobody waits for it.
    interrupted("usleep", "libc.usleep(150000000)", r"answer 0  after \d+"),
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
    setsid ./program </dev/null >>log 2>&1 &  # what is written into it here must not be written over
    echo $! >pid
done
exec sleep infinity
""", "755")
    machine.run(f"systemd-run --unit=kinds --property=KillMode=process {TOP}/all")
    wait_for("all to be ready", lambda: len(machine.run(f"cd {TOP} && grep -l ready */log", check=False).split()) == len(kinds), 120, 0.5)
    found = machine.run(f"cd {TOP}; for d in */; do echo ${{d%/}} $(cat $d/pid); done")
    return {name: int(pid) for name, pid in (line.split() for line in found.splitlines())}


def said(machine: Machine, kind: Kind) -> str:
    return machine.run(f"cat {TOP}/{kind.name}/log", check=False)


def verdicts(machine: Machine) -> dict[str, dict]:
    """What `carryover check` says of each."""
    text = machine.run(f"cd {TOP}; for d in */; do echo $d; carryover check --json=short pid:$(cat $d/pid); done", check=False, timeout=300)
    lines = text.splitlines()
    return {name.rstrip("/"): json.loads(tree)["trees"][0] for name, tree in zip(lines[::2], lines[1::2])}


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
        wait_for(f"{kind.name} to answer", lambda: pattern.search(said(machine, kind)), 150, 0.5)
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
    trees = verdicts(machine)
    for kind in kinds:
        verdict_is_right(kind, distro, trees[kind.name])
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
