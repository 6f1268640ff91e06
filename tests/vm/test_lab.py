# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab itself is honest: machines, peers and kernels are what the other tests take them for."""

from __future__ import annotations

import time

import pytest

from conftest import Lab

# kexec_file_load by hand: these tests must not lean on the product, nor on kexec-tools.
LOAD_KERNEL = """
import ctypes, os, sys
kernel = os.open(f"/boot/vmlinuz-{sys.argv[1]}", os.O_RDONLY)
initrd = os.open(f"/boot/initrd.img-{sys.argv[1]}", os.O_RDONLY)
words = open("/proc/cmdline", "rb").read().strip() + b"\\0"
libc = ctypes.CDLL(None, use_errno=True)
if libc.syscall(320, kernel, initrd, len(words), words, 0) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
"""


@pytest.fixture
def bare(lab: Lab) -> Lab:
    """Machines without carryover."""
    lab.bare = True
    return lab


@pytest.mark.parametrize("distro", ["bookworm", "trixie"])
def test_kexec_reaches_the_other_kernel(bare: Lab, distro: str) -> None:
    began = time.monotonic()
    machine = bare.machine(distro)
    woken = time.monotonic()
    session = machine.session()
    boot_id = machine.boot_id()
    assert machine.kernel() == machine.layer.kernel_a

    machine.run(f"python3 - {machine.layer.kernel_b}", stdin=LOAD_KERNEL)
    jump = time.monotonic()
    machine.run("systemctl --no-block kexec")
    machine.wait_for_boot(boot_id)
    back = time.monotonic()

    assert machine.kernel() == machine.layer.kernel_b
    assert machine.run("systemctl --failed --no-legend") == ""
    print(f"\n{distro}: start {woken - began:.1f} s, kexec to login {back - jump:.1f} s")
    print(machine.run("systemd-analyze time"))
    assert session.process.wait(30) != 0, "nothing in the lab keeps a session alive"
    session.close()


def test_power_on_to_login(bare: Lab) -> None:
    machine = bare.machine(fresh=True)
    print(f"\npower-on to login: {time.monotonic() - machine.booted_at:.1f} s")
    assert machine.run("criu check").strip() == "Looks good."


def test_without_carryover_the_peer_is_reset(bare: Lab) -> None:
    """The counterpart of every "0 resets" elsewhere: the capture does see them."""
    machine = bare.machine()
    capture = machine.network.capture(bare.directory / "peer.pcap")
    with machine.session("joe") as session:
        port, boot_id = session.local_port(), machine.boot_id()
        assert session.command("id -un") == (0, "joe")
        machine.run(f"python3 - {machine.layer.kernel_b}", stdin=LOAD_KERNEL)
        session.send_line("sudo systemctl kexec --force --force")
        machine.wait_for_boot(boot_id)
        session.send_line("anybody there?")
        assert session.process.wait(90) != 0
    capture.stop()
    assert capture.packets(f"tcp port {port}")
    assert capture.resets(port)


@pytest.mark.parametrize("kind,family", [("user", 4), ("netns", 4), ("netns", 6)])
def test_clients_measure(bare: Lab, kind: str, family: int) -> None:
    machine = bare.machine(network=kind)
    with machine.session(family=family) as session:
        latency = session.echo_latency()
        assert latency < 2
        assert session.command("false")[0] == 1
        assert session.local_port() > 1023
    with machine.shell(family=family) as shell:
        up, down = shell.upload_rate(5 << 20), shell.download_rate(5 << 20)
    print(f"\n{kind}{family}: echo {latency * 1000:.0f} ms, up {up / 1e6:.1f} MB/s, down {down / 1e6:.1f} MB/s")


def test_files_move(bare: Lab) -> None:
    machine = bare.machine()
    with machine.upload("/root/file", 10 << 20) as upload:
        upload.wait_for_bytes(1 << 20)
        digest = upload.finish(60)
    assert machine.run("sha256sum /root/file").split()[0] == digest
    with machine.download("/root/file") as download:
        assert download.finish(60) == digest
