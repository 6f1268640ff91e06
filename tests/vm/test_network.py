# SPDX-License-Identifier: GPL-2.0-or-later
"""
Networks that come back late, or otherwise than they were: the session is carried and no
peer sees a reset; or it fails with the reason, and its peers see one soon.
"""

from __future__ import annotations

import re
import socket
import subprocess
import textwrap
import threading
import time

import pytest

from conftest import Lab
from lab import check, net
from lab.machine import Machine
from lab.util import BOUND, wait_for

OTHER4 = "10.0.2.77"
PORT = 7000
CALLER_TREE = "unit-caller.service"

# How soon a peer hears of a connection that does not come back.
RESET_WITHIN = 10.0


def configure(machine: Machine, *settings: str) -> None:
    """Every ssh session is carried."""
    machine.write("/etc/carryover/carryover.conf", "\n".join(["[Carryover]", "KeepSshSessions=yes", *settings, ""]))


def reconfigure(machine: Machine, files: dict[str, str]) -> None:
    """Give networkd other files; what it does then may cut us off for a moment."""
    machine.run("mkdir /root/network && mv /etc/systemd/network/*.network /root/network")
    for name, text in files.items():
        machine.write(f"/etc/systemd/network/{name}", textwrap.dedent(text))
    machine.run("systemctl restart --no-block systemd-networkd")


def by_dhcp(machine: Machine, more: str = "") -> net.Dhcp:
    """The machine has its IPv4 address by DHCP now."""
    server = machine.network.dhcp(net.GUEST4)
    reconfigure(machine, {"10-dhcp.network": f"""\
        [Match]
        Name=eth0
        [Network]
        DHCP=ipv4
        Address={net.GUEST6}/64
        IPv6AcceptRA=no
        {more}
        """})
    wait_for("an address by DHCP", lambda: has_address_by_dhcp(machine), 60, 0.5)
    return server


def has_address_by_dhcp(machine: Machine) -> bool:
    if not net.banner(machine.network.endpoint(machine.index)):
        return False
    return "dynamic" in machine.run(f"ip -4 addr show to {net.GUEST4}", check=False)


def tree(machine: Machine, name: str) -> dict:
    """What the report has of one tree."""
    return next(tree for tree in check.status(machine)["trees"] if tree["name"] == name)


def took(machine: Machine, name: str, step: str = "restore.network") -> tuple[float, float]:
    """When a tree began a step, by default to wait for its network, and for how long that took, both in seconds."""
    found = next(x for x in check.status(machine)["steps"] if (x["name"], x["tree"]) == (step, name))
    return found["realtime_usec"] / 1e6, found["duration_usec"] / 1e6


def when(packet: str) -> float:
    """The time of a line of tcpdump's, in seconds since the epoch."""
    found = re.match(r"(\S+ \S+)\.(\d+) ", packet)
    assert found, packet
    return time.mktime(time.strptime(found[1], "%Y-%m-%d %H:%M:%S")) + float(f"0.{found[2]}")


class Peer:
    """A program outside that the guest's programs connect to, at PORT."""

    def __init__(self, machine: Machine) -> None:
        self._listener = net.socket_in(machine.network.endpoint(machine.index))
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((net.HOST4, PORT))
        self._listener.listen()

    def accept(self) -> socket.socket:
        """The next connection."""
        self._listener.settimeout(60)
        connection, _ = self._listener.accept()
        connection.settimeout(60)
        return connection


# A program that needs the network, and goes on when its connection ends.
CALLER = f"""\
import socket, time
s = socket.create_connection(("{net.HOST4}", {PORT}))
print("connected", flush=True)
try:
    print("read", s.recv(16), flush=True)
except OSError as error:
    print("read", error, flush=True)
while True:
    time.sleep(1)
"""


def start(machine: Machine, unit: str, command: str) -> None:
    """Start a program as a unit of its own, which is kept."""
    machine.run(f"systemd-run -q --unit={unit} -p StandardOutput=file:/root/{unit}.out {command}")
    machine.run(f"carryover keep unit:{unit}.service")


# -- late -------------------------------------------------------------------------------------------------------


def test_late(lab: Lab) -> None:
    """
    IPv6 takes its time for duplicate address detection, and IPv4 comes only when a DHCP server is there at last: each session is
    back with its own address.
    """
    machine = lab.machine("bookworm", "netns")
    configure(machine)
    server = by_dhcp(machine, "IPv6DuplicateAddressDetection=8")
    v4, v6 = machine.session(), machine.session(family=6)
    old4, old6 = check.before(machine, v4), check.before(machine, v6)
    server.stop()
    probes = machine.network.capture(lab.directory / "probes.pcap", "icmp6 and src ::")
    with check.knocked(machine, [v4.local_port()]):
        v4.send_line("carryover reboot --yes; echo \"returned\" $?.")
        v4.expect("carryover reboot")
        old_boot = check.answer(v6, "cat /proc/sys/kernel/random/boot_id")
        assert old_boot == old4.boot_id
        wait_for("the session over IPv6 in the new boot", lambda: boot_of(v6) != old_boot, 240, 1)
        state = check.answer(v6, "carryover status --json=short | python3 -c "
                             "'import json, sys; print([(t[\"name\"], t[\"state\"]) for t in json.load(sys.stdin)[\"trees\"]])'")
        print(f"without an address by DHCP: {state}")
        assert f"('session-{old4.number}', 'pending')" in state
        machine.network.dhcp(net.GUEST4)
        assert v4.expect(r"returned (\d+)\.", 150).group(1) == "0", v4.text()[-2000:]
    for session, old in (v4, old4), (v6, old6):
        check.same_session(session, old)
    check.other_boot(machine, old4)
    check.steps(machine)
    probes.stop()
    count = len(probes.packets(f"ip6[40] = 135 and ip6[48:4] = {0xfd0000ca:#x}"))
    waited = {name: took(machine, f"session-{old.number}")[1] for name, old in (("IPv4", old4), ("IPv6", old6))}
    print(f"{count} probes for {net.GUEST6}; waited for the network: {waited}")
    assert count >= 5, "no duplicate address detection was seen"
    assert waited["IPv6"] < waited["IPv4"]
    check.clean_after(machine, old4, old6)


def boot_of(session) -> str:
    return check.answer(session, "cat /proc/sys/kernel/random/boot_id", 240)


def left_waiting(machine: Machine, session, number: str) -> None:
    """Another save may begin: of this session nothing but its address is waited for."""
    status, text = session.command("carryover check")
    print(text)
    assert status == 0 and f"session-{number} (" in text and "is not restored yet and would be carried along" in " ".join(text.split()), text


@pytest.mark.rotates
def test_late_over_another_reboot(lab: Lab) -> None:
    """
    A shutdown while one session waits for its address and another one is back: both are there after the next boot, each once.
    """
    machine = lab.machine("bookworm", "netns")
    configure(machine)
    server = by_dhcp(machine)
    v4, v6 = machine.session(), machine.session(family=6)
    old4, old6 = check.before(machine, v4), check.before(machine, v6)
    ticks4, ticks6 = check.counter(v4), check.counter(v6)
    server.stop()
    with check.knocked(machine, [v4.local_port()]):
        v4.send_line("carryover reboot --yes; echo \"returned\" $?.")
        v4.expect("carryover reboot")
        wait_for("the session over IPv6 in the new boot", lambda: boot_of(v6) != old4.boot_id, 240, 1)
        left_waiting(machine, v6, old4.number)

        # A save that stops leaves it as it was, and its restore begins once more.
        status, text = v6.command("echo carryover.fault=save:before-seal > /run/carryover-faults; carryover reboot --yes", 240)
        print(text)
        assert status == 1 and "not rebooted, all trees continue to run: fault point save:before-seal" in text, text
        ticks6.goes_on()
        left_waiting(machine, v6, old4.number)
        second = boot_of(v6)
        v6.send_line("systemctl reboot")
        wait_for("the session over IPv6 in the third boot", lambda: boot_of(v6) not in (old4.boot_id, second), 240, 1)
        ticks6.goes_on()
        machine.network.dhcp(net.GUEST4)
        assert v4.expect(r"returned (\d+)\.", 150).group(1) == "0", v4.text()[-2000:]
    for session, old, ticks in (v4, old4, ticks4), (v6, old6, ticks6):
        check.same_session(session, old)
        ticks.goes_on()
        print(f"counted to {ticks.check()}, none missing, none twice")
    check.steps(machine)
    trees = {tree["name"]: tree["state"] for tree in check.status(machine)["trees"]}
    assert trees == {f"session-{old.number}": "carried" for old in (old4, old6)}, trees
    check.clean_after(machine, old4, old6)


# -- another address --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tcp_close", ["no", pytest.param("yes", marks=pytest.mark.thorough)])
def test_other_address(lab: Lab, tcp_close: str) -> None:
    """DHCP gives another address: what had the old one fails and says so, or comes back without its connections."""
    machine = lab.machine("bookworm", "netns")
    configure(machine, "NetworkTimeoutSec=30s", f"TcpClose={tcp_close}")
    server = by_dhcp(machine)
    peer = Peer(machine)
    machine.write("/root/caller.py", CALLER)
    start(machine, "caller", "/usr/bin/python3 /root/caller.py")
    connection = peer.accept()
    session = machine.session()
    old = check.before(machine, session)
    port = session.local_port()
    name = f"session-{old.number}"

    server.stop()
    machine.network.dhcp(OTHER4)
    capture = machine.network.capture(lab.directory / "peer.pcap")
    session.send_line("carryover reboot --yes")
    machine.network.moved[machine.index] = OTHER4
    machine.wait_for_boot(old.boot_id)
    wait_for("the end of the restore", lambda: tree(machine, name)["state"] != "pending", 120, 1)
    with pytest.raises(ConnectionResetError):
        connection.recv(1)
    wait_for("the end of the ssh client", lambda: not session.alive(), 30)
    capture.stop()
    check.steps(machine)
    last = "restore.network" if tcp_close == "no" else "restore.criu"  # of what is known to have an end then
    for which, number in (name, port), (CALLER_TREE, PORT):
        resets = capture.resets(number)
        after = when(resets[0]) - sum(took(machine, which, last))
        print(f"{which}: {len(resets)} resets, the first {after:.2f} s behind the end of {last}: {resets[0]}")
        assert f" {net.GUEST4}." in resets[0] and -1 < after < RESET_WITHIN
    boot_went_on(machine, sum(took(machine, name)))
    caller, ssh = tree(machine, CALLER_TREE), tree(machine, name)
    print(caller, ssh, sep="\n")
    if tcp_close == "no":
        for failed in caller, ssh:
            assert failed["state"] == "failed" and f"address {net.GUEST4} is missing" in failed["reason"]
            assert machine.run(f"ls {failed['images']}/pstree.img")
    else:
        for back in caller, ssh:
            notes = {note["what"]: note["text"] for note in back["notes"]}
            assert back["state"] == "carried" and net.GUEST4 in notes["connections-closed"], back
        wait_for("the program to see the end", lambda: machine.run("cat /root/caller.out") == "connected\nread b''\n", 30, 0.5)
        assert machine.run("pgrep -f caller.py")
    check.no_hold(machine)


def boot_went_on(machine: Machine, end: float) -> None:
    """Nobody waited for the network with the restore: what is ordered behind it was let go long before."""
    ready, boot = (float(machine.run(f"systemctl show --timestamp=unix -P ActiveEnterTimestamp {unit}").strip().lstrip("@"))
                   for unit in ("carryover-restore", "multi-user.target"))
    print(f"ready {end - ready:.1f} s before the end of the wait, multi-user.target {end - boot:.1f} s")
    assert ready < end - 5


# -- an interface is gone -----------------------------------------------------------------------------------------

# In the next boot, before the network, the driver lets go of the device. It takes it back when a tree would long have failed.
GONE = """[Unit]
DefaultDependencies=no
ConditionKernelCommandLine=lab.gone
Before=network-pre.target systemd-networkd.service
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'until [ -e /sys/class/net/eth0 ]; do sleep 0.1; done; \\
    basename $(readlink -f /sys/class/net/eth0/device) | tee /run/device > /sys/bus/virtio/drivers/virtio_net/unbind'
[Install]
WantedBy=sysinit.target
"""
BACK = """[Unit]
ConditionKernelCommandLine=lab.gone
After=multi-user.target
[Service]
ExecStart=/bin/sh -c 'sleep 15; carryover status > /run/status; \\
    cat /run/device > /sys/bus/virtio/drivers/virtio_net/bind'
[Install]
WantedBy=graphical.target
"""


@pytest.mark.thorough
def test_interface_gone(lab: Lab) -> None:
    """
    Nobody could be told that a tree has failed, so what had an address there waits as long as there is no interface, and is back then;
    what needs no network is back before; nobody else waits.
    """
    machine = lab.machine("bookworm", "netns")
    configure(machine, "NetworkTimeoutSec=5s")
    machine.write("/etc/systemd/system/gone.service", GONE)
    machine.write("/etc/systemd/system/back.service", BACK)
    machine.run("systemctl enable gone back 2>&1; systemctl set-default graphical.target 2>&1")
    start(machine, "counter", "/bin/sh -c 'i=0; while :; do i=$((i+1)); echo $i > /root/count; sleep 0.2; done'")
    session = machine.session()
    old = check.before(machine, session)
    name = f"session-{old.number}"
    check.reboot(session, "carryover reboot --yes --append lab.gone")
    check.same_session(session, old)
    check.other_boot(machine, old)
    check.steps(machine)
    counter, ssh = tree(machine, "unit-counter.service"), tree(machine, name)
    print(counter, ssh, machine.run("cat /run/status"), sep="\n")
    assert "no network interface has a carrier" in machine.run("cat /run/status")
    began, lasted = took(machine, name)
    assert lasted > 15
    boot_went_on(machine, began + lasted)
    assert counter["state"] == "carried" and ssh["state"] == "carried", counter
    count = int(machine.run("cat /root/count"))
    wait_for("the counter to go on", lambda: int(machine.run("cat /root/count").strip() or "0") > count, 10)
    check.no_hold(machine)


# -- layers under the address -----------------------------------------------------------------------------------

MAC = "52:54:00:ca:00:00"

# IPv6 is on a bridge over a bond; IPv4 behind that bridge, on a VLAN whose other end is a port of it.
STACK = {
    "10-bond.netdev": "[NetDev]\nName=bond0\nKind=bond\nMACAddress=52:54:00:ca:01:01\n[Bond]\nMode=active-backup\nMIIMonitorSec=1s\n",
    "10-lan.netdev": "[NetDev]\nName=lan\nKind=bridge\nMACAddress=52:54:00:ca:01:02\n[Bridge]\nSTP=no\n",
    "10-inner.netdev": "[NetDev]\nName=inner\nKind=veth\nMACAddress=52:54:00:ca:01:03\n[Peer]\nName=outer\n",
    "10-inner5.netdev": "[NetDev]\nName=inner.5\nKind=vlan\n[VLAN]\nId=5\n",
    "10-outer5.netdev": "[NetDev]\nName=outer.5\nKind=vlan\n[VLAN]\nId=5\n",
    # Also when it has got another name.
    "20-port.network": f"[Match]\nPermanentMACAddress={MAC}\n[Network]\nBond=bond0\n",
    "20-bond.network": "[Match]\nName=bond0\n[Network]\nBridge=lan\nLinkLocalAddressing=no\n",
    "20-outer.network": "[Match]\nName=outer\n[Network]\nVLAN=outer.5\nLinkLocalAddressing=no\n",
    "20-outer5.network": "[Match]\nName=outer.5\n[Network]\nBridge=lan\nLinkLocalAddressing=no\n",
    "20-inner.network": "[Match]\nName=inner\n[Network]\nVLAN=inner.5\nLinkLocalAddressing=no\n",
    "20-inner5.network": f"[Match]\nName=inner.5\n[Network]\nAddress={net.GUEST4}/24\nGateway={net.HOST4}\nLinkLocalAddressing=no\n",
    "20-lan.network": f"[Match]\nName=lan\n[Network]\nAddress={net.GUEST6}/64\nIPv6AcceptRA=no\n",
}
RENAME = f"[Match]\nPermanentMACAddress={MAC}\n[Link]\nName=wan7\n"


@pytest.mark.rotates
def test_stack(lab: Lab) -> None:
    """The addresses are on a VLAN, a bridge and a bond, and the device below all of them gets another name."""
    machine = lab.machine("bookworm", "netns")
    configure(machine)
    # Who has an address answers for it, and nobody else.
    machine.write("/etc/sysctl.d/arp.conf", "net.ipv4.conf.all.arp_ignore = 1\n")
    machine.run("sysctl -q -p /etc/sysctl.d/arp.conf")
    reconfigure(machine, STACK)
    machine.network.ip("neigh", "flush", "dev", "br0")
    wait_for("the addresses in their places", lambda: in_places(machine), 60, 0.5)
    machine.write("/etc/systemd/network/10-rename.link", RENAME)
    v4, v6 = machine.session(), machine.session(family=6)
    old4, old6 = check.before(machine, v4), check.before(machine, v6)
    check.jump_under_knocks(machine, v4, old4, [v4.local_port()])
    check.same_session(v6, old6)
    links = machine.run("ip -br link")
    print(links)
    assert "wan7" in links and "eth0" not in links and in_places(machine)
    # Found below the bridge and the bond, for the next kernel to load early.
    assert machine.run("grep -ac virtio_net /var/lib/carryover/report").strip() == "1"
    check.clean_after(machine, old4, old6)


def in_places(machine: Machine) -> bool:
    if not net.banner(machine.network.endpoint(machine.index)):
        return False
    text = machine.run("ip -4 addr show dev inner.5; ip -6 addr show dev lan; ip -br link show master lan; ip -br link show master bond0",
                       check=False)
    return all(re.search(word, text, re.MULTILINE) for word in (net.GUEST4, net.GUEST6, "^bond0 ", "^outer.5@", "^(eth0|wan7) "))


# -- the machine's own NAT --------------------------------------------------------------------------------------

INSIDE4 = "192.168.77.1"
NAT = f"""#!/usr/sbin/nft -f
flush ruleset
table ip nat {{
    chain in {{ type nat hook prerouting priority dstnat; tcp dport 2222 redirect to :22; }}
    chain out {{ type nat hook postrouting priority srcnat; ip saddr {INSIDE4} meta l4proto tcp masquerade to :40000-40009; }}
}}
"""
# Speaks when it is spoken to, from an address that nobody outside knows.
SPEAKER = f"""\
import socket
s = socket.create_connection(("{net.HOST4}", {PORT}), source_address=("{INSIDE4}", 0))
while word := s.recv(64):
    s.sendall(word.upper())
"""


def say_until(connection: socket.socket, stop: threading.Event) -> None:
    """Never stop sending, whether there are answers or not."""
    while not stop.wait(0.5):
        connection.sendall(b"word ")


@pytest.mark.thorough
@pytest.mark.parametrize("hold", ["auto", "nftables"])
def test_own_nat(lab: Lab, hold: str) -> None:
    """A session whose port is redirected, and a program that is masqueraded: both go on under the addresses that their peers know."""
    machine = lab.machine("bookworm", "netns")
    configure(machine, f"Hold={hold}")
    machine.write("/etc/nftables.conf", NAT, "755")
    machine.write("/etc/systemd/network/30-inside.netdev", "[NetDev]\nName=inside\nKind=dummy\n")
    machine.write("/etc/systemd/network/30-inside.network", f"[Match]\nName=inside\n[Network]\nAddress={INSIDE4}/24\n")
    machine.run("systemctl enable --now nftables 2>&1 && networkctl reload")
    machine.write("/root/speaker.py", SPEAKER)
    wait_for("the address inside", lambda: INSIDE4 in machine.run("ip -4 addr show dev inside", check=False), 30, 0.5)
    peer = Peer(machine)
    start(machine, "speaker", "/usr/bin/python3 /root/speaker.py")
    speaker = peer.accept()
    host, outside_port = speaker.getpeername()
    assert host == net.GUEST4 and 40000 <= outside_port < 40010, f"no masquerade: {host} {outside_port}"
    speaker.sendall(b"before")
    assert speaker.recv(64) == b"BEFORE"

    session = machine.session(port=2222)
    old = check.before(machine, session)
    assert f":22 {net.HOST4}:{session.local_port()}" in " ".join(machine.run("ss -tnH").split())
    # No knocks: what is out of its window is no part of a translated connection, and draws a reset at any time.
    capture = machine.network.capture(lab.directory / "peer.pcap", "tcp[13] & 4 != 0")
    stop = threading.Event()
    talk = threading.Thread(target=say_until, args=(speaker, stop))
    talk.start()
    began, _ = check.reboot(session)
    stop.set()
    talk.join()
    check.same_session(session, old)
    speaker.sendall(b"after.")
    heard = b""
    while not heard.endswith(b"."):
        heard += speaker.recv(4096)
    print(f"the speaker answered {len(heard)} bytes over the jump")
    assert re.fullmatch(rb"(WORD ){20,}AFTER\.", heard), heard
    capture.stop()
    assert capture.resets(session.local_port()) == [] and capture.resets(PORT) == []
    check.other_boot(machine, old)
    assert speaker.getpeername() == (host, outside_port)
    check.gap_agrees(machine, session, began, old)
    check.steps(machine)
    speaker.close()
    wait_for("the end of the program", lambda: not machine.run("pgrep -f speaker.py", check=False), 30)
    check.clean_after(machine, old)


# -- many -------------------------------------------------------------------------------------------------------

MANY = 2000

# Outside: says back what it hears, on as many connections as come.
ECHO = f"""\
import resource, select, socket
resource.setrlimit(resource.RLIMIT_NOFILE, ({MANY} * 2, {MANY} * 2))
listener = socket.create_server(("{net.HOST4}", {PORT}), backlog={MANY})
poller, known = select.epoll(), {{}}
poller.register(listener)
while True:
    for fd, _ in poller.poll():
        if fd == listener.fileno():
            s, _ = listener.accept()
            known[s.fileno()] = s
            poller.register(s, select.EPOLLIN)
            continue
        word = known[fd].recv(64)
        if word:
            known[fd].sendall(word)
        else:
            poller.unregister(fd)
            known.pop(fd).close()
"""
# In the session: asks on each connection whenever it is told to.
ASK = f"""\
import resource, socket, time
resource.setrlimit(resource.RLIMIT_NOFILE, ({MANY} + 64, {MANY} + 64))
sockets = [socket.create_connection(("{net.HOST4}", {PORT})) for _ in range({MANY})]
for round in range(2):
    for i, s in enumerate(sockets):
        s.sendall(b"%d %d" % (round, i))
    right = sum(s.recv(64) == b"%d %d" % (round, i) for i, s in enumerate(sockets))
    print(f"round {{round}}: {{right}} right.", flush=True)
    input()
"""


@pytest.mark.thorough
def test_many_connections(lab: Lab) -> None:
    """A session that holds 2,000 connections: each of them goes on."""
    machine = lab.machine("bookworm", "netns")
    configure(machine)
    machine.write("/root/ask.py", ASK)
    (lab.directory / "echo.py").write_text(ECHO)
    echo = subprocess.Popen([*BOUND, *machine.network.prefix, "/usr/bin/python3", lab.directory / "echo.py"])
    try:
        session, asker = machine.session(), machine.session()
        old, old_asker = check.before(machine, session), check.before(machine, asker)
        asker.send_line("python3 /root/ask.py")
        assert asker.expect(r"round 0: (\d+) right\.", 120).group(1) == str(MANY)
        capture = machine.network.capture(lab.directory / "peer.pcap", "tcp[13] & 4 != 0")
        began, _ = check.reboot(session, timeout=400)
        check.same_session(session, old)
        check.other_boot(machine, old)
        asker.send("\r")
        assert asker.expect(r"round 1: (\d+) right\.", 120).group(1) == str(MANY)
        capture.stop()
        assert capture.resets() == []
    finally:
        echo.kill()
        echo.wait(10)
    check.steps(machine)
    check.gap_agrees(machine, session, began, old)
    asker.send("\r")
    check.same_session(asker, old_asker)
    check.clean_after(machine, old, old_asker)
