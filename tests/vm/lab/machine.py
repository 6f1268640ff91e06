# SPDX-License-Identifier: GPL-2.0-or-later
"""
One machine: a QEMU process, its overlay disk, its serial log, and ssh to run things in it.

Starting is dear under emulation (half a minute), so by default a machine is not booted but
woken: once per disk, network kind and kernel command line a machine is booted and its state
saved with its disk (the cache kind `state`); every other machine starts from there. Whoever
wants the boot itself says start(fresh=True).
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TypeVar

from . import cache, images, net
from .qmp import Qmp
from .ssh import Download, SshSession, SshShell, Upload, client
from .util import BOUND, LabError, progress, run, wait_for

# Everything is ten to thirty times slower than on metal: a boot that takes longer than
# this is stuck.
BOOT_TIMEOUT = 180.0

CMDLINE = ("root=/dev/vda rw console=ttyS0 net.ifnames=0 panic=10 loglevel=6 "
           "systemd.show_status=1 random.trust_cpu=on mitigations=off audit=0")


Opened = TypeVar("Opened", SshSession, SshShell, Upload, Download)


class Machine:
    """A guest. Use as a context manager, or call close()."""

    def __init__(self, layer: images.Layer, network: net.Network, directory: Path,
                 index: int = 0, append: str = "", memory: int = 2048,
                 disk_cache: str = "writeback") -> None:
        self.layer = layer
        self.network = network
        self.directory = directory
        self.index = index
        self.append = " ".join(filter(None, [append, f"lab.guest={index}" if index else ""]))
        self.memory = memory
        self.disk_cache = disk_cache
        self.serial = directory / "serial.log"
        self.disk = directory / "disk.qcow2"
        self.booted_at = 0.0
        self._sockets = Path(tempfile.mkdtemp(prefix="lab-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._attached: tuple[list[str], tuple[str, ...]] | None = None
        self._clients: list[SshSession | SshShell | Upload | Download] = []
        self.one_login = False  # run() by one connection, as long as that lives: a login costs an emulated guest a second or two
        self.qmp: Qmp | None = None
        directory.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> "Machine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- life -------------------------------------------------------------------------------

    def start(self, fresh: bool = False) -> "Machine":
        """Start and wait until ssh answers: woken from a saved state, or booted if `fresh`."""
        if fresh:
            self._overlay(self.layer.disk, "raw")
            self.power_on()
            self.wait_for_ssh()
        else:
            self._wake(self._state())
        return self

    def power_on(self) -> None:
        """Start QEMU on this machine's disk as it is; also after a power cut."""
        began = time.monotonic()
        self._launch([])
        self.booted_at = began

    def power_cut(self) -> None:
        """Kill QEMU: what the guest had not yet written to the disk is gone."""
        assert self._process
        self._end_logins()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)

    def close(self) -> None:
        """End the machine and remove its disk; logs stay in its directory."""
        for opened in self._clients:
            opened.close()
        if self._process:
            self.power_cut()
        self.disk.unlink(missing_ok=True)
        shutil.rmtree(self._sockets, ignore_errors=True)

    def alive(self) -> bool:
        """Whether QEMU runs."""
        return self._process is not None and self._process.poll() is None

    def wait_for_ssh(self, timeout: float = BOOT_TIMEOUT) -> None:
        """Wait until sshd greets and a login works."""
        endpoint = self.network.endpoint(self.index)
        self._wait("ssh greeting", lambda: net.banner(endpoint), timeout, 0.2)
        self.run("true")

    def wait_for_serial(self, pattern: str, timeout: float, start: int = 0) -> re.Match[str]:
        """Wait for a line on the serial console, from byte `start` of its log on."""
        def probe() -> re.Match[str] | None:
            text = self.serial.read_bytes()[start:].decode("utf-8", "replace")
            return re.search(pattern, text, re.MULTILINE)
        return self._wait(f"'{pattern}' on the serial console", probe, timeout, 0.1)

    def wait_for_boot(self, old_boot_id: str, timeout: float = BOOT_TIMEOUT) -> None:
        """Wait until a login shows another boot id than the old one."""
        endpoint = self.network.endpoint(self.index)

        def probe() -> bool:
            if not net.banner(endpoint):
                return False
            try:
                return self.boot_id() != old_boot_id
            except (LabError, subprocess.TimeoutExpired):
                return False  # the connection was cut by the very reboot we wait for
        self._wait("new boot", probe, timeout, 0.2)

    # -- talking to it ----------------------------------------------------------------------

    def run(self, command: str, user: str = "root", timeout: float = 60, check: bool = True,
            stdin: bytes | str | None = None) -> str:
        """Run a shell command over an ssh connection of its own, or that of one_login; what it wrote to stdout."""
        argv = client(self.network.endpoint(self.index), user, shared=self._login if self.one_login else None) + [command]
        data = stdin.encode() if isinstance(stdin, str) else stdin or b""
        done = subprocess.run(argv, input=data, capture_output=True, timeout=timeout, check=False)
        text = done.stdout.decode("utf-8", "replace")
        if check and done.returncode != 0:
            errors = done.stderr.decode("utf-8", "replace")
            raise LabError(f"`{command}` in the guest: exit {done.returncode}\n{text}{errors}")
        return text

    def session(self, user: str = "root", family: int = 4, command: str | None = None, port: int = 22) -> SshSession:
        """A real ssh client on a terminal of its own, logged in; by another port, if the guest leads that to its sshd."""
        endpoint = self.network.endpoint(self.index, family)
        if port != 22:
            endpoint = dataclasses.replace(endpoint, port=port)
        return self._opened(SshSession(endpoint, user, command))

    def shell(self, user: str = "root", family: int = 4) -> SshShell:
        """A shell without a terminal, for bulk data both ways on one connection."""
        return self._opened(SshShell(self.network.endpoint(self.index, family), user))

    def upload(self, path: str, size: int, user: str = "root", family: int = 4,
               rate: float | None = None) -> Upload:
        """Begin to send random bytes to a file of the guest."""
        return self._opened(
            Upload(self.network.endpoint(self.index, family), path, size, user, rate))

    def download(self, path: str, user: str = "root", family: int = 4,
                 rate: float | None = None) -> Download:
        """Begin to read a file of the guest."""
        return self._opened(Download(self.network.endpoint(self.index, family), path, user, rate))

    def write(self, path: str, content: str | bytes, mode: str = "644") -> None:
        """Put a file into the guest, and the directory that it lives in."""
        self.run(f"mkdir -p '{os.path.dirname(path)}' && cat > '{path}' && chmod {mode} '{path}'", stdin=content)

    def boot_id(self) -> str:
        """What changes with every kernel that starts."""
        return self.run("cat /proc/sys/kernel/random/boot_id").strip()

    def kernel(self) -> str:
        """`uname -r`."""
        return self.run("uname -r").strip()

    def save_logs(self) -> None:
        """Put the guest's journal of all boots beside the serial log, over ssh or from the disk, and CRIU's logs."""
        target = self.directory / "journal.txt"
        try:
            target.write_text(self.run("journalctl -b all -o short-monotonic --no-hostname",
                                       timeout=120))
            logs = self.run("find /var/lib/carryover -name '*.log*' -exec tail -v -n +1 {} +", timeout=120, check=False)
            (self.directory / "criu.txt").write_text(logs)
        except (LabError, subprocess.TimeoutExpired):
            self._journal_from_disk(target)

    @property
    def _login(self) -> Path:
        return self._sockets / "ssh"

    def _end_logins(self) -> None:
        for socket in self._sockets.glob("ssh-*"):
            subprocess.run(["ssh", "-F", "none", "-o", f"ControlPath={socket}", "-O", "exit", "any"], capture_output=True, check=False)

    def _opened(self, opened: Opened) -> Opened:
        self._clients.append(opened)
        return opened

    # -- inside -----------------------------------------------------------------------------

    def _argv(self) -> list[str]:
        backend = self._attached[0] if self._attached else []
        accelerator = "kvm" if _has_kvm() else "tcg,thread=multi"
        return [
            "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
            # Without svm the guest spends no time on loading kvm, which it could not use.
            "-machine", "q35", "-accel", accelerator, "-cpu", "max,svm=off", "-smp", "2",
            "-m", str(self.memory), "-rtc", "base=utc",
            "-kernel", str(self.layer.kernel_file()), "-initrd", str(self.layer.initrd_file()),
            "-append", f"{CMDLINE} {self.append}".strip(),
            "-drive", f"file={self.disk},if=none,id=disk0,format=qcow2,cache={self.disk_cache},"
                      "discard=unmap",
            "-device", "virtio-blk-pci,drive=disk0",
            "-netdev", ",".join(backend),
            "-device", f"virtio-net-pci,netdev=net0,mac=52:54:00:ca:00:{self.index:02x},romfile=",
            "-device", "virtio-rng-pci",
        ]

    def _launch(self, more: list[str]) -> None:
        if self._attached is None:
            self._attached = self.network.attach(self.index)
        monitor = self._sockets / "qmp"
        console = self._sockets / "serial"
        argv = [*BOUND, *self._attached[1], *self._argv(), *more,
                "-qmp", f"unix:{monitor},server=on,wait=off",
                "-chardev", f"socket,id=ser0,path={console},server=on,wait=off,"
                            f"logfile={self.serial},logappend=on",
                "-serial", "chardev:ser0"]
        with (self.directory / "qemu.log").open("ab") as log:
            self._process = subprocess.Popen(argv, stdout=log, stderr=log,
                                             stdin=subprocess.DEVNULL)
        self.qmp = self._wait("QEMU monitor", lambda: _connect(monitor), 15, 0.02)

    def _overlay(self, backing: Path, kind: str) -> None:
        run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", kind, "-b", backing, self.disk])

    def _wait(self, what, probe, timeout: float, pause: float):
        def checked():
            answer = probe()
            if not answer and not self.alive():
                log = (self.directory / "qemu.log").read_text(errors="replace")[-1000:]
                raise LabError(f"QEMU ended while waiting for {what}\n{log}")
            return answer
        return wait_for(what, checked, timeout, pause)

    # -- saved states -----------------------------------------------------------------------

    def _state(self) -> Path:
        version = run(["qemu-system-x86_64", "--version"]).splitlines()[0]
        disk = self.layer.disk.stat()
        # A layer made anew has the same name but not the same blocks, so its age counts.
        name = f"{self.layer.distro}-" + cache.digest([
            self.layer.key, str(disk.st_mtime_ns), self.network.kind, self.append,
            str(self.memory), str(self.index), CMDLINE, version, Path(__file__)])
        return cache.entry("state", name, self._make_state)

    def _make_state(self, directory: Path) -> None:
        progress(f"{self.layer.distro}: booting once to save the booted state (half a minute)")
        self.start(fresh=True)
        self._settle()
        assert self.qmp and self._process
        self.qmp.save_state(directory / "memory")
        self.qmp.command("quit")
        self._process.wait(20)
        self.disk.rename(directory / "disk.qcow2")
        shutil.copy(self.serial, directory / "serial.log")

    def _settle(self) -> None:
        # What a boot still does after the first login would be repeated by every woken machine.
        self.run("systemctl is-system-running --wait; sync", check=False)

    def _wake(self, state: Path) -> None:
        shutil.copy(state / "serial.log", self.serial)
        self._overlay(state / "disk.qcow2", "qcow2")
        began = time.monotonic()
        self._launch(["-incoming", "defer"])
        assert self.qmp
        self.qmp.load_state(state / "memory")
        self.booted_at = began
        # The guest's clock still shows the day on which the state was saved.
        self.run(f"date -s @{time.time():.2f}")

    def _journal_from_disk(self, target: Path) -> None:
        if self.alive() and self.qmp:
            self.qmp.command("stop")
        raw = self._sockets / "disk.raw"
        run(["qemu-img", "convert", "-U", "-O", "raw", self.disk, raw])
        copy = self._sockets / "journal"
        copy.mkdir()
        run(["debugfs", "-R", f"rdump /var/log/journal {copy}", raw])
        target.write_text(run(["journalctl", "-D", copy / "journal", "-b", "all", "-o", "short-monotonic"]))
        raw.unlink()


@functools.cache
def _has_kvm() -> bool:
    # A /dev/kvm without these flags belongs to a hypervisor that runs no stock kernel.
    flags = Path("/proc/cpuinfo").read_text().split()
    return os.access("/dev/kvm", os.W_OK) and ("vmx" in flags or "svm" in flags)


def _connect(path: Path) -> Qmp | None:
    try:
        return Qmp(path)
    except (FileNotFoundError, ConnectionRefusedError):
        return None
