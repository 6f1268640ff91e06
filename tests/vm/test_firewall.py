# SPDX-License-Identifier: GPL-2.0-or-later
"""
Firewalls that stop behind the save, start beside the restore, and load their rules again and again in both, while the peer
never stops sending.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import pytest

from conftest import Lab
from lab import check
from lab.machine import Machine
from lab.net import GUEST4
from lab.util import wait_for

NFTABLES = """#!/usr/sbin/nft -f
flush ruleset
table inet filter {
    chain input {
        type filter hook input priority 0; policy drop;
        ct state established,related accept
        iif lo accept
        tcp dport 22 accept
        meta l4proto { icmp, ipv6-icmp } accept
    }
}
"""

# Debian 12 has no log files for it to read.
FAIL2BAN = """[DEFAULT]
backend = systemd
banaction = nftables-multiport
[sshd]
enabled = true
"""

# Loads the rules in a loop, for longer than the firewalls themselves are there: from before the network, until behind the save. One
# `ufw reload` is dozens of changes in many seconds, so the kernel's word for each is kept, too.
RELOADER = """[Unit]
DefaultDependencies=no
Conflicts=shutdown.target
After=carryover-early.service
Before=network-pre.target carryover.service shutdown.target
[Service]
ExecStart=/bin/sh -c 'nft monitor | sed -unE "s/^# new generation .* by process .* [(](.*)[)]/changed by \\\\1/p" & \\
    while :; do {also}; sleep 1; done & \\
    while :; do {command} && echo loaded; sleep 0.2; done'
SyslogIdentifier=reloader
StandardError=null
[Install]
WantedBy=sysinit.target
"""


@dataclass(frozen=True)
class Firewall:
    """
    How it is set up, the units that are enabled, what loads its rules once more, what else is done then, and what shows that it is
    as hostile as it is said to be.
    """

    setup: str
    units: str
    reload: str
    also: str = "true"
    proof: str = "true"


FIREWALLS = {
    "nftables": Firewall("chmod 755 /etc/nftables.conf", "nftables fail2ban",
                         "nft -f /etc/nftables.conf", "fail2ban-client reload"),
    "firewalld": Firewall("true", "firewalld", "firewall-cmd --reload"),
    # Where the administrator prefers the old tools, it flushes the kernel's table `raw`, too.
    "firewalld-legacy": Firewall("update-alternatives --set iptables /usr/sbin/iptables-legacy && "
                                 "update-alternatives --set ip6tables /usr/sbin/ip6tables-legacy && "
                                 "sed -i s/^FirewallBackend=.*/FirewallBackend=iptables/ /etc/firewalld/firewalld.conf",
                                 "firewalld", "firewall-cmd --reload",
                                 proof="iptables-legacy -t raw -A OUTPUT -s 203.0.113.9 -j ACCEPT && firewall-cmd --reload && "
                                       "! iptables-legacy -t raw -S | grep 203.0.113.9"),
    "ufw": Firewall("ufw allow 22/tcp && ufw --force enable", "ufw", "ufw reload"),
}


def set_up(machine: Machine, firewall: Firewall, hold: str) -> None:
    """Enable and start it, and the loop that loads its rules."""
    machine.write("/etc/carryover/carryover.conf", f"[Carryover]\nKeepSshSessions=yes\nHold={hold}\n")
    machine.write("/etc/nftables.conf", NFTABLES)
    machine.write("/etc/fail2ban/jail.d/lab.conf", FAIL2BAN)
    machine.write("/etc/systemd/system/reloader.service", RELOADER.format(command=firewall.reload, also=firewall.also))
    machine.run(f"{{ {firewall.setup}; }} && systemctl enable --now {firewall.units} 2>&1", timeout=120)
    machine.run(firewall.proof, timeout=120)
    machine.run("systemctl enable --now reloader 2>&1")
    wait_for("rules that were loaded again", lambda: machine.run("journalctl -b -t reloader | grep loaded", check=False), 120, 1)


# CRIU's own lock is one of nftables, if it has one.
OURS = ("carryover", "criu")


def changed_meanwhile(machine: Machine, firewall: Firewall) -> None:
    """Rules were loaded or flushed between the dump and the jump, and between the claim and the report."""
    steps = check.status(machine)["steps"]
    begin = min(step["realtime_usec"] for step in steps if step["name"] == "save.dump")
    end = max(step["realtime_usec"] + step["duration_usec"] for step in steps)
    unit = firewall.units.split()[0]
    for boot, act in ("-1", "Stopped"), ("0", "Started|Finished"):
        text = machine.run(f"journalctl -b {boot} --no-hostname --since @{begin / 1e6:.6f} --until @{end / 1e6:.6f}")
        loads = len(re.findall(r"reloader\[\d+\]: loaded", text))
        acts = re.findall(rf"({act}) {unit}\.service", text)
        changes = Counter(name for name in re.findall(r"reloader\[\d+\]: changed by (.*)", text) if not name.startswith(OURS))
        print(f"boot {boot}, under the hold: rules loaded {loads} times; {unit} {acts}; changes {dict(changes)}")
        assert loads + len(acts) + changes.total() > 0, f"boot {boot}: no rule changed under the hold"


@pytest.mark.parametrize("name, hold", [
    ("nftables", "nftables"),
    pytest.param("firewalld", "auto", marks=pytest.mark.thorough),
    pytest.param("ufw", "nftables", marks=pytest.mark.thorough),
    pytest.param("ufw", "iptables", marks=pytest.mark.thorough),
    pytest.param("firewalld", "nftables", marks=pytest.mark.thorough),
    pytest.param("firewalld-legacy", "nftables", marks=pytest.mark.thorough),
])
def test_firewall(lab: Lab, name: str, hold: str) -> None:
    machine = lab.machine("bookworm", "netns")
    firewall = FIREWALLS[name]
    set_up(machine, firewall, hold)
    session = machine.session()
    old = check.before(machine, session)
    ticks = check.counter(session)
    # The report counts by the wall clock, which the next kernel takes from the hardware; rules that are loaded in a loop let an emulated
    # one fall seconds behind that.
    print(machine.run("rtc=$(cat /sys/class/rtc/rtc0/since_epoch); echo \"clock: $(date +%s.%N), hardware: $rtc\"; date -s @$rtc"))
    check.jump_under_knocks(machine, session, old, [session.local_port()])
    ticks.check()
    machine.run("systemctl disable --now reloader 2>&1")
    changed_meanwhile(machine, firewall)
    active = machine.run(f"systemctl is-active {firewall.units}").split()
    assert set(active) == {"active"}, active
    check.clean_after(machine, old)


# systemd-tmpfiles, which the restore waits for, takes long, while the network is up and rules are flushed.
SLOW = f"""[Service]
ExecStartPre=/bin/sh -c 'until ip -4 addr show dev eth0 | grep -q {GUEST4}; do sleep 0.1; done; \\
    for i in 1 2 3 4 5; do nft flush ruleset; echo flushed; sleep 1; done'
"""


@pytest.mark.thorough
def test_flushed_before_restore(lab: Lab) -> None:
    """The network is up, a firewall flushes its rules, and the restore has not begun yet."""
    machine = lab.machine("bookworm", "netns")
    machine.write("/etc/carryover/carryover.conf", "[Carryover]\nKeepSshSessions=yes\nHold=nftables\n")
    machine.write("/etc/systemd/system/systemd-tmpfiles-setup.service.d/slow.conf", SLOW)
    session = machine.session()
    old = check.before(machine, session)
    check.jump_under_knocks(machine, session, old, [session.local_port()])
    flushed = machine.run("journalctl -b -u systemd-tmpfiles-setup -o short-unix -g flushed")
    first = float(flushed.split()[0])
    began = min(step["realtime_usec"] for step in check.status(machine)["steps"] if step["name"] == "restore.prepare") / 1e6
    print(f"flushed {flushed.count('flushed')} times, first {began - first:.1f} s before the restore began")
    assert first < began
    check.clean_after(machine, old)
