# SPDX-License-Identifier: GPL-2.0-or-later
"""Ctrl-C in `carryover reboot`, and `carryover cancel`: before the seal nothing is rebooted, and the next reboot carries as any."""

import pytest

from lab import check
from lab.util import wait_for

# A service whose stop the save waits for, and so does whoever wants to call it off.
SLOW = """[Unit]
Before=multi-user.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
ExecStop=/bin/sleep 15
TimeoutStopSec=60
[Install]
WantedBy=multi-user.target
"""

@pytest.mark.rotates
@pytest.mark.parametrize("distro", ["bookworm", "trixie"])
def test_cancel(lab, distro):
    """Typing Ctrl-C prints that nothing is rebooted, `carryover cancel` likewise; the next reboot is carried."""
    machine = lab.machine(distro, "netns")
    machine.write("/etc/systemd/system/slow.service", SLOW)
    machine.run("systemctl daemon-reload && systemctl enable --now slow.service")
    session = machine.session("root")
    other = machine.session("root")  # sshd stops early in a shutdown: whoever wants to cancel is there already
    check.answer(other, "carryover keep >/dev/null")
    old = check.before(machine, session)
    ticks = check.counter(session)

    code = machine.run("carryover cancel 2>/run/said; echo $?; cat /run/said").splitlines()
    assert code == ["3", "carryover: nothing to cancel: no carryover reboot and no save is in progress"], code

    def up_again() -> None:
        machine.wait_for_ssh()  # sshd has stopped, too
        assert machine.boot_id() == old.boot_id
        wait_for("slow.service to be up again", lambda: machine.run("systemctl is-active slow.service", check=False).strip() == "active", 60)
        check.clean_after(machine, old)

    def waits() -> None:
        session.send_line("carryover reboot --yes; echo \"returned\" $?.")
        session.expect(r"waiting for services to stop: [^\r]*slow\.service[^\r]* \(\d+ s\)", 60)

    def lives() -> None:
        found = session.expect(r"not rebooted, all trees continue to run: cancelled on request\r\n(?s:.*?)returned (\d+)\.", 90)
        assert found.group(1) == "1"
        session.expect(r"[$#] ", 60)
        check.same_session(session, old)
        ticks.goes_on()
        up_again()
        report = check.status(machine)
        assert (report["verdict"], report["stopped"]) == ("stopped", "cancelled on request"), report

    waits()
    session.send("\x03")
    session.expect(r"carryover: cancelling", 30)
    lives()

    waits()
    code, said = other.command("carryover cancel", 90)
    assert code == 0 and "\nCancelled: the machine is not rebooted, and all kept trees continue to run." in said, said
    lives()

    # The shutdown is somebody else's.
    check.answer(session, "carryover keep >/dev/null")
    session.send_line("systemctl reboot")
    session.expect(r"[$#] ", 60)

    wait_for("the save to be there and cancelled", lambda: other.command("carryover cancel", 90)[0] == 0, 30, 0.2)
    check.same_session(session, old)
    up_again()

    # What was called off stands in nobody's way. (When it is too late is test-flow-cancel's: the moment is too short here; test_people has it in the next kernel.)
    check.reboot(session)
    check.same_session(session, old)
    check.other_boot(machine, old)
    print(f"counted to {ticks.check()}, none missing, none twice")
