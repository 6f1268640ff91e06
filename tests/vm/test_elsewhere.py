# SPDX-License-Identifier: GPL-2.0-or-later
"""
What other systems do otherwise, on Debian 13: dracut makes the initrd and systemd listens for sshd, as in Ubuntu; the next kernel lies
where kernel-install puts it, as in Fedora. One jump for all of it.
"""

from __future__ import annotations

import pytest

from conftest import Lab
from lab import check, images
from lab.machine import Machine
from lab.ssh import SshSession

# Ubuntu's, where Debian's starts one sshd for each connection.
SOCKET = """[Unit]
Before=sockets.target ssh.service
[Socket]
ListenStream=
ListenStream=0.0.0.0:22
ListenStream=[::]:22
BindIPv6Only=ipv6-only
Accept=no
FreeBind=yes
[Install]
WantedBy=sockets.target
RequiredBy=ssh.service
"""
SQUATTER = "import socket,time; s = socket.socket(); s.setsockopt(1, 2, 1); s.bind(('', 22)); s.listen(); time.sleep(999)"


def listen_by_socket(machine: Machine) -> None:
    machine.write("/etc/systemd/system/ssh.socket", SOCKET)
    machine.run("systemctl daemon-reload; systemctl disable ssh.service; systemctl enable ssh.socket;"
                "systemctl stop ssh.service; systemctl start ssh.socket")
    assert machine.run("systemctl is-active ssh.socket").strip() == "active"
    assert machine.run("ss -Hltnp 'sport = 22'").count("systemd") == 2


def part_in_initrd(machine: Machine) -> None:
    """dpkg's trigger made it, and debian/tests finds it."""
    assert machine.run("command -v update-initramfs", check=False) == ""
    machine.write("/root/smoke", (images.SOURCE / "debian" / "tests" / "smoke").read_text(), "755")
    machine.run("/root/smoke", timeout=180)


def kernel_by_entry(machine: Machine) -> None:
    """Not by its name in /boot, but by an entry of the boot loader's."""
    kernel = machine.layer.kernel_b
    place = "/0123456789abcdef/" + kernel
    machine.write(f"/boot/loader/entries/lab-{kernel}.conf",
                  f"title Lab\nversion {kernel}\nlinux {place}/linux\ninitrd {place}/initrd\n")
    machine.run(f"mkdir -p /boot{place}; mv /boot/vmlinuz-{kernel} /boot{place}/linux; mv /boot/initrd.img-{kernel} /boot{place}/initrd")


def port_is_taken(machine: Machine, session: SshSession) -> None:
    """A connection that comes back can be in the socket's way for a moment; nobody may be locked out then."""
    machine.write("/root/start", "systemctl start ssh.socket; code=$?; systemctl stop squatter.service; exit $code\n")
    check.answer(session, "systemctl reset-failed; systemctl stop ssh.socket ssh.service")
    check.answer(session, f'systemd-run -q --unit=squatter python3 -c "{SQUATTER}"')
    check.answer(session, "until ss -Hltn 'sport = 22' | grep -q LISTEN; do sleep 0.1; done")
    code, text = session.command("sh /root/start")
    assert code != 0, text
    machine.wait_for_ssh(60)


@pytest.mark.thorough
def test_as_elsewhere(lab: Lab) -> None:
    machine = lab.machine("trixie", "netns", dracut=True)
    part_in_initrd(machine)
    listen_by_socket(machine)
    kernel_by_entry(machine)
    session = machine.session("joe")
    old = check.before(machine, session)
    ticks = check.counter(session)
    # Neither the socket nor the sshd that it has started is something that the reboot would end.
    code, text = session.command("sudo carryover check --all")
    assert code == 4 and "0 carried, 0 with losses, 1 lost" in text and f"session:{old.number}" in text, text
    check.reboot(session, "sudo carryover reboot")
    check.same_session(session, old)
    ticks.goes_on()
    ticks.check()
    check.other_boot(machine, old)
    assert machine.run("systemctl is-active ssh.socket").strip() == "active"
    # The hold was up before any driver: by dracut's first hook, in the kernel that came.
    assert "dracut" in machine.run("journalctl -b -o cat _PID=1 | grep -i -m1 dracut")
    check.clean_after(machine, old)
    port_is_taken(machine, machine.session("root"))
