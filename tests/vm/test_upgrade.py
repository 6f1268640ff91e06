# SPDX-License-Identifier: GPL-2.0-or-later
"""
Debian is upgraded to its next release in an open ssh session, and the session is carried into the new kernel.
A suite of its own, for the time that it takes: scripts/test --suite upgrade
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from conftest import Lab
from lab import check, images, mirror
from lab.machine import Machine
from lab.ssh import SshSession
from lab.util import wait_for
from test_package import newer

APT_GET = "DEBIAN_FRONTEND=noninteractive apt-get -q -y -o APT::Sandbox::User=root"

UPGRADE_TIMEOUT = 45 * 60.0

# By way of the host, from a mirror that may have stopped at some day: lists of a testing distribution run out.
APT = f"""Acquire::http::Proxy "{mirror.URL}";
Acquire::Check-Valid-Until "false";
"""

# An upgrade without questions that keeps changed files, and need not survive a power cut.
DPKG = "force-unsafe-io\nforce-confdef\nforce-confold\n"

WRITER = "(exec 3>/tmp/written; exec bash -c 'i=0; while sleep 0.5; do i=$((i+1)); echo $i >&3; done') & true"


@dataclass(frozen=True)
class Work:
    """What a person has in his session when he upgrades."""

    ticks: check.Counter
    jobs: str


def the_deb(distro: str) -> Path:
    """carryover's package as it was built for that release."""
    return next(images.package(distro).glob("carryover_*.deb"))


def prepare(lab: Lab, distro: str) -> Machine:
    """A machine as people have it: with the distribution's own kernel package, an editor, and a way to a mirror."""
    machine = lab.machine(distro, "netns", disk_cache="unsafe")
    lab.mirror(machine.network)
    machine.write("/etc/apt/apt.conf.d/91upgrade", APT)
    machine.write("/etc/dpkg/dpkg.cfg.d/upgrade", DPKG)
    machine.run(f"apt-get -q update && {APT_GET} install vim-tiny linux-image-cloud-amd64", timeout=300)
    return machine


def begin(session: SshSession) -> Work:
    """Variables, a stopped editor with words that it never wrote, a stopped and two running jobs."""
    check.answer(session, "word=kept; declare -A map=([a]=1 [b]=2)")
    session.send_line("vim.tiny -u NONE notes.txt")
    session.expect(r"\[New", 60)  # from here on it reads keys, and not the terminal's line discipline
    session.send("iunsaved words\x1b")
    session.expect("unsaved words", 30)
    session.send("\x1a")
    session.expect("Stopped", 30)
    check.answer(session, WRITER)
    check.answer(session, "python3 -c 'import time; time.sleep(100000)' & kill -STOP $!")
    ticks = check.counter(session)
    return Work(ticks, jobs(session))


def jobs(session: SshSession) -> str:
    """The table of jobs with their process numbers; without what the shell calls the current and the previous one, which
    changes with every program in front."""
    wait_for("both stopped jobs in the table", lambda: check.answer(session, "jobs -s").count("\n") == 1, 30)
    return re.sub(r"^(\[\d+\])[-+]", r"\1 ", check.answer(session, "jobs -l"), flags=re.MULTILINE)


def upgrade(session: SshSession, machine: Machine, old: str, new: str, package: Path) -> None:
    """In the session: other sources, and a full-upgrade of everything, carryover itself too."""
    machine.write("/root/carryover.deb", package.read_bytes())
    check.typed(session, f"sudo sed -i s/{old}/{new}/ /etc/apt/sources.list && sudo apt-get -q update", 300)
    check.typed(session, f"sudo {APT_GET} full-upgrade /root/carryover.deb", UPGRADE_TIMEOUT)
    assert f"VERSION_CODENAME={new}" in machine.run("cat /etc/os-release")
    assert machine.run("dpkg-query -W -f '${Version}' carryover").endswith("+1")


def carry(lab: Lab, machine: Machine, session: SshSession, work: Work) -> None:
    """`carryover reboot` into the kernel that the upgrade has brought, and everything is as it was."""
    old = check.before(machine, session)
    newest = machine.run("ls /lib/modules | sort -V | tail -n 1").strip()
    assert newest != old.kernel
    capture = machine.network.capture(lab.directory / f"{newest}.pcap")
    began, text = check.reboot(session, "sudo carryover reboot --yes", 400)
    print(text)
    check.same_session(session, old)
    assert check.answer(session, "uname -r") == newest
    assert check.answer(session, "echo $word ${map[b]}") == "kept 2"
    assert jobs(session) == work.jobs
    work.ticks.goes_on()
    machine.wait_for_ssh()
    written(machine)
    check.gap_agrees(machine, session, began)
    check.steps(machine)
    capture.stop()
    assert capture.packets("tcp") and not capture.resets(), capture.resets()
    check.clean_after(machine, old)


def written(machine: Machine) -> None:
    """The file in /tmp has every number, and more of them come."""
    def numbers() -> list[int]:
        return [int(word) for word in machine.run("cat /tmp/written").split()]

    before = len(numbers())
    wait_for("the file in /tmp to grow", lambda: len(numbers()) > before, 30, 0.5)
    found = numbers()
    assert found == list(range(1, len(found) + 1))


def goes_on(session: SshSession, work: Work) -> None:
    """What the carried shell is for: old programs and new ones, root's too, and the words in the editor."""
    assert check.answer(session, "id -un; sudo id -un").split() == ["joe", "root"]
    assert check.answer(session, "ps -o comm= -p $$") == "bash"
    assert check.answer(session, "ls -d /etc/os-release") == "/etc/os-release"
    check.typed(session, f"sudo {APT_GET} install hello", 300)
    assert check.answer(session, "hello") == "Hello, world!"
    work.ticks.check()
    session.send_line("fg %1")
    session.expect("unsaved words", 60)
    session.send(":wq\r")
    session.expect(r"\$ ", 60)
    assert check.answer(session, "cat notes.txt") == "unsaved words"


def test_12_to_13(lab: Lab) -> None:
    """Kernel 6.1 to 6.12, systemd 252 to 257, OpenSSH 9 to 10; CRIU 4.1.1 saves what it finds on the old kernel."""
    machine = prepare(lab, "bookworm")
    session = machine.session("joe")
    work = begin(session)
    upgrade(session, machine, "bookworm", "trixie", newer(the_deb("trixie"), lab.directory))
    carry(lab, machine, session, work)
    goes_on(session, work)


def test_13_to_forky(lab: Lab) -> None:
    """Kernel 6.12 to 7.x, systemd 257 to 262, CRIU 4.1.1 to 4.2.1. All libraries of carryover's are of the same names
    in forky, so that trixie's package goes on there."""
    machine = prepare(lab, "trixie")
    session = machine.session("joe")
    work = begin(session)
    upgrade(session, machine, "trixie", "forky", newer(the_deb("trixie"), lab.directory))
    carry(lab, machine, session, work)
    goes_on(session, work)
