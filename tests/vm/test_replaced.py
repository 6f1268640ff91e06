# SPDX-License-Identifier: GPL-2.0-or-later
"""
Files of a tree that are replaced while nobody runs (issue 3): between the save and the restore.
"""

from __future__ import annotations

import re

from conftest import Lab
from lab import check
from lab.ssh import SshSession
from lab.util import wait_for

# Whatever CRIU makes beside a file.
LEFT = r"find / -xdev \( -name 'link_remap.*' -o -name '*.cr.*' -o -name '*.cr_link' \)"


def program(session: SshSession, name: str) -> str:
    """Start a copy of sleep of the session's own; its number."""
    return check.answer(session, f"cp /bin/sleep ~/{name}; ~/{name} 10000 & echo $!").splitlines()[-1]


# As a package does it whose upgrade goes on at boot, or an administrator in a rescue shell.
SWAP = """
[Unit]
DefaultDependencies=no
After=local-fs.target
Before=carryover-restore.service
[Service]
Type=oneshot
ExecStart=/bin/cp --remove-destination /bin/true /home/joe/prog
[Install]
WantedBy=sysinit.target
"""


def test_replaced_between_save_and_restore(lab: Lab) -> None:
    """The one session fails with a reason, its peer is told, its images are kept; the other one is carried."""
    machine = lab.machine("bookworm", "netns")
    machine.write("/etc/carryover/carryover.conf.d/keep.conf", "[Carryover]\nKeepSshSessions=yes\n")
    machine.write("/etc/systemd/system/swap.service", SWAP)
    machine.run("systemctl enable swap.service")
    session, joe = machine.session("root"), machine.session("joe")
    old = check.before(machine, session)
    number = check.before(machine, joe).number
    ticks = check.counter(session)
    program(joe, "prog")
    linked = program(joe, "linked")  # whose dump leaves a link
    check.answer(joe, "ln linked linked.kept; rm linked")
    session.send_line("carryover reboot; echo \"returned\" $?.")
    code = session.expect(r"returned (\d+)\.", 240).group(1)
    print(session.text()[-1500:])
    check.same_session(session, old)
    ticks.goes_on()
    ticks.check()
    wait_for("the end of the other client", lambda: not joe.alive(), 60, 0.2)
    assert re.search("reset by peer|Broken pipe", joe.text()), joe.text()[-500:]
    check.other_boot(machine, old)

    trees = {tree["name"]: tree for tree in check.status(machine)["trees"]}
    failed = trees[f"session-{number}"]
    print(failed)
    assert code == "1" and trees[f"session-{old.number}"]["state"] == "carried"
    assert failed["state"] == "failed" and "home/joe/prog has bad" in failed["reason"], failed
    text = machine.run("carryover status", check=False)
    assert failed["reason"] in re.sub(r"\s+", " ", text), text
    assert "pstree.img" in machine.run(f"ls {failed['images']}")
    check.no_hold(machine)
    assert machine.run(LEFT) == "" and machine.run("ls /home/joe").split() == ["linked.kept", "prog"]
    assert machine.run(f"ls -d /proc/{linked} 2>/dev/null", check=False) == ""
