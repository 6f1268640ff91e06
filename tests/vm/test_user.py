# SPDX-License-Identifier: GPL-2.0-or-later
"""
A user who is not root and means harm. joe's session is kept; in it, and in jobs of his that run at the next boot before anything
is restored and as soon as his files are back, he tries to read the store, to have root give him what is not his, to take the
others down with him, and to hold up the shutdown. Each is refused with a reason, and root's session counts through all of it.
"""

from __future__ import annotations

import re

import pytest

from conftest import Lab
from lab import check
from lab.machine import Machine
from lab.util import wait_for

# One way for each job, which calls itself "a-WAY"; each is a tree of its own.
ATTACK = r'''
import ctypes, os, resource, signal, socket, sys, time
way, home, libc = sys.argv[1], os.path.expanduser("~"), ctypes.CDLL(None, use_errno=True)

def name(text):
    libc.prctl(15, ctypes.c_char_p(text), 0, 0, 0)

def own_file(path, size, mode):
    with open(path, "wb") as file:
        file.write(b"j" * size)
    os.chmod(path, mode)

def fuse():
    """A FUSE mount in a user namespace whose server never answers; the descriptor comes out."""
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        if libc.unshare(0x10000000 | 0x00020000) != 0:
            os._exit(1)
        for file, text in (("setgroups", "deny"), ("uid_map", "0 1000 1"), ("gid_map", "0 1000 1")):
            with open("/proc/self/" + file, "w") as out:
                out.write(text)
        device = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
        if libc.mount(b"hang", b"/mnt", b"fuse", 6, options) != 0:
            os._exit(2)
        root = os.open("/mnt", os.O_PATH | os.O_DIRECTORY)
        socket.send_fds(theirs, [b"x"], [root])
        signal.pause()
    return socket.recv_fds(ours, 1, 1)[1]

name(b"a-" + way.encode())
if way == "link":
    own_file(home + "/data", os.stat("/etc/shadow").st_size, 0o640)
    held = open(home + "/data", "r+b")
elif way == "rename":
    own_file(home + "/other", os.stat(home + "/roots").st_size, 0o600)
    held = open(home + "/other", "rb")
elif way == "socket":
    os.mkdir(home + "/d")
    held = socket.socket(socket.AF_UNIX)
    held.bind(home + "/d/system_bus_socket")
    held.listen()
elif way == "ghost":
    os.mkdir(home + "/g")
    held = open(home + "/g/ld.so.preload", "w+")
    held.write("/home/joe/evil.so\n")
    os.unlink(home + "/g/ld.so.preload")
elif way == "shmsocket":
    os.makedirs("/dev/shm/us/d")
    held = socket.socket(socket.AF_UNIX)
    held.bind("/dev/shm/us/d/system_bus_socket")
    held.listen()
elif way == "shmghost":
    os.makedirs("/dev/shm/ug/g")
    held = open("/dev/shm/ug/g/ld.so.preload", "w+")
    held.write("/home/joe/evil.so\n")
    os.unlink("/dev/shm/ug/g/ld.so.preload")
elif way == "dots":
    held = socket.socket(socket.AF_UNIX)
    held.bind("/proc/../tmp/dots")
    held.listen()
elif way in ("procmem", "escape"):
    parent = os.getpid()
    if os.fork() == 0:
        held = open(f"/proc/{parent}/mem", "r+b", buffering=0)
        if way == "escape":
            name(b"\x1b[31m\n<0>evil\x07")
        signal.pause()
elif way == "runfile":
    held = open("/run/roots")
elif way == "relative":
    held = socket.socket(socket.AF_UNIX)
    held.bind("system_bus_socket")
    os.chdir("/run/dbus")
elif way == "fuse":
    held = fuse()
elif way == "memory":
    held = os.memfd_create("large")
    for _ in range(450):
        os.write(held, b"x" * (1 << 20))
elif way == "crowd":
    for _ in range(300):
        if os.fork() == 0:
            signal.pause()
elif way == "files":
    resource.setrlimit(resource.RLIMIT_NOFILE, (8000, 8000))
    held = [os.open(home, os.O_RDONLY) for _ in range(5000)]
elif way == "vfork":
    if libc.vfork() == 0:
        time.sleep(100000)
elif way == "traced":
    if os.fork() == 0:
        libc.ptrace(0, 0, 0, 0)
        signal.pause()
elif way == "stopped":
    open(home + "/ready-" + way, "w").close()
    os.kill(os.getpid(), signal.SIGSTOP)
open(home + "/ready-" + way, "w").close()
time.sleep(100000)
'''

# As joe, before anything is restored: what his programs had open leads to what is root's.
SWAP = """#!/bin/sh
cd /home/joe || exit 1
ln -sf /etc/shadow data
mv -f roots other
mv d d.away && ln -s /run/dbus d
mv g g.away && ln -s /etc g
id -un > swapped
"""

SWAP_UNIT = """[Unit]
DefaultDependencies=no
After=local-fs.target carryover-early.service
Before=carryover-restore.service
[Service]
Type=oneshot
User=joe
ExecStart=/home/joe/swap
[Install]
WantedBy=sysinit.target
"""

# As joe, behind that: as soon as what he had in /dev/shm is his again, and before CRIU comes there. Links in /dev/shm itself the kernel
# does not follow, so they lie in directories of his.
SWAP_LATER = r'''
import ctypes, os, socket
libc, left = ctypes.CDLL(None, use_errno=True), {"us/d": "/run/dbus", "ug/g": "/etc"}
watch = libc.inotify_init1(0)
assert libc.inotify_add_watch(watch, b"/dev/shm", 0x4 | 0x100) >= 0  # attributes, new names
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
    notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
while left:
    for name, target in list(left.items()):
        try:
            os.rename(f"/dev/shm/{name}", f"/dev/shm/{name}.away")
            os.symlink(target, f"/dev/shm/{name}")
            del left[name]
        except OSError:
            pass  # not there yet, or not his
    if left:
        os.read(watch, 4096)
with open("/home/joe/swapped-later", "w") as file:
    file.write("yes")
'''

SWAP_LATER_UNIT = """[Unit]
DefaultDependencies=no
After=local-fs.target
Before=carryover-restore.service
[Service]
Type=notify
User=joe
Nice=-20
ExecStart=/usr/bin/python3 /home/joe/swap-later.py
[Install]
WantedBy=sysinit.target
"""

CONF = """[Carryover]
KeepSshSessions=yes
MaxUsePerUser=400M
MaxProcesses=200
MaxFiles=4000
CriuTimeoutSec=40
"""

# What preflight says of each job, before anything is touched.
REFUSED = {
    "procmem": r"a-procmem \(\d+\) has /proc/\d+/mem open, which belongs to another process",
    "escape": r"\?\[31m\?<0>evil\? \(\d+\) has /proc/\d+/mem open",
    "runfile": r"has /run/roots open, which belongs to another user",
    "relative": r"has a socket bound as system_bus_socket",
    "dots": r"has a socket bound as /proc/\.\./tmp/dots",
    "fuse": r"a-fuse \(\d+\) has a file open that root cannot read",
    "memory": r"the trees of user 1000 need about \d+ MiB in the store; the limit for each user is 400 MiB",
    "crowd": r"this tree has 301 processes; the limit is 200",
    "files": r"this tree has more than 4000 files open, which is the limit",
    "traced": r"is traced by a-traced",
}

# What becomes of the others: saved, and refused when they come back to something that is root's.
FAILED = {
    "link": r"Can't open file home/joe/data on restore: Too many levels of symbolic links",
    "rename": r"would get /home/joe/other, which is not the file it had open",
    "socket": r"Can't bind .* addr /home/joe/d/system_bus_socket: Too many levels of symbolic links",
    "ghost": r"Can't create ghost regfile: Too many levels of symbolic links",
    "shmsocket": r"Can't bind .* addr /dev/shm/us/d/system_bus_socket: Too many levels of symbolic links",
    "shmghost": r"Can't create ghost regfile: Too many levels of symbolic links",
}
WAYS = [*REFUSED, *FAILED, "vfork", "stopped"]


def nothing_to_see(machine: Machine) -> None:
    """The store, the keep list and the progress are root's alone, also to be listed and to be written to."""
    for words in ("ls /var/lib/carryover", "cat /var/lib/carryover/report", "ls /run/carryover", "cat /run/carryover/keep",
                  "touch /run/carryover/request", "mkfifo /run/carryover/progress", "ln -s /etc /var/lib/carryover/save"):
        said = machine.run(f"{words} 2>&1; echo $?", user="joe").strip()
        print(f"  joe: {words}: {said.splitlines()[0]}")
        assert "Permission denied" in said and not said.endswith("\n0"), said


def attack(machine: Machine) -> str:
    """joe's jobs, each out of the session's own tree but in its scope; the session's number."""
    machine.run("install -m 600 /dev/null /home/joe/roots; echo secret of root >/home/joe/roots; echo root >/run/roots; modprobe fuse")
    machine.write("/home/joe/attack.py", ATTACK)
    machine.write("/home/joe/swap", SWAP, "755")
    machine.write("/etc/systemd/system/swap.service", SWAP_UNIT)
    machine.write("/home/joe/swap-later.py", SWAP_LATER)
    machine.write("/etc/systemd/system/swap-later.service", SWAP_LATER_UNIT)
    machine.run("chown joe: /home/joe/*.py /home/joe/swap; systemctl enable -q swap.service swap-later.service")
    return "; ".join(f"setsid python3 attack.py {way} </dev/null >{way}.log 2>&1 &" for way in WAYS).replace("&;", "&")


def no_escape(what: str, text: str) -> None:
    """No byte of it steers a terminal."""
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\x9b]", text.replace("\r\n", "\n")), f"{what}: {text!r}"


@pytest.mark.thorough
def test_user(lab: Lab) -> None:
    machine = lab.machine("bookworm", "netns")
    machine.write("/etc/carryover/carryover.conf.d/user.conf", CONF)
    root, joe = machine.session("root"), machine.session("joe")
    old = check.before(machine, root)
    joes = check.before(machine, joe)
    ticks = check.counter(root)
    print("\nwhat is root's:")
    machine.run("carryover list", check=False)  # makes what is not there yet
    nothing_to_see(machine)

    jobs = attack(machine)
    machine.write("/home/joe/jobs", jobs + "\n")
    check.answer(joe, ". ./jobs")
    wait_for("joe's jobs", lambda: len(machine.run("ls /home/joe/ready-*", check=False).split()) >= len(WAYS) - 1 and
             machine.run("pgrep -c a-vfork", check=False).strip() == "2", 400, 1)
    shadow = machine.run("stat -c '%U %a %s %Y %i' /etc/shadow; sha256sum /etc/shadow")

    print("\nbefore:")
    said = machine.run(f"carryover check session:{joes.number}", check=False, timeout=120)
    no_escape("check", said)
    told = " ".join(said.split())
    for way, pattern in REFUSED.items():
        found = re.search(pattern, told)
        print(f"  {way}: {found.group(0) if found else None}")
        assert found, f"{way} is not refused: {said}"

    root.send_line("carryover reboot --yes --force; echo \"returned\" $?.")
    code = root.expect(r"returned (\d+)\.", 400).group(1)
    print(f"\n`carryover reboot --force` returned {code}")
    root.expect(r"[$#] ", 60)
    check.same_session(root, old)
    ticks.goes_on()
    print(f"root's session counted to {ticks.check()}")
    check.other_boot(machine, old)
    check.same_session(joe, joes)

    report = check.status(machine)
    trees = {tree["comm"]: tree for tree in report["trees"]}
    states = {comm: (tree["state"], tree["reason"]) for comm, tree in trees.items()}
    for comm, state in states.items():
        print(f"  {comm}: {state}")
    assert machine.run("cat /home/joe/swapped").strip() == "joe"
    assert machine.run("cat /home/joe/swapped-later") == "yes"
    for way in REFUSED:
        assert states[f"a-{way}"][0] == "left", way
    for way, pattern in FAILED.items():
        assert states[f"a-{way}"][0] == "failed" and re.search(pattern, states[f"a-{way}"][1]), (way, states[f"a-{way}"])
    assert states["a-vfork"][0] == "left" and states["a-stopped"][0] == "carried"

    # Nothing is joe's that was not, and nothing of his lies where it must not.
    assert machine.run("stat -c '%U %a %s %Y %i' /etc/shadow; sha256sum /etc/shadow") == shadow
    assert machine.run("find /etc /usr /run/dbus /var/lib/carryover -user joe") == ""
    assert machine.run("ls -d /etc/ld.so.preload* /etc/*.ghost 2>/dev/null", check=False) == ""
    assert machine.run("stat -c %U /run/dbus/system_bus_socket").strip() == "root"
    machine.run("busctl --system list >/dev/null")
    assert machine.run("cat /home/joe/other").strip() == "secret of root"
    saving = [step for step in report["steps"] if step["name"].startswith("save.") and not step["after_jump"]]
    took = (max(s["monotonic_usec"] + s["duration_usec"] for s in saving) - min(s["monotonic_usec"] for s in saving)) / 1e6
    print(f"the save took {took:.1f} s; CriuTimeoutSec=40, SettleTimeoutSec=20")
    assert took < 100
    no_escape("status", machine.run("carryover status --no-pager", check=False))
    no_escape("journal", machine.run("journalctl -q -a -o cat -b -1 -u carryover | cat"))
    check.no_hold(machine)
