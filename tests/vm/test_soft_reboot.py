# SPDX-License-Identifier: GPL-2.0-or-later
"""`systemctl soft-reboot`: user space restarts, the kernel stays, and what is kept is carried and told as what it is."""

import re

import pytest

from lab import check


@pytest.mark.rotates
def test_soft_reboot(lab):
    """Debian 13: the kept session goes on in the same boot, the other one ends, and nothing says "called off"."""
    machine = lab.machine("trixie", "netns")
    session = machine.session("root")
    other = machine.session("joe")
    old = check.before(machine, session)
    ticks = check.counter(session)
    check.answer(session, "carryover keep >/dev/null")
    other_tty = other.command("tty")[1].strip()

    session.send_line("systemctl soft-reboot")
    found = session.expect(r"\[carryover\] back in Linux (\S+) after [0-9.]+ s, over a soft-reboot\r", 180)
    assert found.group(1) == old.kernel
    assert "this session is carried over the soft-reboot" in session.text()
    assert "this machine restarts its user space, and this session ends" in other.text(), f"{other_tty}: {other.text()[-500:]!r}"
    ticks.goes_on()
    check.same_session(session, old)

    machine.wait_for_ssh()
    assert machine.boot_id() == old.boot_id
    assert machine.run("systemctl show -p SoftRebootsCount --value").strip() == "1"
    check.clean_after(machine, old)
    code, text = session.command("carryover status")
    assert code == 1, text  # joe's session has ended
    assert re.search(rf"Carried 1 of 2 over a soft-reboot of Linux {re.escape(old.kernel)}, gap \S+ s;\s+1\s+not\s+kept\.", text), text
    report = check.status(machine)
    assert (report["verdict"], report["action"], report["stopped"]) == ("partly", "soft-reboot", None)
    assert report["old"] == report["new"]
    other_code = other.alive()
    print(f"the session that was not kept: {'alive' if other_code else 'ended'}")
    print(f"counted to {ticks.check()}, none missing, none twice")
