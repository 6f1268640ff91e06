# SPDX-License-Identifier: GPL-2.0-or-later
"""
The package's life, on both releases. Its first installation is that of every machine of the lab; here it is upgraded, removed, purged and installed again.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conftest import Lab
from lab import check, images
from lab.machine import Machine
from lab.ssh import SshSession
from lab.util import run

APT = "DEBIAN_FRONTEND=noninteractive apt-get -q -o APT::Sandbox::User=root -o Dpkg::Use-Pty=0 -y"
UNITS = "carryover.service carryover-early.service carryover-restore.service"

# Making an initrd is dear under emulation: only where it is looked at.
INITRD_CONF = "/etc/initramfs-tools/update-initramfs.conf"

# What both ways of an unattended reboot do (man/carryover.service.8): unattended-upgrades' own, and a jump after it.
OWN_REBOOT = "/sbin/shutdown -r now"
JUMP = "touch /run/reboot-required; systemctl start --no-block apt-daily-upgrade.service"
JUMP_DROPIN = "[Service]\nExecStartPost=sh -c 'test ! -e /run/reboot-required || carryover reboot --yes'\n"


def newer(deb: Path, directory: Path) -> Path:
    """The same package, one version on."""
    root = directory / "newer"
    run(["dpkg-deb", "--raw-extract", deb, root])
    control = root / "DEBIAN" / "control"
    control.write_text(re.sub(r"^(Version: .*)$", r"\1+1", control.read_text(), flags=re.MULTILINE))
    made = directory / "newer.deb"
    run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", root, made])
    return made


def make_initrds(machine: Machine, answer: str) -> None:
    machine.write(INITRD_CONF, f"update_initramfs={answer}\n")


def apt(machine: Machine, words: str) -> str:
    text = machine.run(f"{APT} {words} 2>&1", timeout=400)
    print(text)
    return text


def state_of(machine: Machine) -> str:
    """Is the same as long as carryover.service is neither stopped nor started anew."""
    return machine.run("systemctl show -p ActiveState -p InvocationID carryover.service")


def upgrade(machine: Machine, session: SshSession) -> None:
    """Without a stop, which would be the save. A newer kernel is there, so there is something to note."""
    number = check.before(machine, session).number
    joe = machine.session("joe")
    other = check.before(machine, joe).number
    before = state_of(machine)
    assert "ActiveState=active" in before
    code, text = session.command(f"{APT} install /root/newer.deb", 400)
    assert code == 0, text
    assert state_of(machine) == before
    assert machine.run("dpkg-query -W -f '${Version}' carryover").endswith("+1")
    kernels = re.escape(f"Linux {machine.layer.kernel_b} is installed, Linux {machine.layer.kernel_a} is running.")
    assert re.search(rf"A reboot is due: {kernels}\s+"
                     rf"carryover reboot would carry session:{number} \(root\)\s+"
                     rf"carryover reboot would end, unless kept: .*session:{other} \(joe\)", text), text

    hook = f"NR_SESSPPID={check.answer(joe, 'echo $$')} /etc/needrestart/notify.d/100-carryover; test $? = 1"
    machine.run(hook)
    joe.expect("It will end this session; to keep it, run: sudo carryover keep")
    check.answer(joe, "sudo carryover keep")
    machine.run(hook)
    joe.expect("It will carry this session")
    joe.close()


def remove(machine: Machine, session: SshSession) -> None:
    """One line for what relied on us, and nothing is left but the store."""
    check.answer(session, "carryover keep")
    machine.run("nft add table inet carryover")  # a hold, as a crash would leave it
    make_initrds(machine, "yes")
    text = apt(machine, "remove carryover")
    make_initrds(machine, "no")
    assert re.findall(r"^carryover: .*$", text, re.MULTILINE) == \
        ["carryover: kept sessions will not be carried over the next reboot"], text
    check.no_hold(machine)
    assert machine.run("systemctl list-units --all --no-legend --state=loaded 'carryover*'") == ""
    assert machine.run("find /usr /lib/systemd/ /run -xdev -name '*carryover*' ! -path '/run/systemd/*'") == ""
    assert "carryover" not in machine.run(f"lsinitramfs /boot/initrd.img-{machine.layer.kernel_b}")
    assert check.answer(session, "echo still here") == "still here"


def purge(machine: Machine) -> None:
    # apt's hook is still there in this run, what it calls is not.
    machine.run("install -d -m 700 /var/lib/carryover/save; touch /var/lib/carryover/save/image /etc/carryover.bak")
    text = apt(machine, "purge carryover")
    assert "warning" not in text, text
    left = machine.run("find / -xdev -name '*carryover*' ! -path '/root/*' ! -path '/var/cache/*' ! -path '/var/log/*'")
    assert left.split() == ["/etc/carryover.bak"], left


def install(machine: Machine) -> None:
    """Works at once, in this very boot."""
    apt(machine, "install /root/newer.deb")
    assert machine.run(f"systemctl is-enabled {UNITS}").split() == ["enabled"] * 3
    assert machine.run("systemctl is-active carryover.service").strip() == "active"
    assert int(machine.run("journalctl --list-catalog | grep -c carryover", check=False)) > 3
    assert machine.run("systemctl --failed --no-legend") == ""


@pytest.mark.parametrize("distro", ["bookworm", "trixie"])
def test_package(lab: Lab, distro: str) -> None:
    directory = images.package(distro)
    complaints = images.lintian(distro, directory)
    assert complaints == "", complaints
    machine = lab.machine(distro, "netns")
    machine.write("/root/newer.deb", newer(next(directory.glob("carryover_*.deb")), lab.directory).read_bytes())
    make_initrds(machine, "no")
    session = machine.session()
    upgrade(machine, session)
    remove(machine, session)
    purge(machine)
    install(machine)
    check.answer(session, "carryover check")


def run_reboot_test(machine: Machine, how: str) -> None:
    """debian/tests/reboot, by the protocol of autopkgtest."""
    machine.write("/tmp/autopkgtest-reboot", f"#!/bin/sh\necho $1 >/root/mark\necho rebooting\n{how}\n", "755")
    boot = machine.boot_id()
    session = machine.session()
    session.send_line("/root/reboot")
    session.expect(r"rebooting\r", 60)
    machine.wait_for_boot(boot)
    print(machine.run("AUTOPKGTEST_REBOOT_MARK=$(cat /root/mark) /root/reboot 2>&1", timeout=300))
    check.no_hold(machine)


def test_its_own_tests(lab: Lab) -> None:
    """debian/tests, the rebooting one over both ways of an unattended reboot."""
    machine = lab.machine("bookworm", "netns")
    for name in ("smoke", "reboot"):
        machine.write(f"/root/{name}", (images.SOURCE / "debian" / "tests" / name).read_text(), "755")
    machine.run("/root/smoke", timeout=120)
    run_reboot_test(machine, OWN_REBOOT)
    assert machine.kernel() == machine.layer.kernel_a
    machine.write("/etc/systemd/system/apt-daily-upgrade.service.d/carryover.conf", JUMP_DROPIN)
    machine.run("systemctl daemon-reload")
    run_reboot_test(machine, JUMP)
    assert machine.kernel() == machine.layer.kernel_b
