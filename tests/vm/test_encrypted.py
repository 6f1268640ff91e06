# SPDX-License-Identifier: GPL-2.0-or-later
"""
What of a session is on the disk: searched for from outside, in the disk's file, with the machine stopped between the seal and
the restore, and afterwards. Once as it is by default, which shows that the search finds it and that it is wiped; then encrypted.
"""

from __future__ import annotations

import secrets

import pytest

from conftest import Lab
from lab import check
from lab.machine import Machine
from lab.ssh import SshSession
from lab.util import run, wait_for

CONF = "/etc/carryover/carryover.conf.d/encrypt.conf"
FILE = "/dev/shm/secret"  # in memory everywhere, and saved because the shell holds it


class Secrets:
    """Two things that only a session knows: a variable of its shell, and what is in a file of its own."""

    def __init__(self, session: SshSession) -> None:
        self.session = session
        self.variable, self.file = secrets.token_hex(24), secrets.token_hex(24)
        # Each is typed when it is asked for, and the question is not in the line that is echoed.
        session.send_line(f"read -rsp fir'st: ' secret; exec 9<>{FILE}; read -rsp sec'ond: ' line; echo $line >&9; echo \"read\" $?.")
        for question, word in (("first: ", self.variable), ("second: ", self.file)):
            session.expect(question, 60)
            session.send_line(word)
        assert session.expect(r"read (\d+)\.", 60).group(1) == "0"

    def on_disk(self, machine: Machine) -> tuple[bool, bool]:
        """Whether each is in the disk's file. QEMU writes out what it holds when it stops the machine."""
        assert machine.qmp
        machine.qmp.command("stop")
        found = [run(["sh", "-c", f"LC_ALL=C grep -c -a -F {word} {machine.disk} || [ $? = 1 ]"]).strip() != "0"
                 for word in (self.variable, self.file)]
        machine.qmp.command("cont")
        return found[0], found[1]

    def are_known(self) -> None:
        """The session still has both."""
        assert check.answer(self.session, "echo $secret") == self.variable
        assert check.answer(self.session, f"cat {FILE}") == self.file
        assert check.answer(self.session, "cat /proc/$$/fd/9") == self.file


def jump(machine: Machine, session: SshSession, how: str = "carryover reboot --yes") -> None:
    """Into the next kernel, as far as its first line."""
    begin = machine.serial.stat().st_size
    session.send_line(f"{how}; echo \"returned\" $?.")
    machine.wait_for_serial(r"Linux version", 240, begin)


def returned(session: SshSession) -> None:
    """The command of jump() is back, in the next kernel."""
    code = session.expect(r"returned (\d+)\.", 240).group(1)
    assert code == "0", session.text()[-2000:]
    session.expect(r"[$#] ", 60)


@pytest.mark.thorough
def test_wiped(lab: Lab) -> None:
    machine = lab.machine("bookworm", "netns")
    session = machine.session("root")
    old = check.before(machine, session)
    ticks = check.counter(session)
    known = Secrets(session)
    assert known.on_disk(machine) == (False, False)

    jump(machine, session)
    assert known.on_disk(machine) == (True, True)
    returned(session)
    check.same_session(session, old)
    known.are_known()
    check.clean_after(machine, old)
    assert known.on_disk(machine) == (False, False)
    assert machine.run("ls -A /var/lib/carryover").split() == ["history", "report"]

    # A save that stops before the seal has written all of it, too.
    machine.write("/run/carryover-faults", "carryover.fault=save:before-seal\n")
    code, text = session.command("carryover reboot --yes", 240)
    assert code == 1 and "not rebooted, all trees continue to run" in text, text
    machine.wait_for_ssh()
    check.clean_after(machine, old)
    assert machine.run("find /var/lib/carryover/failed/last -name dump.log") != ""
    assert known.on_disk(machine) == (False, False)
    ticks.goes_on()
    print(f"counted to {ticks.check()}")


def key_is_gone(machine: Machine) -> None:
    """Neither in the kernel's keyring nor, by its name, anywhere else that files are."""
    wait_for("the key to be forgotten", lambda: "carryover:images" not in machine.run("cat /proc/keys"), 30, 0.5)


@pytest.mark.parametrize("distro", ["bookworm", pytest.param("trixie", marks=pytest.mark.thorough)])
def test_encrypted(lab: Lab, distro: str) -> None:
    machine = lab.machine(distro, "netns")
    machine.write(CONF, "[Carryover]\nEncrypt=yes\n")
    session = machine.session("root")
    old = check.before(machine, session)
    ticks = check.counter(session)
    known = Secrets(session)

    status, text = session.command("carryover check")
    assert status == 0 and "only kexec carries the key" in " ".join(text.split()), text
    status, text = session.command("carryover reboot --yes --no-kexec")
    assert status == 4 and "only kexec carries the key of encrypted images" in " ".join(text.split()), text

    jump(machine, session)
    assert known.on_disk(machine) == (False, False)
    returned(session)
    check.same_session(session, old)
    known.are_known()
    ticks.goes_on()
    print(f"counted to {ticks.check()}")
    check.steps(machine)
    check.other_boot(machine, old)
    check.clean_after(machine, old)
    key_is_gone(machine)
    assert known.on_disk(machine) == (False, False)

    # Called off behind the seal: the key is still here.
    machine.write("/run/carryover-faults", "carryover.fault=jump:before-load\n")
    code, text = session.command("carryover reboot --yes", 240)
    assert code == 1 and "the next kernel could not be loaded" in text, text
    machine.wait_for_ssh()
    known.are_known()
    check.clean_after(machine, old)
    key_is_gone(machine)
    machine.run("rm /run/carryover-faults")

    # The machine is reset before anything came back: the key is lost, and with it the session.
    jump(machine, session)
    assert machine.qmp
    machine.qmp.command("system_reset")
    machine.wait_for_ssh()
    wait_for("the report", lambda: check.status(machine).get("trees", [{}])[0].get("state") == "failed", 120, 0.5)
    tree = check.status(machine)["trees"][0]
    assert "the key of the encrypted images was not passed on to this boot" in tree["reason"] and tree["images"] is None, tree
    assert machine.run("find /var/lib/carryover -name '*.img'; ls -A /var/lib/carryover/save /var/lib/carryover/gone", check=False) == ""
    check.no_hold(machine)
    session.send_line("")
    wait_for("the client to be told", lambda: not session.alive(), 30, 0.5)
    assert known.on_disk(machine) == (False, False)
