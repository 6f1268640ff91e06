#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Shows what carryover does. A machine with two kernels runs under QEMU; an ssh client outside opens a session, in
which a counter runs, while another uploads a file. In that session `carryover reboot` is typed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path
from typing import Callable, Iterator, Protocol

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from lab import images  # noqa: E402
from lab.check import Counter, status  # noqa: E402
from lab.machine import Machine  # noqa: E402
from lab.net import NetnsNet  # noqa: E402
from lab.ssh import SshSession, Upload, plain  # noqa: E402
from lab.util import SOURCE, LabError, run, wait_for  # noqa: E402

COLUMNS = 100
UPLOADED = "/root/upload"
# Half of what an emulated machine takes: the upload is in full flow without taking the processor from the rest.
RATE = 500e3
# What still follows when the upload flows again.
LAST_BYTES = 3 << 20
# Longer than any round trip that was ever seen here, three times over.
REBOOT_TIMEOUT = 300.0

# What of the serial console tells where the machine is.
MILESTONES = re.compile(
    r"Starting new kernel|Linux version|Welcome to|Mounting root file system|arryover"
    r"|(Stopped target|Reached target) (multi-user|network|kexec|final)\.target"
    r"|(Stopped|Started) (ssh|systemd-networkd)\.service")


class Failed(Exception):
    """The demo did not show what it is to show."""


# -- the screen -----------------------------------------------------------------------------

class Screen:
    """Lines of several voices, each with the time since the start. Colours only on a terminal."""

    COLOURS = {"session": "36", "counter": "32", "upload": "33", "machine": "35", "demo": "1"}

    def __init__(self) -> None:
        self.began = time.monotonic()
        self._lock = threading.Lock()
        self._colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def paint(self, text: str, colour: str) -> str:
        """The text in a colour, where there are colours."""
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colours and colour else text

    def say(self, voice: str, text: str) -> None:
        """A line of one voice; broken where it is too long."""
        head = f"{time.monotonic() - self.began:3.0f} {voice:<7}|"
        text = re.sub(r"\x1b.|[\x00-\x08\x0b-\x1f\x7f]", "", text)  # what plain() leaves, it would steer this terminal
        for line in textwrap.wrap(text, COLUMNS - len(head) - 1, drop_whitespace=False) or [""]:
            self.show(f"{self.paint(head, self.COLOURS[voice])} {line.rstrip()}")

    def show(self, text: str = "") -> None:
        """A line of the demo itself."""
        with self._lock:
            print(text, flush=True)


class View(Protocol):
    """One side of what happens: look() says what is new since the last look."""

    def look(self) -> None: ...


class SessionView:
    """What the person at the terminal sees, with the counter's numbers put together ten by ten."""

    TICK = re.compile(r"tick-(\d+)-\r*\n?")

    def __init__(self, screen: Screen, session: SshSession, log: Path) -> None:
        self._screen = screen
        self._session = session
        self._log = log
        self._seen = session.text().rfind("\n") + 1  # behind the greeting
        self._numbers: list[str] = []

    def look(self) -> None:
        text = self._session.text()
        end = text.rfind("\n") + 1
        new, self._seen = text[self._seen:end], max(end, self._seen)
        with self._log.open("a", newline="") as log:
            log.write(new)
        for line in plain(self.TICK.sub("", new)).splitlines():
            if line.strip() and not line.endswith(":~# "):
                self._screen.say("session", line)
        self._numbers += self.TICK.findall(new)
        while len(self._numbers) >= 10:
            self._screen.say("counter", " ".join(self._numbers[:10]))
            del self._numbers[:10]


class UploadView:
    """How far the upload is, when it stops to flow and when it flows again."""

    EVERY, SILENT = 4.0, 2.0

    def __init__(self, screen: Screen, upload: Upload) -> None:
        self._screen = screen
        self._upload = upload
        self._told = self._moved = time.monotonic()
        self._told_bytes = self._bytes = 0
        self._silent = False

    def look(self) -> None:
        now, done = time.monotonic(), self._upload.done
        if done > self._bytes:
            if self._silent:
                self._screen.say("upload", f"flows again after {now - self._moved:.1f} s")
                self._told, self._told_bytes, self._silent = now, done, False
            self._bytes, self._moved = done, now
        elif not self._silent and now - self._moved > self.SILENT and self._upload.process.poll() is None:
            self._screen.say("upload", f"{done / 1e6:.1f} MB sent, no answer; the client waits")
            self._silent = True
        if not self._silent and now - self._told > self.EVERY and done > self._told_bytes:
            rate = (done - self._told_bytes) / (now - self._told)
            self._screen.say("upload", f"{done / 1e6:.1f} MB sent, {rate / 1e6:.2f} MB/s")
            self._told, self._told_bytes = now, done


class MachineView:
    """The milestones on the machine's serial console."""

    def __init__(self, screen: Screen, serial: Path) -> None:
        self._screen = screen
        self._serial = serial
        self._offset = serial.stat().st_size

    def look(self) -> None:
        with self._serial.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        data = data[:data.rfind(b"\n") + 1]
        self._offset += len(data)
        for line in plain(data.decode("utf-8", "replace")).splitlines():
            if MILESTONES.search(line) and " Job " not in line:
                line = re.sub(r"^(\[ *[\d.]+\] Linux version \S+) .*", r"\1", line)
                self._screen.say("machine", line)


class Watch:
    """Looks at all views, in a thread, until it is closed."""

    def __init__(self) -> None:
        self._views: list[View] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def add(self, view: View) -> None:
        """Look at this one, too."""
        self._views.append(view)

    def close(self) -> None:
        """Look a last time, then no more."""
        self._end.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._end.wait(0.1):
            self._look()
        self._look()

    def _look(self) -> None:
        for view in list(self._views):
            view.look()


# -- the demo -------------------------------------------------------------------------------

class Demo:
    """One run: its machine, its clients, and what was true before the jump."""

    def __init__(self, screen: Screen, machine: Machine, watch: Watch) -> None:
        self.screen = screen
        self.machine = machine
        self.watch = watch
        self.session = self._open_session()
        self.session.send_line("uname -r")
        self.session.expect(r"\d\S+\r\n(.|\n)*?# ", 30)
        self.counter = Counter(self.session)
        self.upload = self._open_upload()
        self.boot_id, self.kernel = machine.boot_id(), machine.kernel()
        self.client = (self.session.pid, self.session.local_port())
        self.typed_at = 0.0
        self.returned = -1
        self.digest = ""

    def _open_session(self) -> SshSession:
        session = self.machine.session()
        self.screen.say("demo", f"ssh client {session.pid} is logged in from TCP port {session.local_port()}")
        self.watch.add(SessionView(self.screen, session, self.machine.directory / "session.log"))
        return session

    def _open_upload(self) -> Upload:
        self.screen.say("demo", f"a second client uploads: ssh ... 'cat > {UPLOADED}'")
        upload = self.machine.upload(UPLOADED, 1 << 40, rate=RATE)
        self.watch.add(UploadView(self.screen, upload))
        upload.wait_for_bytes(1 << 20)
        return upload

    def keep_upload(self) -> None:
        """Keep the other session, too: `carryover reboot` alone carries its own."""
        name = self.machine.run(
            r"sed -n 's/.*session-\(.*\)\.scope.*/\1/p' /proc/$(pgrep -n -x cat)/cgroup").strip()
        self.session.send_line(f"carryover keep session:{name}")
        if not self.session.expect(r"is (kept)\.|carryover: .*", 90).group(1):
            raise Failed("`carryover keep` did not keep the upload's session")

    def reboot(self) -> None:
        """Type it, and wait for its return in the other kernel."""
        self.session.expect(r"# ", 30)
        self.typed_at = time.monotonic()
        self.session.send_line('carryover reboot; echo "returned $? in Linux $(uname -r)"')
        found = self.session.expect(r"returned (\d+) in Linux (\S+)", REBOOT_TIMEOUT)
        self.returned = int(found.group(1))
        if self.returned == 0:
            self.counter.goes_on(10)

    def finish_upload(self) -> None:
        """Wait until it flows again, and for its end."""
        before = self.upload.done
        self.screen.say("demo", "waiting for the upload (its TCP asks again ever more rarely while nobody answers)")
        wait_for("upload that flows again", lambda: self.upload.done > before + (1 << 17)
                 or self.upload.process.poll() is not None, 180)
        self.upload.end_after(LAST_BYTES)
        self.digest = self.upload.finish(180)

    def checks(self) -> Iterator[tuple[str, bool, str]]:
        """What must be true now: what, whether, and the figures."""
        machine, session = self.machine, self.session
        machine.wait_for_ssh()
        boot_id, kernel = machine.boot_id(), machine.kernel()
        alive = session.alive()
        client = (session.pid, session.local_port()) if alive else (session.pid, 0)
        numbers = self.counter.numbers()
        stored = machine.run(f"sha256sum {UPLOADED}", timeout=120).split()[0] if self.digest else ""
        yield "carryover reboot", self.returned == 0, f"returned {self.returned}"
        yield "another boot", boot_id != self.boot_id, f"{self.boot_id[:8]} -> {boot_id[:8]}"
        yield "another kernel", kernel != self.kernel, f"{self.kernel} -> {kernel}"
        yield "the same client", client == self.client and alive, f"process {client[0]}, TCP port {client[1]}"
        missing = len(set(range(1, max(numbers) + 1)) - set(numbers))
        repeated = len(numbers) - len(set(numbers))
        yield ("the counter", numbers == list(range(1, len(numbers) + 1)),
               f"1 to {numbers[-1]}: {missing} missing, {repeated} repeated")
        yield ("the upload", bool(stored) and stored == self.digest,
               f"{self.upload.done / 1e6:.1f} MB, sha256 {self.digest[:8]} sent, {stored[:8]} stored")

    def verify(self) -> None:
        """Show all checks; Failed with the first that is wrong."""
        wrong = []
        for what, right, figures in list(self.checks()):
            mark = self.screen.paint("ok", "32") if right else self.screen.paint("WRONG", "31")
            self.screen.show(f"  {what:<18} {figures:<70} {mark}")
            wrong += [] if right else [f"{what}: {figures}"]
        if wrong:
            raise Failed("; ".join(wrong))

    def show_steps(self) -> None:
        """The gap as the client saw it, and where the time went, from `carryover status`."""
        report = status(self.machine)
        seen, told = self.session.longest_gap(self.typed_at), (report.get("gap_usec") or 0) / 1e6
        bold = self.screen.paint(f"{seen:.1f} s", "1")
        self.screen.show(f"\n  gap, seen by the client outside: {bold}; by carryover status: {told:.1f} s\n")
        show_table(self.screen, report.get("steps") or [])


def show_table(screen: Screen, steps: list[dict]) -> None:
    """The steps in order, each as a bar on the time between the first and the end of the last."""
    if not steps:
        raise Failed("`carryover status` has no steps")
    steps = sorted(steps, key=lambda step: step["realtime_usec"])
    first = steps[0]["realtime_usec"]
    whole = max(step["realtime_usec"] + step["duration_usec"] for step in steps) - first or 1
    width = COLUMNS - 62
    screen.show(screen.paint(f"  {'step':<20} {'tree':<14} {'kernel':<6} {'begins':>7}   {'takes':>6}", "1"))
    for step in steps:
        begin, takes = step["realtime_usec"] - first, step["duration_usec"]
        left = min(int(begin / whole * width), width - 1)
        bar = " " * left + "#" * max(1, min(round(takes / whole * width), width - left))
        screen.show(f"  {step['name']:<20.20} {step['tree'] or '-':<14.14} {'new' if step['after_jump'] else 'old':<6} "
                    f"{begin / 1e6:5.1f} s  {takes / 1e6:5.1f} s  {screen.paint(bar, '32' if step['after_jump'] else '36')}")


def play(screen: Screen, machine: Machine, watch: Watch) -> str:
    """The whole demo; the name of the kernel that the session ends in."""
    layer = machine.layer
    screen.say("machine", f"{layer.distro}, runs Linux {machine.kernel()}; {layer.kernel_b} is installed, too")
    watch.add(MachineView(screen, machine.serial))
    demo = Demo(screen, machine, watch)
    demo.keep_upload()
    demo.reboot()
    if demo.returned == 0:
        demo.finish_upload()
    watch.close()
    screen.show()
    demo.verify()
    demo.show_steps()
    return machine.kernel()


def say_login(screen: Screen, machine: Machine) -> None:
    """How to get into the machine, and how to end it; returns when it is gone."""
    endpoint = machine.network.endpoint(0)
    words = [*endpoint.prefix, "ssh", "-i", str(images.ssh_key()), "-o", "StrictHostKeyChecking=no",
             "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", f"root@{endpoint.host}"]
    screen.show("\nThe machine stays up. Log in from another terminal of this computer, as root:\n\n"
                f"    {shlex.join(words)}\n\n"
                "It ends with Ctrl-C here, or with `poweroff` in it.\n"
                f"Its serial console: {machine.serial}")
    with contextlib.suppress(KeyboardInterrupt):
        while machine.alive():
            time.sleep(0.5)
    screen.show("\nThe machine is gone.")


def keep_logs(machine: Machine | None, directory: Path) -> Path:
    """Put what was written into the build directory; where."""
    target = SOURCE / "build" / "demo-logs"
    if machine and machine.alive():
        with contextlib.suppress(LabError, subprocess.TimeoutExpired):
            machine.save_logs()
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(directory, target, ignore=shutil.ignore_patterns("disk.qcow2"))
    return target


def clean_up(steps: list[Callable[[], object]]) -> None:
    """Everything goes, whatever fails and however often somebody presses Ctrl-C."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for step in reversed(steps):
        with contextlib.suppress(LabError, subprocess.SubprocessError, OSError):
            step()
    # One whose making was interrupted is in nobody's hands.
    for line in run(["ip", "netns", "list"]).splitlines():
        if line.startswith(f"lab-{os.getpid()}-"):
            run(["ip", "netns", "delete", line.split()[0]])


def perform(args: argparse.Namespace, screen: Screen) -> int:
    """Set up, play, tell, and take down."""
    directory = Path(tempfile.mkdtemp(prefix="carryover-demo-"))
    machine: Machine | None = None
    undo: list[Callable[[], object]] = [lambda: shutil.rmtree(directory, ignore_errors=True)]
    try:
        try:
            layer = images.layer(args.distro)
            network = NetnsNet()
            undo.append(network.close)
            machine = Machine(layer, network, directory)
            undo.append(machine.close)
            machine.start()
            watch = Watch()
            undo.append(watch.close)
            kernel = play(screen, machine, watch)
            verdict, colour, code = f"demo: the session lives in Linux {kernel}", "1;32", 0
        except (Failed, LabError, subprocess.SubprocessError, OSError) as error:
            reason = str(error).strip().splitlines() or [type(error).__name__]
            verdict, colour, code = f"demo: FAILED: {reason[0]}", "1;31", 1
            screen.show("\n".join(["", *reason[1:], f"logs: {keep_logs(machine, directory)}"]))
        screen.show(f"\nin all {time.monotonic() - screen.began:.0f} s")
        screen.show(screen.paint(verdict, colour))
        if args.keep and machine and machine.alive():
            say_login(screen, machine)
        return code
    finally:
        clean_up(undo)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/demo", formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__,
        epilog="Takes two to three minutes; the first time some more, for images that are then cached.\n"
               "Exit status: 0 when the session lives in the other kernel, 1 when not, 2 for wrong words.")
    parser.add_argument("--distro", choices=images.DISTROS, default="bookworm", help="the machine's Debian (bookworm)")
    parser.add_argument("--keep", action="store_true", help="leave the machine up and say how to log in")
    parser.add_argument("--parse-only", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def interrupted(number: int, _: object) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def main() -> int:
    args = parse()
    if args.parse_only:
        return 0
    # Also where a shell started this in the background, with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    try:
        return perform(args, Screen())
    except KeyboardInterrupt:
        print("\ndemo: interrupted; machine and network are gone", flush=True)
        return 130


if __name__ == "__main__":
    sys.exit(main())
