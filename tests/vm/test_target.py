# SPDX-License-Identifier: GPL-2.0-or-later
"""
The kernel that comes next is looked at before anything is touched: its modules, its initrd, and whether CRIU will
do there. And what the running one needs until then is loaded while it is still on disk. No jump: all is refused.
"""

from __future__ import annotations

import json
import time

from conftest import Lab
from lab.check import no_hold
from lab.machine import Machine
from lab.ssh import SshSession


def machine_notes(session: SshSession) -> tuple[int, dict[str, dict]]:
    """The exit status of `carryover check`, and what it says of the machine."""
    began = time.monotonic()
    status, text = session.command("carryover check --json=short 2>/dev/null")
    found = json.loads(text[text.index("{"):])["machine"]
    print(f"check: {status} {found['level']} after {time.monotonic() - began:.1f} s: "
          f"{[note['text'] for note in found['notes']]}")
    return status, {note["what"]: note for note in found["notes"]}


def refused(session: SshSession, says: str, words: str = "") -> None:
    """`carryover reboot` does nothing, and says in one line why and what to do."""
    status, text = session.command(f"carryover reboot {words} 2>&1 >/dev/null")
    print(text)
    lines = [line for line in text.splitlines() if line.startswith("carryover: ")]
    assert status == 4 and len(lines) == 1 and "not rebooted" in lines[0] and says in lines[0], text


def without_our_part(machine: Machine, session: SshSession, kernel: str) -> None:
    """An initrd that was made before the hook was there."""
    initrd, remedy = f"/boot/initrd.img-{kernel}", f"update-initramfs -u -k {kernel}"
    machine.run(f"mv {initrd} /root/initrd && cd /etc/initramfs-tools && find . | cpio -o -H newc | gzip > {initrd}")
    status, notes = machine_notes(session)
    assert status == 0 and notes["kernel"]["level"] == "degraded" and remedy in notes["kernel"]["text"]
    refused(session, remedy)
    machine.run(f"mv /root/initrd {initrd}")
    assert machine_notes(session) == (0, {})


def without_modules(machine: Machine, session: SshSession, kernel: str) -> None:
    """A kernel that is only half there."""
    machine.run(f"mv /lib/modules/{kernel} /root/modules")
    assert f"linux-image-{kernel}" in machine_notes(session)[1]["kernel"]["text"]
    refused(session, f"linux-image-{kernel}")
    machine.run(f"mv /root/modules /lib/modules/{kernel}")


def too_new_for_criu(machine: Machine, session: SshSession, kernel: str) -> None:
    """Where this CRIU is known to fail nothing goes, by whichever way; an older kernel does."""
    new = "6.17.8+deb14-amd64"
    machine.run(f"ln /boot/vmlinuz-{kernel} /boot/vmlinuz-{new}; ln /boot/initrd.img-{kernel} /boot/initrd.img-{new}; "
                f"ln -s {kernel} /lib/modules/{new}")
    status, notes = machine_notes(session)
    assert status == 4 and notes["target"]["level"] == "refused" and "criu 4.2.0 or later" in notes["target"]["text"]
    for words in ("", f"--kernel={new}", "--no-kexec", "--force"):
        refused(session, "criu 4.2.0 or later", words)
    assert session.command("carryover keep 2>/dev/null")[0] == 4
    # The way out that it names gets as far as the load.
    status, text = session.command(f"carryover reboot --yes --kernel={kernel} --append=$'\\001'")
    assert status == 1 and "control character" in text, text
    machine.run(f"rm /boot/*-{new} /lib/modules/{new}")


def own_modules_removed(machine: Machine, session: SshSession) -> None:
    """An upgrade takes the running kernel's modules away: what is needed is there already."""
    machine.run("nft add table inet t && nft add chain inet t c '{ type filter hook input priority 0; }' && "
                "nft add rule inet t c ct state established accept")  # begins to track
    assert session.command("carryover keep >/dev/null")[0] == 0
    machine.run("mv /lib/modules/$(uname -r) /root/modules")
    loaded = machine.run("cut -d' ' -f1 /proc/modules").split()
    assert {"unix_diag", "tcp_diag", "udp_diag", "netlink_diag", "af_packet_diag", "nf_tables", "iptable_raw",
            "ip6table_raw", "nf_conntrack_netlink"} <= set(loaded)
    assert machine_notes(session) == (0, {})
    # carryover came after the upgrade: too late, and it says so before anything is stopped.
    machine.run("nft flush ruleset; for i in 1 2 3; do grep -oE '^(nft_|nf_tables|ip6?table_raw)\\w*' /proc/modules | "
                "xargs -rn1 rmmod; done 2>/dev/null; rmmod nf_tables 2>&1 | grep 'not currently loaded'")
    status, notes = machine_notes(session)
    assert status == 4 and notes["hold"]["level"] == "refused" and "iptable_raw" in notes["hold"]["text"]
    refused(session, "reinstall its package")


def test_target(lab: Lab) -> None:
    machine = lab.machine()
    boot_id, kernel = machine.boot_id(), machine.layer.kernel_b
    with machine.session() as session:
        assert machine_notes(session) == (0, {})
        without_our_part(machine, session, kernel)
        without_modules(machine, session, kernel)
        too_new_for_criu(machine, session, kernel)
        no_hold(machine)
        own_modules_removed(machine, session)  # nobody could list a hold any more
    assert machine.boot_id() == boot_id
    assert machine.run("cat /sys/kernel/kexec_loaded").strip() == "0"
