# SPDX-License-Identifier: GPL-2.0-or-later
"""
Files that no boot brings: Debian 13 has /tmp in memory, Debian 12 has it on a disk and empties it at boot; /run/user and
/dev/shm are in memory everywhere. What a session has there goes along.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from conftest import Lab
from lab import check
from lab.machine import Machine
from lab.ssh import SshSession
from lab.util import wait_for

# Holds files of each kind, and says how they are whenever it gets a signal. Nobody else reads its FIFO.
HOLDER = r'''
import mmap, os, signal
runtime_path = os.environ["XDG_RUNTIME_DIR"] + "/private/state"
os.mkdir(os.path.dirname(runtime_path), 0o700)
os.makedirs("/tmp/joe/deep", 0o2750)
os.makedirs("/tmp/joe-gone/cwd")

data = open("/tmp/joe/deep/data", "w+b", buffering=0)
data.write(b"begin")
os.pwrite(data.fileno(), b"end", 50 << 20)
os.setxattr(data.fileno(), "user.origin", b"\0carried\xff")
os.chmod("/tmp/joe/deep/data", 0o604)
os.utime("/tmp/joe/deep/data", ns=(1234567890123456789, 1234567890987654321))
os.link("/tmp/joe/deep/data", "/tmp/joe/second")
second = open("/tmp/joe/second", "rb")
shared = open("/dev/shm/joe", "w+b")
shared.truncate(1 << 20)
shared = mmap.mmap(shared.fileno(), 1 << 20)
runtime = open(runtime_path, "w+b", buffering=0)
runtime.write(b"state")
os.mkfifo("/tmp/joe/fifo", 0o620)
fifo = open("/tmp/joe/fifo", "r+b", buffering=0)
fifo.write(b"waiting")
shared[4096:4102] = b"mapped"
os.chdir("/tmp/joe-gone/cwd")
os.rmdir("/tmp/joe-gone/cwd")
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
print("holding", os.getpid(), flush=True)

signal.sigwait({signal.SIGUSR1})
shared[0:1] = b"!"
same = [os.path.samestat(os.fstat(data.fileno()), os.stat(path)) for path in ("/tmp/joe/deep/data", "/tmp/joe/second")]
with open(os.path.expanduser("~/answer"), "w") as answer:
    print(os.pread(data.fileno(), 5, 0), os.pread(second.fileno(), 3, 50 << 20), os.getxattr(data.fileno(), "user.origin"),
          same, bytes(shared[4096:4102]), os.pread(runtime.fileno(), 5, 0), fifo.read(8),
          open("/dev/shm/joe", "rb").read(1), os.readlink("/proc/self/cwd").endswith(" (deleted)"), "told", file=answer)
signal.sigwait({signal.SIGUSR1})
'''

TOLD = r"b'begin' b'end' b'\x00carried\xff' [True, True] b'mapped' b'state' b'waiting!' b'!' True told"

# In the session, because what it types must not be longer than a line of its terminal.
AGENT = r"""eval $(ssh-agent)
ssh-keygen -q -t ed25519 -N '' -C carried -f ~/id && ssh-add ~/id
agent() { echo $SSH_AUTH_SOCK; stat -c '%F %u:%g %a' $SSH_AUTH_SOCK $(dirname $SSH_AUTH_SOCK); }
"""

NAMES = "/tmp/joe /tmp/joe/deep /tmp/joe/deep/data /tmp/joe/second /tmp/joe/fifo /tmp/joe-gone /dev/shm/joe " \
    "/run/user/1000 /run/user/1000/private /run/user/1000/private/state /tmp/tmux-1000 /tmp/tmux-1000/default"


def names(machine: Machine) -> list[str]:
    """Kind, owner, mode, size and time of change of all of it, but of no time that CRIU itself moves: it binds sockets
    again and removes directories again."""
    found = machine.run(f"stat -c '%n %F %u:%g %a %s %y' {NAMES}").splitlines()
    moved = ("/tmp/joe-gone ", "/run/user/1000 ", "/tmp/tmux-1000")
    return [" ".join(line.split()[:-3]) if line.startswith(moved) else line for line in found]


def attach(session: SshSession, sum_of: int) -> None:
    """Into the tmux server and out again; the shell in it is the one that knows `word`."""
    session.send_line("tmux attach -t work")
    session.expect(r"\[work\]", 60)
    session.send_line(f"echo $word-$((40+{sum_of}))")
    session.expect(rf"inside-{40 + sum_of}", 60)
    session.send("\x02d")
    session.expect(r"\[detached", 60)


@dataclass(frozen=True)
class Held:
    """What was before."""

    session: check.Before
    holder: int
    names: list[str]
    agent: str


def begin(machine: Machine, session: SshSession) -> Held:
    """Fill a session of joe's: three trees of which two have nothing but their sockets to be found by."""
    machine.write("/home/joe/holder.py", HOLDER)
    machine.write("/home/joe/agent", AGENT)
    old = check.before(machine, session)
    session.send_line("python3 holder.py &")
    holder = int(session.expect(r"holding (\d+)", 60).group(1))
    check.answer(session, "cd /tmp/joe/deep")
    check.answer(session, ". ~/agent")
    check.answer(session, "tmux new-session -d -s work")
    check.answer(session, "tmux send-keys 'word=inside' Enter")
    attach(session, 1)
    session.send_line("(while sleep 0.2; do echo $((++i)); done) >../log &")
    status, text = session.command("sudo carryover check")
    assert status == 0 and "degraded" not in text, text
    held = Held(old, holder, names(machine), check.answer(session, "agent"))
    print("\n".join([*held.names, held.agent]))
    return held


def all_is_there(machine: Machine, session: SshSession, old: Held) -> None:
    """The same session, and each of its files is what it was, by its names and by its descriptors."""
    check.same_session(session, old.session)
    check.other_boot(machine, old.session)
    assert names(machine) == old.names

    machine.run(f"printf ! >/tmp/joe/fifo; kill -USR1 {old.holder}")
    wait_for("the holder's answer", lambda: "told" in machine.run("cat /home/joe/answer", check=False), 60, 0.5)
    assert machine.run("cat /home/joe/answer").strip() == TOLD

    assert check.answer(session, "pwd -P; ls").split() == ["/tmp/joe/deep", "data"]
    assert check.answer(session, "agent") == old.agent
    assert "carried" in check.answer(session, "ssh-add -l")
    assert check.answer(session, "tmux ls").startswith("work: 1 windows")
    attach(session, 2)

    def log() -> list[int]:
        return [int(n) for n in machine.run("cat /tmp/joe/log").split()]

    lines = len(log())
    wait_for("the log to grow", lambda: len(log()) > lines, 30, 0.5)
    numbers = log()
    assert numbers == list(range(1, len(numbers) + 1))


def test_memory(lab: Lab) -> None:
    machine = lab.machine("trixie", "netns")
    session = machine.session("joe")
    old = begin(machine, session)
    check.reboot(session, "sudo carryover reboot --yes", 300)
    all_is_there(machine, session, old)
    assert {tree["state"] for tree in check.status(machine)["trees"]} == {"carried"}
    check.clean_after(machine, old.session)


@pytest.mark.rotates
def test_disk(lab: Lab) -> None:
    """/tmp is emptied at boot; and at the name of one tree's file somebody has put a link. That tree alone fails."""
    machine = lab.machine("bookworm", "netns")
    session = machine.session("joe")
    old = begin(machine, session)
    check.answer(session, "(setsid sleep 9999 >/tmp/planted &)")
    machine.write("/etc/tmpfiles.d/planted.conf", "L+ /tmp/planted - - - - /root/victim\n")
    session.send_line("sudo carryover reboot --yes; echo \"returned\" $?.")
    assert session.expect(r"returned (\d+)\.", 300).group(1) == "1"
    session.expect(r"[$#] ", 60)
    all_is_there(machine, session, old)

    trees = {tree["comm"]: tree for tree in check.status(machine)["trees"]}
    print([(comm, tree["state"], tree["reason"]) for comm, tree in trees.items()])
    assert trees.pop("sleep")["reason"].startswith("/tmp/planted already exists")
    assert len(trees) == 3 and {tree["state"] for tree in trees.values()} == {"carried"}
    assert machine.run("readlink /tmp/planted; ls /root/victim", check=False).split() == ["/root/victim"]
    machine.run("systemctl reset-failed carryover-restore; rm -r /var/lib/carryover/failed")
    check.clean_after(machine, old.session)
