# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of a session whose restore is killed, or whose machine goes down, in the middle."""

from __future__ import annotations

from conftest import Lab
from lab import check
from lab.util import wait_for


def test_killed_restore(lab: Lab) -> None:
    """Before a tree's restore has begun, the next boot brings it back; when it is back, it stays so."""
    machine = lab.machine("bookworm", "netns")
    session = machine.session("root")
    old = check.before(machine, session)
    ticks = check.counter(session)

    # Killed behind the claim each time that it is started, and then the machine is reset.
    session.send_line("carryover reboot --append carryover.fault=restore:after-claim:kill; echo \"returned\" $?.")
    machine.wait_for_boot(old.boot_id)
    wait_for("the killed restore", lambda: machine.run("systemctl show -P NRestarts carryover-restore") != "0\n", 60, 0.5)
    assert check.status(machine)["trees"][0]["state"] == "pending"
    assert machine.qmp
    machine.qmp.command("system_reset")
    code = session.expect(r"returned (\d+)\.", 240).group(1)
    assert code == "0", session.text()[-2000:]
    check.same_session(session, old)
    ticks.goes_on()
    print(f"counted to {ticks.check()}, over a crash")
    check.other_boot(machine, old, other_kernel=False)
    check.clean_after(machine, old)

    # Killed when the session runs again, and its images are gone.
    check.reboot(session, "carryover reboot --append carryover.fault=restore:after-outcome:kill")
    check.same_session(session, old)
    ticks.goes_on()
    print(f"counted to {ticks.check()}, over a killed restore")
    assert machine.run("systemctl show -P NRestarts carryover-restore").strip() == "1"
    check.clean_after(machine, old)
