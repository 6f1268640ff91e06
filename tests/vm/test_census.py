# SPDX-License-Identifier: GPL-2.0-or-later
"""
check --all: everybody on the machine has a row, with what becomes of it and how to keep it. No reboot is needed to say so. And what
`carryover reboot` does for those whom nobody kept: it asks, and counts them.
"""

from __future__ import annotations

import json
import re
import time

import pytest

from conftest import Lab
from lab import check
from lab.machine import Machine
from lab.ssh import SshSession, plain
from lab.util import wait_for

BY_HAND = """[Service]
ExecStart=/bin/sleep 100000
"""

ENABLED = BY_HAND + "[Install]\nWantedBy=multi-user.target\n"

# A unit that nothing enables, and that one of its kind starts: none of the two is there after a boot.
STARTER = "[Unit]\nWants=by-starter.service\n[Service]\nExecStart=/bin/sleep 100000\n"


def all_of(machine: Machine) -> dict:
    return json.loads(machine.run("carryover check --all --json", check=False))


def populate(machine: Machine) -> None:
    """One of each kind that this machine can have."""
    machine.write("/etc/systemd/system/by-hand.service", BY_HAND)
    machine.write("/etc/systemd/system/enabled.service", ENABLED)
    machine.write("/etc/systemd/system/runtime.service", ENABLED)
    machine.write("/etc/systemd/system/starter.service", STARTER)
    machine.write("/etc/systemd/system/by-starter.service", BY_HAND)
    machine.run("systemctl daemon-reload; systemctl enable -q --now enabled; systemctl enable -q --runtime --now runtime; "
                "systemctl start by-hand starter")
    machine.run("systemd-run -q --unit=transient sleep 100000")
    machine.run("systemd-run -q --unit=orphan -p KillMode=none sh -c 'sleep 100000 & exit 0'")
    machine.run("mkdir /sys/fs/cgroup/mine; setsid -f sh -c 'echo $$ >/sys/fs/cgroup/mine/cgroup.procs; exec sleep 100000' </dev/null >/dev/null 2>&1")
    machine.run("loginctl enable-linger joe")
    wait_for("joe's manager", lambda: machine.run("systemctl is-active user@1000", check=False).strip() == "active", 60, 1)
    machine.run("XDG_RUNTIME_DIR=/run/user/1000 systemd-run -q --user --unit=of-joe sleep 100000", user="joe")


@pytest.mark.parametrize("distro", ["bookworm", "trixie"])
def test_everybody_has_a_row(lab: Lab, distro: str) -> None:
    machine = lab.machine(distro)
    before = all_of(machine)
    print("\nbefore:", json.dumps(before))
    populate(machine)
    with machine.session() as root, machine.session("joe") as joe:
        joe.command("tmux new-session -d sleep 100000")
        begun = time.monotonic()
        text = machine.run("carryover check --all; echo exit $?")
        print(f"{time.monotonic() - begun:.1f} s\n{text}")
        print(machine.run("carryover check --all --verbose", check=False))
        found = all_of(machine)
        rows = {row["what"]: row for row in found["things"]}
        print(json.dumps(found))

        number = re.findall(r"^id (\w+)", joe.command("echo id $XDG_SESSION_ID")[1], re.M)[-1]
        assert rows[f"session {number} (ssh)"]["user"] == "joe"
        for what, kind, why in (
                (f"session {number} (ssh)", "session", f"not kept: carryover keep session:{number}"),
                ("by-hand.service", "unit", "not enabled; not kept: carryover keep unit:by-hand"),
                ("runtime.service", "unit", "not enabled beyond this boot; not kept: carryover keep unit:runtime"),
                ("starter.service", "unit", "not enabled; not kept: carryover keep unit:starter"),
                ("by-starter.service", "unit", "not enabled; not kept: carryover keep unit:by-starter"),
                ("transient.service", "unit", "transient; not kept: carryover keep unit:transient"),
                ("user unit of-joe.service", "user-unit", "not kept: carryover keep pid:"),
                ("cgroup /mine", "stray", "not kept: carryover keep pid:")):
            assert rows[what]["kind"] == kind and rows[what]["fate"] == "lost", rows[what]
            assert rows[what]["why"].startswith(why), rows[what]
        [orphan] = [row for row in found["things"] if row["what"] == "orphan.service"]
        assert orphan["fate"] == "lost" and ("does not exist" in orphan["why"] or "has ended" in orphan["why"]), orphan
        [tmux] = [row for row in found["things"] if row["kind"] == "terminals"]
        assert tmux["what"].startswith("tmux, process ") and tmux["user"] == "joe" and tmux["target"] == f"pid:{tmux['pid']}"

        # What the next boot starts is counted, and nothing of an untouched machine is lost but whoever asks.
        assert "enabled.service" in found["starts_anew"] and "enabled.service" not in rows
        for service in ("systemd-logind.service", "systemd-journald.service", "systemd-udevd.service", "dbus.service", "ssh.service"):
            assert service in found["starts_anew"], found["starts_anew"]
        assert {row["kind"] for row in before["things"]} <= {"session"}, before
        assert found["lost"] == len(found["things"]) and found["carried"] == 0
        assert f"0 carried, 0 with losses, {found['lost']} lost" in text and text.rstrip().endswith("exit 4")
        assert f"{len(found['starts_anew'])} services start anew" in text
        assert max(map(len, text.splitlines())) <= 80

        # Each command that a row names keeps it.
        for target in (f"session:{number}", "unit:transient", tmux["target"], rows["user unit of-joe.service"]["target"]):
            machine.run(f"carryover keep {target}")
        kept = {row["what"]: row for row in all_of(machine)["things"]}
        for what in (f"session {number} (ssh)", "transient.service", "user unit of-joe.service", tmux["what"]):
            assert kept[what]["fate"] != "lost" and kept[what]["processes"] == kept[what]["kept_processes"], kept[what]
        assert kept["by-hand.service"]["fate"] == "lost"
        print(machine.run("carryover check --all", check=False))
        assert root.command("true")[0] == 0


def not_rebooted(machine: Machine, root: SshSession, boot: str) -> None:
    """As long as nobody says yes, nothing is touched."""
    root.send_line("carryover reboot; echo \"returned\" $?.")
    root.expect(r"Go on\? \[y/N\] ", 120)
    root.send_line("n")
    assert root.expect(r"carryover: not rebooted\r\n(?:.*\n)*?returned (\d+)\.", 60).group(1) == "4"
    root.expect(r"[$#] ", 60)
    for words in "--no-ask", "</dev/null", "| cat; (exit ${PIPESTATUS[0]})":
        code, text = root.command(f"carryover reboot {words}", 120)
        assert code == 4 and "Go on?" not in text, text
        assert "carryover: not rebooted: what is listed above would be lost: run carryover keep, or use --yes" in text, text
    assert machine.boot_id() == boot and machine.run("cat /sys/kernel/kexec_loaded").strip() == "0"
    assert machine.run("systemctl list-jobs --no-legend").strip() == ""


@pytest.mark.rotates
@pytest.mark.parametrize("distro", ["bookworm", "trixie"])
def test_asked(lab: Lab, distro: str) -> None:
    """Somebody else is logged in: reboot says so and asks, and nobody's end is forgotten afterwards."""
    machine = lab.machine(distro, "netns")
    root, joe = machine.session(), machine.session("joe")
    old = check.before(machine, root)
    number = check.before(machine, joe).number
    not_rebooted(machine, root, old.boot_id)

    begin = len(root.text())
    root.send_line("carryover reboot; echo \"returned\" $?.")
    root.expect(r"Go on\? \[y/N\] ", 120)
    root.send_line("y")
    assert root.expect(r"returned (\d+)\.", 240).group(1) == "1"
    text = plain(root.text()[begin:])
    print(text)
    row = rf"session {number} \(ssh\)\s+joe\s+lost\s+not kept: carryover keep session:{number}"
    assert re.search(rf"This reboot ends:\nWHAT .*\n{row}\n\nGo on\?", text), text
    assert re.search(rf"Carried 1 of 2 to Linux {re.escape(machine.layer.kernel_b)}, gap \d+\.\d s; 1 not kept\.\n\n"
                     rf"  Not kept: session {number} \(ssh\) of joe\n", text), text
    check.same_session(root, old)
    check.other_boot(machine, old)
    assert "[carryover] this machine reboots, and this session ends" in joe.text()

    # The whole machine is in the verdict, the kept tree in its own.
    code, text = root.command("carryover status")
    assert code == 1 and "Carried 1 of 2" in text and f"Not kept: session {number} (ssh) of joe" in text, text
    assert root.command(f"carryover status session-{old.number}")[0] == 0
    report = check.status(machine)
    assert report["verdict"] == "partly" and [(row["what"], row["user"], row["fate"]) for row in report["not_kept"]] == \
        [(f"session {number} (ssh)", "joe", "lost")], report["not_kept"]

    # Nobody else is there any more: nothing is lost by a reboot, and nobody would be asked.
    check.answer(root, "carryover keep >/dev/null")
    wait_for("the end of our own logins", lambda: root.command("carryover check --all", 120)[0] == 0, 60, 1)
    assert "1 carried, 0 with losses, 0 lost" in check.answer(root, "carryover check --all", 120)
    check.clean_after(machine, old)
