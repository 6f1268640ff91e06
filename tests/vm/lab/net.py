# SPDX-License-Identifier: GPL-2.0-or-later
"""
Networks for machines. Two kinds, with the same addresses inside the guest:

UserNet     QEMU's own TCP: patient, and without any TCP option; a good odd peer.
NetnsNet    a network namespace of the test's own with a bridge: a real Linux TCP stack
            outside the guest, IPv6, several machines, and packets that can be captured.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .util import BOUND, LabError, run, wait_for

CLONE_NEWNET = 0x40000000
SO_SNDBUFFORCE = 32

GUEST4 = "10.0.2.15"
GUEST6 = "fd00:ca::15"
HOST4 = "10.0.2.2"
HOST6 = "fd00:ca::2"


@dataclass(frozen=True)
class Endpoint:
    """Where a machine's sshd is reached, and the words that start a client there."""

    host: str
    port: int
    prefix: tuple[str, ...] = ()


class Network(Protocol):
    """What a Machine asks of its network."""

    kind: str

    def attach(self, index: int) -> tuple[list[str], tuple[str, ...]]:
        """QEMU's -netdev arguments for guest number `index`, and what QEMU is started by."""

    def endpoint(self, index: int, family: int = 4) -> Endpoint:
        """Where the guest's sshd is."""

    def close(self) -> None:
        """Remove the network; its machines are gone already."""


class UserNet:
    """QEMU's user network, the guest's port 22 on a free port of loopback."""

    kind = "user"

    def __init__(self) -> None:
        self._ports: dict[int, int] = {}

    def attach(self, index: int) -> tuple[list[str], tuple[str, ...]]:
        self._ports[index] = _free_port()
        forward = f"hostfwd=tcp:127.0.0.1:{self._ports[index]}-{GUEST4}:22"
        return [f"user,id=net0,{forward}"], ()

    def endpoint(self, index: int, family: int = 4) -> Endpoint:
        if family != 4:
            raise LabError("QEMU's user network forwards IPv4 only; use a NetnsNet")
        return Endpoint("127.0.0.1", self._ports[index])

    def close(self) -> None:
        self._ports.clear()


class NetnsNet:
    """A network namespace with a bridge; guest `index` has the last address byte 15 + index."""

    kind = "netns"

    def __init__(self) -> None:
        self.name = f"lab-{os.getpid()}-{id(self):x}"[:28]
        self.moved: dict[int, str] = {}  # guests that have another IPv4 address now
        self.prefix = ("ip", "netns", "exec", self.name)
        self._captures: list[Capture] = []
        self._servers: list[Dhcp | Receiver] = []
        run(["ip", "netns", "add", self.name])
        self.ip("link", "set", "lo", "up")
        # No spanning tree and no multicast snooping: a packet that the guest's hold drops
        # must be the only thing that can be missing.
        self.ip("link", "add", "br0", "type", "bridge", "stp_state", "0", "mcast_snooping", "0")
        self.ip("addr", "add", f"{HOST4}/24", "dev", "br0")
        self.ip("addr", "add", f"{HOST6}/64", "dev", "br0", "nodad")
        self.ip("link", "set", "br0", "up")

    def ip(self, *words: str) -> str:
        """Run ip(8) in the namespace."""
        return run(["ip", "-netns", self.name, *words])

    def run(self, *words: object) -> str:
        """Run any command in the namespace."""
        return run([*self.prefix, *words])

    def attach(self, index: int) -> tuple[list[str], tuple[str, ...]]:
        tap = f"tap{index}"
        self.ip("tuntap", "add", tap, "mode", "tap")
        self.ip("link", "set", tap, "master", "br0", "up")
        return [f"tap,id=net0,ifname={tap},script=no,downscript=no"], self.prefix

    def endpoint(self, index: int, family: int = 4) -> Endpoint:
        host = self.moved.get(index, f"10.0.2.{15 + index}") if family == 4 else f"fd00:ca::{15 + index}"
        return Endpoint(host, 22, self.prefix)

    def capture(self, file: Path, expression: str = "tcp") -> "Capture":
        """Record what passes the bridge, until stop()."""
        capture = Capture(self.prefix, file, expression)
        self._captures.append(capture)
        return capture

    def receiver(self, directory: Path) -> "Receiver":
        """Keep what is posted to HOST4, until stop()."""
        server = Receiver(self.prefix, directory)
        self._servers.append(server)
        return server

    def dhcp(self, address: str) -> "Dhcp":
        """Give whoever asks for one this address, until stop()."""
        server = Dhcp(self.prefix, address)
        self._servers.append(server)
        return server

    def close(self) -> None:
        for opened in [*self._captures, *self._servers]:
            opened.stop()
        run(["ip", "netns", "delete", self.name])


def sweep() -> list[str]:
    """Remove the namespaces of tests that were killed; returns their names."""
    gone = []
    for line in run(["ip", "netns", "list"]).splitlines():
        name = line.split()[0]
        owner = re.fullmatch(r"lab-(\d+)-[0-9a-f]+", name)
        if owner and not Path(f"/proc/{owner.group(1)}").exists():
            run(["ip", "netns", "delete", name])
            gone.append(name)
    return gone


# Each body that is posted becomes a file, whole when it has its name.
RECEIVER = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    seen = 0
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Handler.seen += 1
        name = f"{sys.argv[2]}/{Handler.seen:03}"
        with open(name + ".part", "wb") as file:
            file.write(body)
        os.rename(name + ".part", name)
        self.send_response(204)
        self.end_headers()
server = http.server.HTTPServer((sys.argv[1], 8080), Handler)
print("ready", flush=True)
server.serve_forever()
"""


class Receiver:
    """An HTTP server outside, at HOST4:8080, that keeps what is posted."""

    def __init__(self, prefix: tuple[str, ...], directory: Path) -> None:
        self._directory = directory
        directory.mkdir()
        self._process = subprocess.Popen([*BOUND, *prefix, sys.executable, "-c", RECEIVER, HOST4, str(directory)],
                                         stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        assert self._process.stdout and self._process.stdout.readline() == b"ready\n"

    def bodies(self) -> list[bytes]:
        """What has come until now, in order."""
        return [path.read_bytes() for path in sorted(self._directory.glob("[0-9][0-9][0-9]"))]

    def stop(self) -> None:
        """End it."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(10)


class Capture:
    """A running tcpdump. The file can be counted in with any filter after stop()."""

    def __init__(self, prefix: tuple[str, ...], file: Path, expression: str) -> None:
        self.file = file
        self._log = file.with_suffix(".log")
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [*BOUND, *prefix, "tcpdump", "-U", "--immediate-mode", "-n", "-s", "128", "-Z", "root", "-i", "br0",
                 "-w", str(file), expression],
                stdout=subprocess.DEVNULL, stderr=log, stdin=subprocess.DEVNULL)
        wait_for("tcpdump", lambda: "listening on" in self._log.read_text(), 10)

    def stop(self) -> None:
        """End the recording; what was seen until now is in the file."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(10)

    def packets(self, expression: str) -> list[str]:
        """The packets that match, as tcpdump prints them."""
        text = run(["tcpdump", "-n", "-tttt", "-r", self.file, expression])
        return [line for line in text.splitlines() if line[:4].isdigit()]

    def resets(self, port: int | None = None) -> list[str]:
        """Every TCP reset, either way, of both families; of one client port if given."""
        # The tcp[] accessor knows IPv4 only: for IPv6 look behind the fixed header.
        flags = "(tcp[tcpflags] & tcp-rst != 0 or (ip6 and ip6[6] = 6 and ip6[53] & 4 != 0))"
        return self.packets(flags + (f" and tcp port {port}" if port else ""))


class Dhcp:
    """A DHCP server that has one address to give."""

    def __init__(self, prefix: tuple[str, ...], address: str) -> None:
        words = ["--keep-in-foreground", "--conf-file=/dev/null", "--log-facility=-", "--user=root", "--port=0",
                 "--pid-file=", "--interface=br0", "--bind-interfaces", "--no-ping", "--leasefile-ro",
                 "--dhcp-authoritative", f"--dhcp-range={address},{address},1h", f"--dhcp-option=option:router,{HOST4}"]
        self._process = subprocess.Popen([*BOUND, *prefix, "dnsmasq", *words], stdout=subprocess.DEVNULL,
                                         stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

    def stop(self) -> None:
        """Answer nobody any more."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(10)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Knocker:
    """
    A peer that never stops sending on a connection. A real one backs off to one segment in ten seconds, so this
    repeats an acknowledgement from far outside the window, fifty times a second: a living socket answers
    with another now and then, and a machine that has no such socket answers each with a reset.
    """

    SEQUENCE = 0x0C1140C1  # by which a capture tells these segments from the connection's own
    FILTER = f"tcp[4:4] = {SEQUENCE:#x}"

    def __init__(self, endpoint: Endpoint, ports: list[int]) -> None:
        self._socket = socket_in(endpoint, socket.SOCK_RAW, socket.IPPROTO_RAW)
        # A guest between two kernels takes nothing from its device: what waits there must not make us wait.
        self._socket.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 64 << 20)
        # Nor must a neighbour that answers no ARP: a peer behind a router does not even know.
        words = ["ip", "-netns", endpoint.prefix[-1], "neigh"]
        found = re.search(r"dev (\S+) lladdr (\S+)", run([*words, "show", endpoint.host]))
        assert found, f"{endpoint.host} is no neighbour"
        run([*words, "replace", endpoint.host, "lladdr", found[2], "dev", found[1], "nud", "permanent"])
        self._host = endpoint.host
        self._segments = [self._segment(port, endpoint) for port in ports]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._knock, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let the peer be silent again."""
        self._stop.set()
        self._thread.join()
        self._socket.close()

    def _knock(self) -> None:
        while not self._stop.wait(0.02):
            for segment in self._segments:
                self._socket.sendto(segment, (self._host, 0))

    def _segment(self, port: int, endpoint: Endpoint) -> bytes:
        addresses = socket.inet_aton(HOST4) + socket.inet_aton(endpoint.host)
        tcp = struct.pack(">HHIIBBHHH", port, endpoint.port, self.SEQUENCE, 1, 5 << 4, 0x10, 512, 0, 0)
        words = struct.unpack(">16H", addresses + struct.pack(">HH", socket.IPPROTO_TCP, len(tcp)) + tcp)
        total = sum(words)
        total = (total & 0xffff) + (total >> 16)
        checksum = ~((total & 0xffff) + (total >> 16)) & 0xffff
        # The kernel fills in the length, the number and the checksum of the IP header.
        head = struct.pack(">BBHHHBBH", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_TCP, 0) + addresses
        return head + tcp[:16] + struct.pack(">HH", checksum, 0)


def socket_in(endpoint: Endpoint, kind: socket.SocketKind = socket.SOCK_STREAM,
              protocol: int = 0) -> socket.socket:
    """A socket of this process in the endpoint's network namespace."""
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    if not endpoint.prefix:
        return socket.socket(family, kind, protocol)
    made: list[socket.socket | OSError] = []

    # setns() moves one thread only: a thread that ends right after leaves no trace.
    def make() -> None:
        try:
            with open(f"/run/netns/{endpoint.prefix[-1]}", "rb") as namespace:
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            made.append(socket.socket(family, kind, protocol))
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


def banner(endpoint: Endpoint, timeout: float = 5) -> str | None:
    """The greeting of the sshd there, or None while there is none."""
    with socket_in(endpoint) as probe:
        probe.settimeout(timeout)
        try:
            probe.connect((endpoint.host, endpoint.port))
            return probe.recv(256).decode("ascii", "replace") or None
        except OSError:
            return None
