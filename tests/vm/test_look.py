# SPDX-License-Identifier: GPL-2.0-or-later
"""
A user who is not root makes whoever looks at his processes wait: 200 of them that share 19,000 descriptors, and one that
waits for a page of a file system of his own with the lock on its mappings in hand, and calls itself sshd. As long as neither is
kept, check and reboot answer as if they were not there; kept, they are refused, and root's session is carried without them.
"""

from __future__ import annotations

import re
import time

import pytest

from conftest import Lab
from lab import check
from lab.machine import Machine
from lab.util import wait_for

CROWD = r'''
import ctypes, os, resource, signal
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(15, b"a-crowd", 0, 0, 0)
resource.setrlimit(resource.RLIMIT_NOFILE, (19100, 19100))
for _ in range(19000):
    os.dup(0)
for _ in range(200):
    if libc.syscall(56, 0x400 | signal.SIGCHLD, 0, 0, 0, 0) == 0:
        while True:
            libc.pause()
open("/home/joe/ready-crowd", "w").close()
while True:
    libc.pause()
'''

# One thread reads a page of the mount by /proc/self/mem, which holds the lock on the mappings; another one waits for it.
SILENT = r'''
import ctypes, mmap, os, socket, struct, threading, time
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
ours, theirs = socket.socketpair()
if os.fork() == 0:
    libc.prctl(15, b"a-server", 0, 0, 0)
    if libc.unshare(0x10000000 | 0x00020000) != 0:
        os._exit(1)
    for file, text in (("setgroups", "deny"), ("uid_map", "0 1000 1"), ("gid_map", "0 1000 1")):
        with open("/proc/self/" + file, "w") as out:
            out.write(text)
    device = os.open("/dev/fuse", os.O_RDWR)
    open("/home/joe/point", "w").close()
    options = f"fd={device},rootmode=100000,user_id=0,group_id=0".encode()
    if libc.mount(b"silent", b"/home/joe/point", b"fuse", 6, options) != 0:
        os._exit(2)
    def serve():
        while True:
            asked = os.read(device, 1 << 18)
            opcode, unique = struct.unpack_from("=IQ", asked, 4)
            if opcode == 26:
                body = struct.pack("IIIIHHII", 7, 31, 0, 0, 0, 0, 4096, 1).ljust(64, b"\0")
            elif opcode == 3:
                body = struct.pack("QII", 1000, 0, 0) + struct.pack("6Q10I", 1, 4096, 8, 0, 0, 0, 0, 0, 0, 0o100644, 1, 0, 0, 0, 4096, 0)
            elif opcode == 14:
                body = bytes(16)
            elif opcode == 15:
                open("/home/joe/asked", "w").close()
                continue
            else:
                os.write(device, struct.pack("IiQ", 16, -38, unique))
                continue
            os.write(device, struct.pack("IiQ", 16 + len(body), 0, unique) + body)
    threading.Thread(target=serve, daemon=True).start()
    file = os.open("/home/joe/point", os.O_RDONLY)
    os.fstat(file)
    socket.send_fds(theirs, [b"x"], [file])
    while True:
        time.sleep(1000)
theirs.close()
file = socket.recv_fds(ours, 1, 1)[1][0]
page = libc.mmap(None, 4096, 1, 2, file, 0)
os.close(file)
libc.prctl(15, b"sshd", 0, 0, 0)
memory = os.open("/proc/self/mem", os.O_RDONLY)
threading.Thread(target=lambda: os.pread(memory, 1, page), daemon=True).start()
while not os.path.exists("/home/joe/asked"):
    time.sleep(0.1)
threading.Thread(target=lambda: libc.mmap(None, 4096, 1, 0x22, -1, 0), daemon=True).start()
time.sleep(100000)
'''

CONF = """[Carryover]
MaxFiles=4000
CriuTimeoutSec=40
"""


def timed(machine: Machine, command: str, limit: float) -> str:
    begin = time.monotonic()
    said = machine.run(f"{command} 2>&1; echo \"status $?\"", timeout=60)
    took = time.monotonic() - begin
    print(f"  {command}: {took:.1f} s, {said.splitlines()[-1]}")
    assert took < limit, (command, took, said)
    return said


@pytest.mark.thorough
def test_look(lab: Lab) -> None:
    machine = lab.machine("bookworm", "netns")
    machine.write("/etc/carryover/carryover.conf.d/look.conf", CONF)
    root, joe = machine.session("root"), machine.session("joe")
    old = check.before(machine, root)
    joes = check.before(machine, joe)
    ticks = check.counter(root)
    machine.run("modprobe fuse; mkdir -p /etc/security/limits.d; rm -f /home/joe/ready-crowd /home/joe/asked")
    machine.write("/home/joe/crowd.py", CROWD)
    machine.write("/home/joe/silent.py", SILENT)
    for name in ("crowd", "silent"):
        check.answer(joe, f"ulimit -n 19100; setsid python3 /home/joe/{name}.py </dev/null >{name}.log 2>&1 & true")
    wait_for("the crowd", lambda: machine.run("ls /home/joe/ready-crowd", check=False).strip(), 120, 1)
    wait_for("the silent one", lambda: machine.run("grep -l ') D ' /proc/[0-9]*/task/*/stat 2>/dev/null | xargs -r "
                                                   "grep -l '(sshd)\\|(python3)'", check=False).strip(), 60, 1)

    print("\nnobody of them is kept:")
    machine.run(f"carryover keep session:{old.number}")
    said = timed(machine, f"carryover check session:{old.number}", 10)
    assert "status 0" in said, said
    timed(machine, "carryover check", 10)

    print("\njoe is kept:")
    machine.write("/etc/carryover/carryover.conf.d/look.conf", CONF + "KeepSshSessions=yes\n")
    said = " ".join(timed(machine, f"carryover check session:{joes.number}", 20).split())
    assert re.search(r"this tree has more than 4000 files open", said), said
    assert re.search(r"reading sshd \(\d+\) timed out", said), said
    said = timed(machine, "carryover reboot", 20)
    assert "not rebooted" in said and "status 4" in said, said

    root.send_line("carryover reboot --yes --force; echo \"returned\" $?.")
    code = root.expect(r"returned (\d+)\.", 400).group(1)
    print(f"\n`carryover reboot --force` returned {code}")
    root.expect(r"[$#] ", 60)
    check.same_session(root, old)
    ticks.goes_on()
    print(f"root's session counted to {ticks.check()}")
    check.other_boot(machine, old)
    report = check.status(machine)
    for tree in report["trees"]:
        print(f"  {tree['comm']}: {tree['state']}, {tree['reason']}")
    assert {tree["state"] for tree in report["trees"] if tree["uid"] == 0} == {"carried"}
    assert any("timed out" in (tree["reason"] or "") for tree in report["trees"])
    check.no_hold(machine)
