# SPDX-License-Identifier: GPL-2.0-or-later
"""
What comes to a port while nobody has it: a roaming client goes on with its server, a peer whose socket is connected
hears no ICMP error, and who begins to connect in the gap is let in when it is over.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from dataclasses import dataclass

import pytest

from conftest import Lab
from lab import check, net
from lab.machine import Machine
from lab.ssh import Terminal
from lab.util import BOUND, wait_for

PORT = 7000

# The peer takes it that the gap has begun when this long nothing was answered; under emulation a busy guest takes tenths.
SILENCE = 3.0

# Answers each datagram and each connection with a number, and neither twice with the same.
SERVER = f"""\
import select, socket
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(("0.0.0.0", {PORT}))
listener = socket.create_server(("0.0.0.0", {PORT}), backlog=64)
n = 0
while True:
    for ready in select.select([datagrams, listener], [], [])[0]:
        n += 1
        if ready is datagrams:
            data, peer = datagrams.recvfrom(64)
            datagrams.sendto(str(n).encode(), peer)
        else:
            connection, _ = listener.accept()
            connection.sendall(str(n).encode())
            connection.close()
"""


@dataclass
class Attempt:
    """One attempt to connect: when it began and ended, and the number that came of it, or why none did."""

    began: float
    ended: float
    answer: str

    @property
    def waited(self) -> float:
        """For how long it was in vain."""
        return self.ended - self.began


class Caller:
    """
    A peer with a connected socket of UDP that asks ten times a second, and as soon as nobody answers any more tries to connect every
    other second, until an attempt of the gap has come to its end.
    """

    def __init__(self, machine: Machine) -> None:
        self._endpoint = machine.network.endpoint(machine.index)
        self._datagrams = net.socket_in(self._endpoint, socket.SOCK_DGRAM)
        self._datagrams.settimeout(0.1)
        self._datagrams.connect((self._endpoint.host, PORT))
        self.numbers: list[int] = []
        self.errors: list[str] = []
        self.attempts: list[Attempt] = []
        self._heard = time.monotonic()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=step, daemon=True) for step in (self._ask, self._knock)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Come to an end with everything that was begun."""
        self._stop.set()
        for thread in self._threads:
            thread.join(120)
        assert not any(thread.is_alive() for thread in self._threads), "an attempt to connect has no end"
        self._datagrams.close()

    def through(self) -> bool:
        """Whether an attempt that met the gap was let in."""
        return any(attempt.waited > SILENCE and attempt.answer.isdigit() for attempt in list(self.attempts))

    def _ask(self) -> None:
        while not self._stop.wait(0.1):
            try:
                self._datagrams.send(b"x")
                self.numbers.append(int(self._datagrams.recv(64)))
                self._heard = time.monotonic()
            except TimeoutError:
                pass
            except OSError as error:
                self.errors.append(str(error))

    def _knock(self) -> None:
        begun: list[threading.Thread] = []
        while not self._stop.wait(2):
            if self.through() or time.monotonic() < self._heard + SILENCE:
                continue
            begun.append(threading.Thread(target=self._connect, daemon=True))
            begun[-1].start()
        for thread in begun:
            thread.join(100)

    def _connect(self) -> None:
        began = time.monotonic()
        with net.socket_in(self._endpoint) as connection:
            connection.settimeout(90)  # the SYN of 67 s is within, and after a longer gap the next one, of 131 s, is not
            try:
                connection.connect((self._endpoint.host, PORT))
                answer = connection.recv(64).decode()
            except OSError as error:
                answer = str(error)
        self.attempts.append(Attempt(began, time.monotonic(), answer))


class Mosh(Terminal):
    """A mosh client in the peer's namespace, and its server, with a shell of joe's, in the guest."""

    def __init__(self, machine: Machine) -> None:
        endpoint = machine.network.endpoint(machine.index)
        text = machine.run("LC_ALL=C.UTF-8 mosh-server new -s 2>&1", user="joe")
        found = re.search(r"^MOSH CONNECT (\d+) (\S+)", text, re.MULTILINE)
        assert found, text
        self.port = int(found[1])
        self.server = int(machine.run("pgrep -o -x mosh-server"))  # beside it, until the client is there, its shell
        # Without prediction what is seen has been at the server.
        environment = ["env", f"MOSH_KEY={found[2]}", "LC_ALL=C.UTF-8", "TERM=xterm", "MOSH_PREDICTION_DISPLAY=never"]
        super().__init__([*BOUND, *endpoint.prefix, *environment, "mosh-client", endpoint.host, found[1]])
        self._lines = 0

    def answers(self, expression: str, timeout: float = 60) -> str:
        """What the shell makes of an expression."""
        self._lines += 1
        self.send_line(f"echo begin$(({self._lines} * 11)):{expression}:end")
        return self.expect(rf"begin{self._lines * 11}:(\S+?):end", timeout).group(1)


def refusals(capture: net.Capture) -> list[str]:
    """What the guest refused: ICMP's "port unreachable", or a reset from a port of ours."""
    return capture.packets(f"src {net.GUEST4} and ((icmp[0] = 3 and icmp[1] = 3) or (tcp src port {PORT} and tcp[13] & 4 != 0))")


@pytest.mark.rotates
@pytest.mark.parametrize(("distro", "hold"), [("bookworm", "iptables"), ("trixie", "nftables")])
def test_ports(lab: Lab, distro: str, hold: str) -> None:
    """A mosh session, a server of UDP and a listener, with peers that do not wait for them."""
    machine = lab.machine(distro, "netns", fat=True)
    machine.write("/etc/carryover/carryover.conf", f"[Carryover]\nHold={hold}\n")
    machine.write("/root/server.py", SERVER)
    machine.run("systemd-run -q --unit=server /usr/bin/python3 /root/server.py && carryover keep unit:server.service")
    # A peer behind a router does not know that its neighbour answers no ARP.
    mac = re.search(r"lladdr (\S+)", machine.network.ip("neigh", "show", net.GUEST4))
    assert mac
    machine.network.ip("neigh", "replace", net.GUEST4, "lladdr", mac[1], "dev", "br0", "nud", "permanent")
    with Mosh(machine) as mosh:
        shell = mosh.answers("$$")
        bound = machine.run(f"ss -Hlun sport = :{mosh.port}")
        assert f"{net.GUEST4}:{mosh.port}" in bound, bound
        print(machine.run(f"carryover keep pid:{mosh.server}; carryover check 2>&1", check=False))
        session = machine.session()
        old = check.before(machine, session)
        capture = machine.network.capture(lab.directory / "peer.pcap", f"icmp or tcp port {PORT} or udp")
        caller = Caller(machine)
        wait_for("answers to datagrams", lambda: len(caller.numbers) > 3, 30)
        check.reboot(session)
        check.same_session(session, old)
        check.other_boot(machine, old)
        wait_for("one who was let in", caller.through, 100, 0.5)
        seen = len(caller.numbers)
        wait_for("answers to datagrams", lambda: len(caller.numbers) > seen + 3, 30)
        caller.stop()
        assert mosh.answers("$$") == shell and mosh.alive()
        assert machine.run("pgrep -x mosh-server").strip() == str(mosh.server)
    capture.stop()
    check.steps(machine)
    states = {tree["name"]: tree["state"] for tree in check.status(machine)["trees"]}
    print(states)
    assert len(states) == 3 and set(states.values()) == {"carried"}, states
    waits = [(attempt.answer, round(attempt.waited, 1)) for attempt in caller.attempts]
    print(f"attempts to connect, and how long each took: {waits}")
    assert all(answer.isdigit() or answer == "timed out" for answer, _ in waits), "somebody was refused"
    numbers = [*caller.numbers, *(int(answer) for answer, _ in waits if answer.isdigit())]
    assert len(set(numbers)) == len(numbers), "another server, or the same one once more"
    assert not caller.errors, caller.errors[:5]
    assert not refusals(capture), refusals(capture)[:5]
    check.no_hold(machine)
