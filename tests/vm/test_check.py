# SPDX-License-Identifier: GPL-2.0-or-later
"""check, keep, list and drop in real sessions of both sshds: whose tree, what it would lose, and the exit statuses."""

from __future__ import annotations

import json

import pytest

from conftest import Lab

IO_URING = """
import ctypes, time
assert ctypes.CDLL(None).syscall(425, 4, ctypes.create_string_buffer(120)) >= 0
open("/tmp/ring-is-open", "w").close()
time.sleep(1000)
"""


def verdict(text: str) -> dict:
    return json.loads(text[text.index("{"):])


@pytest.mark.parametrize("distro", ["bookworm", "trixie"])
def test_a_session_is_found_checked_and_kept(lab: Lab, distro: str) -> None:
    machine = lab.machine(distro)
    with machine.session() as session:
        status, text = session.command("carryover check --json=short")
        print(text)
        found = verdict(text)
        assert status == 0
        assert found["machine"]["level"] == "ok"
        assert len(found["trees"]) == 1
        tree = found["trees"][0]
        assert tree["level"] == "ok", tree["notes"]
        assert tree["user"] == "root" and tree["connections"] == 1 and tree["terminals"] == 1
        assert tree["target"] == f"session:{tree['session']}"

        assert session.command("carryover list")[0] == 3
        assert session.command("carryover drop")[0] == 3
        status, text = session.command("carryover keep")
        assert status == 0 and f"{tree['target']} is kept." in text
        status, text = session.command("carryover keep")
        assert status == 0 and "already kept" in text
        status, text = session.command("carryover list")
        assert status == 0 and tree["name"] in text and "sshd" in text
        assert session.command("carryover drop")[0] == 0
        assert session.command("carryover list")[0] == 3


@pytest.mark.parametrize("distro", ["bookworm", "trixie"])
def test_a_user_behind_sudo_and_su(lab: Lab, distro: str) -> None:
    machine = lab.machine(distro)
    with machine.session("joe") as session:
        status, text = session.command("carryover check")
        assert status == 1 and "needs root: try sudo carryover check" in text
        session.command("setsid --fork sleep 1000 </dev/null >/dev/null 2>&1")
        status, text = session.command("sudo su -c 'sudo carryover check --json=short'")
        print(text)
        trees = verdict(text)["trees"]
        assert status == 0
        assert [t["user"] for t in trees] == ["joe", "joe"]
        assert trees[0]["comm"].startswith("sshd") and trees[0]["connections"] == 1
        assert trees[1]["comm"] == "sleep" and trees[1]["name"] == trees[0]["name"] + ".2"
        assert all(t["level"] == "ok" for t in trees), trees


def test_what_cannot_be_carried_is_refused_with_the_reason(lab: Lab) -> None:
    machine = lab.machine()
    machine.write("/root/ring", IO_URING)
    with machine.session() as session:
        session.command("python3 /root/ring & while [ ! -e /tmp/ring-is-open ]; do sleep 0.2; done")
        status, text = session.command("carryover check")
        print(text)
        assert status == 4 and "io-uring: python3" in text
        status, text = session.command("carryover keep")
        assert status == 4 and "not kept: python3" in text
        assert session.command("carryover list")[0] == 3
        assert session.command("kill %1")[0] == 0
        session.command("wait")
        session.command("setpriv --no-new-privs sleep 1000 & true")
        status, text = session.command("carryover check")
        assert status == 4 and "no-new-privs: sleep" in text, text
        assert session.command("kill %1")[0] == 0
        session.command("wait")
        assert session.command("carryover check")[0] == 0


def test_bad_targets(lab: Lab) -> None:
    machine = lab.machine()
    machine.run("systemd-run --unit=app sleep 1000")
    for target, status, says in (
            ("4", 2, "invalid target '4'"), ("session:no-such", 1, "session no-such does not exist"), ("pid:1", 4, "PID 1"),
            ("pid:2", 4, "every boot starts its own kernel threads"), ("unit:ssh", 4, "every boot starts its own sshd listener"),
            ("unit:systemd-logind", 4, "logind"), ("unit:app", 0, "unit:app.service"), ("pid:4194303", 1, "process 4194303 does not exist")):
        text = machine.run(f"carryover check {target} 2>&1; echo status $?", check=False)
        assert f"status {status}" in text and says in text, (target, text)


@pytest.mark.parametrize("distro", ["bookworm", "trixie"])
def test_sshd_without_pam_makes_no_session_and_is_found_all_the_same(lab: Lab, distro: str) -> None:
    machine = lab.machine(distro)
    machine.run("sed -i 's/^#*UsePAM.*/UsePAM no/' /etc/ssh/sshd_config && systemctl restart ssh")
    with machine.session() as session:
        assert ".scope" not in session.command("cat /proc/self/cgroup")[1]
        for listener in ("there", "restarted"):
            status, text = session.command("sudo carryover check --json=short")
            print(text)
            trees = verdict(text)["trees"]
            assert status == 0, listener
            assert len(trees) == 1 and trees[0]["comm"].startswith("sshd") and trees[0]["connections"] == 1
            assert trees[0]["target"] == f"pid:{trees[0]['root_pid']}"
            machine.run("systemctl restart ssh")
        assert session.command("carryover keep")[0] == 0
        status, text = session.command("carryover list")
        assert status == 0 and trees[0]["name"] in text
        assert session.command(f"carryover drop {trees[0]['target']}")[0] == 0


def test_what_lies_outside_is_named(lab: Lab) -> None:
    machine = lab.machine("trixie")
    with machine.session() as session:
        session.command("cd /tmp; exec 7>/tmp/volatile; sleep 1000 < /dev/null 8> >(setsid -w cat >/dev/null) & cd")
        status, text = session.command("carryover check")
        print(text)
        assert status == 0 and "/tmp" not in text, "what is open there is carried along"
        machine.run("systemd-run --service-type=exec --unit=private -p PrivateTmp=yes sleep 1000")
        status, text = session.command("carryover check unit:private")
        assert status == 4 and "runs in its own mount namespace" in " ".join(text.split()), text
        # What a scope cannot be given, by its property's name.
        for name, property_ in (("devices", "DevicePolicy=closed"), ("addresses", "IPAddressDeny=any"), ("files", "RestrictFileSystems=~tmpfs")):
            machine.run(f"systemd-run --service-type=exec --unit=only-{name} -p {property_} sleep 1000")
            status, text = session.command(f"carryover check unit:only-{name}")
            assert status == 4 and property_.split("=")[0] + "=" in text and "without this restriction" in " ".join(text.split()), text
