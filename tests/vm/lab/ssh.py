# SPDX-License-Identifier: GPL-2.0-or-later
"""
Real OpenSSH clients, kept open over a kexec.

SshSession   on a terminal of its own, as a person at a keyboard would have it
SshShell     without a terminal: a shell fed by a pipe, to move bulk data on one connection
Upload       `ssh host 'cat > file'`, fed at leisure; Download is the other way
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pty
import random
import re
import signal
import statistics
import struct
import subprocess
import termios
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from . import images
from .net import Endpoint
from .util import BOUND, LabError, wait_for


def client(endpoint: Endpoint, user: str, terminal: bool = False, shared: Path | None = None) -> list[str]:
    """
    The words that start ssh there. It never gives up by itself, and asks nothing. Those with the same `shared` socket are one login:
    the first one makes it, the others are channels of its connection. That one does give up, when the machine goes down.
    """
    options = {
        "BatchMode": "yes", "IdentitiesOnly": "yes", "ControlMaster": "no", "LogLevel": "ERROR",
        "StrictHostKeyChecking": "no", "UserKnownHostsFile": "/dev/null",
        "GlobalKnownHostsFile": "/dev/null", "TCPKeepAlive": "no", "ServerAliveInterval": "0",
        "ConnectTimeout": "30",
        # The default key exchange costs an emulated guest seconds.
        "KexAlgorithms": "curve25519-sha256",
    }
    if shared:
        options |= {"ControlMaster": "auto", "ControlPath": f"{shared}-%r", "ControlPersist": "120",
                    "ServerAliveInterval": "5", "ServerAliveCountMax": "3"}
    words = [*BOUND, *endpoint.prefix, "ssh", "-F", "none", "-i", str(images.ssh_key()),
             "-p", str(endpoint.port), "-l", user, "-tt" if terminal else "-T"]
    for name, value in options.items():
        words += ["-o", f"{name}={value}"]
    return [*words, endpoint.host]


def plain(text: str) -> str:
    """Text as a person reads it: without carriage returns, what only steers a terminal, and lines that were written over."""
    text = re.sub(r"[^\n]*\r\x1b\[K", "", text)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b\][^\x07]*\x07|\x1b[=>]|\r", "", text)


@dataclass(frozen=True)
class Chunk:
    """Bytes that came from the guest, and when."""

    time: float
    data: bytes


class _Client:
    """An ssh process whose output a thread collects, each piece with its time."""

    def __init__(self, process: subprocess.Popen[bytes], output: int) -> None:
        self.process = process
        self.chunks: list[Chunk] = []
        self._text = bytearray()
        self._cursor = 0
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._collect, args=(output,), daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """The ssh client's process."""
        return self.process.pid

    def local_port(self) -> int:
        """The client's side of the TCP connection, as the client's own kernel knows it."""
        inodes = {os.readlink(f"/proc/{self.pid}/fd/{fd}")
                  for fd in os.listdir(f"/proc/{self.pid}/fd")}
        for table in ("tcp", "tcp6"):
            with open(f"/proc/{self.pid}/net/{table}", encoding="ascii") as file:
                for words in map(str.split, list(file)[1:]):
                    if f"socket:[{words[9]}]" in inodes:
                        return int(words[1].rsplit(":", 1)[1], 16)
        raise LabError(f"ssh client {self.pid} has no TCP connection any more")

    def alive(self) -> bool:
        """Whether the client still runs; one whose connection died has ended."""
        return self.process.poll() is None

    def text(self) -> str:
        """All output until now."""
        with self._changed:
            return self._text.decode("utf-8", "replace")

    def expect(self, pattern: str, timeout: float = 30) -> re.Match[str]:
        """Wait for a match in the output behind the last match; what was before is passed over."""
        compiled = re.compile(pattern.encode(), re.MULTILINE)
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                found = compiled.search(self._text, self._cursor)
                if found:
                    self._cursor = found.end()
                    text = found.group(0).decode("utf-8", "replace")
                    match = re.search(pattern, text, re.MULTILINE)
                    assert match, f"'{pattern}' looks beyond what it matches"
                    return match
                left = deadline - time.monotonic()
                if left <= 0 or self._ended:
                    rest = self._text[self._cursor:][-600:].decode("utf-8", "replace")
                    why = "the client ended" if self._ended else f"nothing within {timeout:.0f} s"
                    raise LabError(f"waiting for '{pattern}' in the session: {why}; seen: {rest!r}")
                self._changed.wait(left)

    def longest_gap(self, since: float = 0, until: float | None = None) -> float:
        """The longest silence between two pieces of output (monotonic times)."""
        times = [chunk.time for chunk in list(self.chunks) if chunk.time >= since]
        if until is not None:
            times = [moment for moment in times if moment <= until]
        return max((b - a for a, b in zip(times, times[1:])), default=0.0)

    def close(self) -> None:
        """End the client, hard."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        self._thread.join(10)

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _first(self, step: Callable[[], object]) -> None:
        # A client that never got through its login has no owner yet who would end it.
        try:
            step()
        except BaseException:
            self.close()
            raise

    def _collect(self, output: int) -> None:
        while True:
            try:
                data = os.read(output, 65536)
            except OSError:
                data = b""  # what a terminal answers when its other side is gone
            with self._changed:
                if data:
                    self.chunks.append(Chunk(time.monotonic(), data))
                    self._text += data
                else:
                    self._ended = True
                self._changed.notify_all()
            if not data:
                os.close(output)
                return


class Terminal(_Client):
    """A program on a terminal of its own, typed into and read from."""

    def __init__(self, argv: list[str]) -> None:
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        process = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave,
                                   start_new_session=True,
                                   preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self._master = os.dup(master)
        super().__init__(process, master)

    def send(self, data: str | bytes) -> None:
        """Press keys."""
        data = data.encode() if isinstance(data, str) else data
        while data:
            data = data[os.write(self._master, data):]

    def send_line(self, line: str) -> None:
        """Type a line and press return."""
        self.send(line + "\r")

    def close(self) -> None:
        super().close()
        if self._master >= 0:
            os.close(self._master)
            self._master = -1


class SshSession(Terminal):
    """An interactive login."""

    def __init__(self, endpoint: Endpoint, user: str, command: str | None = None) -> None:
        super().__init__(client(endpoint, user, terminal=True) + ([command] if command else []))
        if command is None:
            self._first(lambda: self.expect(r"[$#] ", 60))

    def command(self, line: str, timeout: float = 60) -> tuple[int, str]:
        """Run a line in the session's shell; its exit status and what it printed."""
        word = f"{random.getrandbits(32):08x}"
        # The word is typed in two halves, so its echo is not taken for the answer.
        self.send_line(f"{line}; printf '\\n{word[:4]}%s %d\\n' {word[4:]} $?")
        self.expect(rf"{word[4:]} \$\?", timeout)
        # What a background job prints may stand before the word, without an end of line.
        found = self.expect(rf"(?s)(.*?){word} (\d+)\r?\n", timeout)
        return int(found.group(2)), plain(found.group(1)).strip("\n")

    def echo_latency(self, keys: int = 10, timeout: float = 60) -> float:
        """The median time from a keystroke to its echo, at a shell prompt; leaves the line empty."""
        times = []
        for _ in range(keys):
            began = time.monotonic()
            self.send("x")
            self.expect("x", timeout)
            times.append(time.monotonic() - began)
        self.send("\x15")
        return statistics.median(times)


class SshShell(_Client):
    """A shell without a terminal. One connection, on which bulk data goes both ways."""

    def __init__(self, endpoint: Endpoint, user: str = "root") -> None:
        process = subprocess.Popen([*client(endpoint, user), "exec bash"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin and process.stdout
        self._stdin = process.stdin
        super().__init__(process, os.dup(process.stdout.fileno()))
        process.stdout.close()
        self._first(lambda: self.command("true", 60))

    def command(self, line: str, timeout: float = 60, stdin: bytes = b"") -> str:
        """Run a line, with `stdin` following it on the same stream; what it printed."""
        word = f"{random.getrandbits(32):08x}"
        begin = self._cursor
        self._stdin.write(f"{line}; echo {word}\n".encode() + stdin)
        self._stdin.flush()
        self.expect(f"{word}\n", timeout)
        with self._changed:
            return self._text[begin:self._cursor - len(word) - 1].decode("utf-8", "replace")

    def upload_rate(self, size: int, timeout: float = 300) -> float:
        """Bytes per second towards the guest."""
        data = random.randbytes(size)
        began = time.monotonic()
        self.command(f"head -c {size} >/dev/null", timeout, data)
        return size / (time.monotonic() - began)

    def download_rate(self, size: int, timeout: float = 300) -> float:
        """Bytes per second from the guest."""
        began = time.monotonic()
        self._stdin.write(f"head -c {size} /dev/zero\n".encode())
        self._stdin.flush()
        with self._changed:
            wanted = self._cursor + size
            if not self._changed.wait_for(lambda: len(self._text) >= wanted, timeout):
                raise LabError(f"{wanted - len(self._text)} bytes missing after {timeout:.0f} s")
            self._cursor = wanted
        return size / (time.monotonic() - began)

    def close(self) -> None:
        super().close()
        with contextlib.suppress(BrokenPipeError):  # unsent bytes of a client that is gone
            self._stdin.close()


class _Transfer:
    """A file on its way, in a thread; what went so far, and its checksum at the end."""

    def __init__(self, argv: list[str]) -> None:
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.done = 0
        self._progress = [(time.monotonic(), 0)]
        self._hash = hashlib.sha256()
        self._thread = threading.Thread(target=self._move, daemon=True)
        self._thread.start()

    def wait_for_bytes(self, count: int, timeout: float = 120) -> None:
        """Wait until this many bytes have gone."""
        wait_for(f"{count} bytes", lambda: self.done >= count, timeout)

    def longest_stall(self, since: float = 0) -> tuple[float, int]:
        """The longest time without a byte (monotonic times), and how many had gone when it began."""
        seen = [(moment, done) for moment, done in list(self._progress) if moment >= since]
        return max(((b[0] - a[0], a[1]) for a, b in zip(seen, seen[1:])), default=(0.0, self.done))

    def finish(self, timeout: float) -> str:
        """Wait for the end; the checksum (sha256) of what this side saw."""
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise LabError(f"transfer stopped at {self.done} bytes")
        status = self.process.wait(timeout)
        if status != 0:
            raise LabError(f"transfer ended with {status} after {self.done} bytes")
        return self._hash.hexdigest()

    def close(self) -> None:
        """End the client, hard, if it still runs."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        self._thread.join(10)

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _moved(self, data: bytes, rate: float | None) -> None:
        self._hash.update(data)
        self.done += len(data)
        self._progress.append((time.monotonic(), self.done))
        if rate:
            # No more than the rate from here on: what was missed in a silence is not caught up with.
            time.sleep(len(data) / rate)

    def _move(self) -> None:
        raise NotImplementedError


class Upload(_Transfer):
    """`ssh host 'cat > path'` with `size` random bytes, at most `rate` bytes per second."""

    def __init__(self, endpoint: Endpoint, path: str, size: int, user: str = "root",
                 rate: float | None = None) -> None:
        self._size = size
        self._rate = rate
        super().__init__([*client(endpoint, user), f"cat > '{path}'"])

    def end_after(self, more: int) -> None:
        """Let it end when this many more bytes have gone, for one whose end is not known at its beginning."""
        self._size = self.done + more

    def _move(self) -> None:
        assert self.process.stdin
        try:
            while (left := self._size - self.done) > 0:
                data = random.randbytes(min(65536, left))
                self.process.stdin.write(data)
                self._moved(data, self._rate)
            self.process.stdin.close()
        except BrokenPipeError:
            pass  # finish() tells it by the client's exit status


class Download(_Transfer):
    """`ssh host 'cat path'`, read until it ends, at most `rate` bytes per second."""

    def __init__(self, endpoint: Endpoint, path: str, user: str = "root",
                 rate: float | None = None) -> None:
        self._rate = rate
        super().__init__([*client(endpoint, user), f"cat '{path}'"])

    def _move(self) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        while data := self.process.stdout.read1(65536):
            self._moved(data, self._rate)
