# SPDX-License-Identifier: GPL-2.0-or-later
"""
What a tree needs of the next boot is waited for, and what no boot brings is refused before: a home on NFS, disks on
loop devices, a profile of AppArmor, and a network that is not there for longer than a tree's own time. One jump for all.
"""

from __future__ import annotations

import pytest

from conftest import Lab
from lab import check
from lab.machine import Machine
from lab.nfs import SOURCE, Nfs
from lab.util import wait_for

CONF = "[Carryover]\nKeepSshSessions=yes\nNetworkTimeoutSec=8s\n"

# Longer than that after it could have failed, and nobody can be asked but the console.
LOOK = """[Unit]
ConditionKernelVersion={kernel}
After=sysinit.target carryover-restore.service
[Service]
ExecStart=/bin/sh -c 'sleep 12; carryover status; ls -l /mnt/home; echo still waiting'
StandardOutput=file:/dev/ttyS0
[Install]
WantedBy=multi-user.target
"""

FSTAB = f"{SOURCE} /mnt/home nfs4 _netdev 0 0\n/root/listed.img /mnt/listed ext4 loop 0 0\n"


def disks(machine: Machine) -> None:
    """A home on a server and a disk that fstab lists; and a disk that somebody has mounted."""
    machine.run("mkdir /mnt/home /mnt/listed /mnt/hand; for i in listed hand; do truncate -s 8M /root/$i.img; "
                "mke2fs -q -t ext4 /root/$i.img; done")
    machine.run("cat >> /etc/fstab; systemctl daemon-reload; mount /mnt/home && mount /mnt/listed; "
                "mount -o loop /root/hand.img /mnt/hand", stdin=FSTAB)
    # What would be found under the mount point.
    machine.run("mount --bind / /media && echo wrong > /media/mnt/home/log; umount /media")


def waits_without_carrier(machine: Machine, begin: int) -> None:
    """The cable is pulled while the kernel changes, and comes back when whatever has a bound is over."""
    assert machine.qmp
    machine.wait_for_serial("Starting new kernel", 180, begin)
    machine.qmp.command("set_link", name="net0", up=False)
    machine.wait_for_serial("still waiting", 240, begin)
    console = machine.serial.read_text(errors="replace")[begin:]
    assert "because: no network interface has a carrier" in " ".join(console.split()), console[-3000:]
    machine.qmp.command("set_link", name="net0", up=True)


@pytest.mark.rotates
def test_needs(lab: Lab) -> None:
    machine = lab.machine("trixie", "netns", fat=True)
    server = Nfs(machine.network)
    try:
        needs(machine, server)
    finally:
        server.close()


def needs(machine: Machine, server: Nfs) -> None:
    machine.write("/etc/carryover/carryover.conf", CONF)
    machine.write("/etc/systemd/system/look.service", LOOK.format(kernel=machine.layer.kernel_b))
    machine.run("systemctl enable look 2>&1")
    disks(machine)
    session, reader = machine.session(), machine.session()
    old, olds = check.before(machine, session), check.before(machine, reader)
    check.answer(session, "cd /mnt/home; exec 7>>log 8>>/mnt/listed/log 9>>/mnt/hand/log; echo before >&7; echo before >&8")

    refused = " ".join(machine.run(f"carryover check session:{old.number}; true").split())
    assert "/mnt/hand, where /dev/loop" in refused and "add the mount to /etc/fstab" in refused, refused
    assert "/mnt/home" not in refused and "/mnt/listed" not in refused, refused
    check.answer(session, "exec 9>&-; umount /mnt/hand")

    reader.send_line("man mosh")
    reader.expect("Manual page")
    label = machine.run("cat /proc/$(pgrep -ox man)/attr/current")
    assert label.strip() == "/usr/bin/man (enforce)"
    print(machine.run("carryover check"))

    begin = machine.serial.stat().st_size
    session.send_line("carryover reboot --yes; echo returned $?.")
    waits_without_carrier(machine, begin)
    assert session.expect(r"returned (\d+)\.", 240).group(1) == "0", session.text()[-2000:]
    check.other_boot(machine, old)
    check.steps(machine)
    check.same_session(session, old)

    waited = {step["name"]: step["duration_usec"] / 1e6 for step in check.status(machine)["steps"] if step["tree"] == f"session-{old.number}"}
    assert waited["restore.network"] > 12 and "restore.mounts" in waited, waited
    assert check.answer(session, "echo after >&7; echo after >&8; pwd; cat log /mnt/listed/log").split() == \
        ["/mnt/home", "before", "after", "before", "after"]
    assert (server.directory / "log").read_text() == "before\nafter\n"
    assert machine.run("cat /proc/$(pgrep -ox man)/attr/current") == label
    reader.send("q")
    wait_for("the end of man", lambda: not machine.run("pgrep -x man", check=False), 30, 0.5)
    check.same_session(reader, olds)
    check.clean_after(machine, old, olds)
