# SPDX-License-Identifier: GPL-2.0-or-later
"""
What people leave running, as a new user would try it: each in the foreground of an ssh session of its own, all in one jump. Each goes on
behind it: new lines appear, numbers continue, keys are heard, and the exit status is the one that it would have had.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import pytest

from conftest import Lab
from lab import check
from lab.machine import Machine
from lab.ssh import SshSession

KIDS = """\
import asyncio
async def one(i):
    n = 0
    while True:
        n += 1
        p = await asyncio.create_subprocess_exec("sh", "-c", f"sleep {3 + i}; exit {i}")
        print(f"child{i}-{n}-{await p.wait()}.", flush=True)
async def main():
    await asyncio.gather(*(one(i) for i in range(4)))
asyncio.run(main())
"""

# Every target waits for another one that runs beside it, in the make itself and in the one that it starts: fewer jobs at
# once than the four that are wanted, and it never ends.
MAKEFILE = """\
.RECIPEPREFIX = >
all: a b nested
>@echo done-all-
a b: %:
>@echo begun-$@-; touch $@.here; until [ -e a.here -a -e b.here -a -e go ]; do sleep 0.3; done
nested: a b
>@$(MAKE) --no-print-directory -f $(firstword $(MAKEFILE_LIST)) c d e f
c d e f: %:
>@touch $@.here; until [ -e c.here -a -e d.here -a -e e.here -a -e f.here ]; do sleep 0.3; done; echo made-$@-
"""

LOOP = """\
class Loop {
    public static void main(String[] words) throws InterruptedException {
        long begun = System.nanoTime(), last = begun;
        java.util.List<byte[]> kept = new java.util.ArrayList<>();
        for (int n = 1;; n++) {
            if (n % 20 == 0)
                kept.clear();
            kept.add(new byte[200_000]);  // something to collect
            long now = System.nanoTime();
            System.out.println("loop-" + n + "-" + (now < last ? "back" : "on"));
            last = now;
            Thread.sleep(300);
        }
    }
}
"""


@dataclass(frozen=True)
class Program:
    """
    Typed into a session of joe's, it answers `ready`. Behind the jump `poke` is run in the guest, then the session has `heard`. `keys`
    end it, and the shell prints the status that it must have.
    """

    name: str
    typed: str
    ready: str
    heard: str
    poke: str = ":"
    keys: str = "\x03"
    status: int = 130
    user: str = "joe"
    level: str = "ok"
    note: str = ""  # `what` of a note that the verdict must have, "" for none


PROGRAMS = [
    Program("java", "java -Xmx64m Loop.java", r"loop-3-on", r"loop-\d+-on"),
    Program("tail", "tail -f tailed", "first", "second", "echo second >>tailed"),
    Program("less", "less +F lessed", r"Waiting for data", "second", "echo second >>lessed", "\x03q", 0),
    Program("watch", "watch -n 1 -t cat watched", "first", "second", "echo second >watched", status=0),
    Program("top", "top -d 1 -n 1000", r"top - [0-9:]+ up", r"top - [0-9:]+ up", keys="q", status=0),
    Program("vim", "vi -u NONE -N -c startinsert written", "INSERT", "first"),
    Program("inotifywait", "inotifywait -m /tmp", "Watches established", "/tmp/ CREATE appeared", "touch /tmp/appeared"),
    Program("asyncio", "python3 kids.py", r"child3-1-3\.", r"child3-\d+-3\."),
    Program("make", "make -j4 -f Makefile.four", r"begun-b-", r"done-all-", "touch go", "", 0),
    Program("ping", "ping -i 0.5 127.0.0.1", "icmp_seq=2 ", r"icmp_seq=\d+ ", status=0, user="root"),
    Program("journalctl", "journalctl -f -n 0 -t programs", "", "", user="root", level="degraded", note="journal-reader"),
]


def log_in(machine: Machine, user: str) -> tuple[SshSession, str]:
    """A session, and its number."""
    session = machine.session(user)
    return session, check.answer(session, "echo $XDG_SESSION_ID")


def begin(machine: Machine, program: Program) -> SshSession:
    """Typed into a new session, seen to be there, and kept."""
    session, number = log_in(machine, program.user)
    session.send_line(program.typed)
    session.expect(program.ready, 120)
    if program.name == "vim":
        session.send("first")
        session.expect("first")
        session.send("\x0f:stop\r")  # vi would wait for what may follow an Escape
        session.expect(r"Stopped")
        ended(session, 148)
    tree = verdict(machine, number)
    print(f"{program.name}: {tree['level']} {[note['what'] for note in tree['notes']]}")
    assert tree["level"] == program.level, tree
    assert not program.note or program.note in [note["what"] for note in tree["notes"]], tree
    machine.run(f"carryover keep session:{number}")
    return session


def verdict(machine: Machine, number: str) -> dict:
    """What `carryover check` says of a session."""
    return json.loads(machine.run(f"carryover check --json=short session:{number}", check=False))["trees"][0]


def ended(session: SshSession, status: int) -> None:
    """The shell says so."""
    session.expect(r"[$#] ", 60)
    session.send_line("echo end''ed $?.")
    session.expect(rf"ended {status}\.", 60)


def ping_is_refused(machine: Machine) -> None:
    """As Debian 13 has it set, everybody's has a socket that no CRIU before 4.2 can save. With this guest's settings root's is another one."""
    session, number = log_in(machine, "joe")
    machine.run("sysctl -q net.ipv4.ping_group_range='0 2147483647'")
    session.send_line("ping -i 0.5 127.0.0.1")
    session.expect("icmp_seq=2", 60)
    tree = verdict(machine, number)
    assert tree["level"] == "refused" and {note["what"] for note in tree["notes"]} == {"socket-kind"}, tree
    session.send("\x03")
    session.expect("packets transmitted", 60)
    session.close()
    machine.run("sysctl -q net.ipv4.ping_group_range='1 0'")


def container_is_named(machine: Machine) -> None:
    """It is not carried, and that is said by its name, before and by whoever is asked to keep it."""
    machine.run("mkdir -p /srv/web/bin && cp /bin/busybox /srv/web/bin/ && "
                "podman run -d --name web --network none --rootfs /srv/web /bin/busybox sleep 100000")
    things = json.loads(machine.run("carryover check --all --json", check=False))["things"]
    [row] = [thing for thing in things if thing["kind"] == "container"]
    assert row["what"] == "container podman web" and row["fate"] == "lost" and row["user"] == "root", row
    pid = machine.run("podman inspect -f '{{.State.Pid}}' web").strip()
    tree = json.loads(machine.run(f"carryover check --json=short pid:{pid}", check=False))["trees"][0]
    [text] = [note["text"] for note in tree["notes"] if note["what"] == "container"]
    assert tree["level"] == "refused" and "belongs to the container podman web, and" in text, tree
    assert "namespace" not in [note["what"] for note in tree["notes"]], tree


def vim_goes_on(machine: Machine, session: SshSession) -> None:
    """To the front again, with what was typed and not written."""
    session.send_line("fg")
    session.expect("first", 60)
    session.send("-second\x0f:wq\r")
    session.expect("written. ", 60)
    ended(session, 0)
    assert machine.run("cat written", "joe") == "first-second\n"


def numbers_go_on(session: SshSession, pattern: str) -> None:
    """Each number once, in order."""
    numbers = [int(n) for n in re.findall(pattern, session.text())]
    assert numbers == list(range(1, len(numbers) + 1)), numbers


def goes_on(machine: Machine, program: Program, session: SshSession) -> None:
    """It is heard behind the jump, and ends as it is told to."""
    assert session.alive()
    if program.level != "ok":
        return
    if program.name == "vim":
        vim_goes_on(machine, session)
        return
    machine.run(program.poke, program.user)
    session.expect(program.heard, 90)
    session.send(program.keys[:1])
    for key in program.keys[1:]:
        session.expect(r".", 30)
        session.send(key)
    ended(session, program.status)
    if program.name == "java":
        numbers_go_on(session, r"loop-(\d+)-on")
        assert "-back" not in session.text()  # the word alone is in what carryover says on the terminal
    if program.name == "asyncio":
        for i in range(4):
            numbers_go_on(session, rf"child{i}-(\d+)-{i}\.")
    if program.name == "ping":
        assert ", 0% packet loss" in session.text()
    if program.name == "make":
        assert set(re.findall(r"made-(.)-", session.text())) == set("cdef")


def wrong(machine: Machine, program: Program, session: SshSession) -> str:
    """What is wrong with it; empty: nothing. All are heard before one is a failure."""
    try:
        goes_on(machine, program, session)
    except Exception as error:
        return f"{program.name}: {error}"
    print(f"{program.name}: goes on")
    return ""


@pytest.mark.rotates
def test_programs(lab: Lab) -> None:
    machine = lab.machine("trixie", fat=True)
    machine.one_login = True
    for name, text in (("kids.py", KIDS), ("Makefile.four", MAKEFILE), ("Loop.java", LOOP),
                       ("tailed", "first\n"), ("lessed", "first\n"), ("watched", "first\n")):
        machine.write(f"/home/joe/{name}", text, "666")
    session = machine.session()
    old = check.before(machine, session)
    ping_is_refused(machine)
    container_is_named(machine)
    opened = {program.name: begin(machine, program) for program in PROGRAMS}
    check.reboot(session, timeout=500)
    check.same_session(session, old)
    check.other_boot(machine, old)
    gone = json.loads(machine.run("carryover status --json", check=False))["not_kept"]
    assert "container podman web" in [thing["what"] for thing in gone], gone
    found = [text for program in PROGRAMS if (text := wrong(machine, program, opened[program.name]))]
    assert not found, "\n".join(found)
