# SPDX-License-Identifier: GPL-2.0-or-later
"""The `lab` fixture: machines and networks of one test, closed in order, logs kept on failure."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import zlib
from pathlib import Path
from typing import Iterator

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from lab import images  # noqa: E402
from lab.machine import Machine  # noqa: E402
from lab.mirror import Mirror  # noqa: E402
from lab.net import NetnsNet, Network, UserNet  # noqa: E402
from lab.util import SOURCE, LabError, turn  # noqa: E402

_kept: list[Path] = []

# A test that rotates runs on one commit of so many.
TURNS = 3


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option that scripts/test --all passes on."""
    parser.addoption("--all", action="store_true", help="also the tests that are marked thorough")
    parser.addoption("--store", action="store_true", help="test_zdtm stores what it finds, to be committed, and compares nothing")
    parser.addoption("--cuts", type=int, default=3, help="how many power cuts test_powercut makes")
    parser.addoption("--seed", type=int, help="for the moments of the power cuts; printed by each run")


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known."""
    config.addinivalue_line("markers", "thorough: costs more than every run can pay; runs with --all")
    config.addinivalue_line("markers", f"rotates: runs on one commit in {TURNS}, and with --all")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the thorough ones, and those whose turn it is not, so that they are counted, unless all are asked for."""
    if config.getoption("--all"):
        return
    for item in items:
        if item.get_closest_marker("thorough"):
            item.add_marker(pytest.mark.skip(reason="thorough: run by scripts/test --all"))
        elif item.get_closest_marker("rotates") and (turn() + zlib.crc32(item.nodeid.encode())) % TURNS:
            item.add_marker(pytest.mark.skip(reason=f"rotates: run on one commit in {TURNS}, and by scripts/test --all"))


class Lab:
    """What a test asks for machines. Everything it gave away ends with the test."""

    def __init__(self, directory: Path, bare: bool = False) -> None:
        self.directory = directory
        self.bare = bare
        self.machines: list[Machine] = []
        self.networks: list[Network] = []
        self.mirrors: list[Mirror] = []

    def network(self, kind: str = "netns") -> Network:
        """A new network: "netns" (a real Linux peer) or "user" (QEMU's own)."""
        network = {"netns": NetnsNet, "user": UserNet}[kind]()
        self.networks.append(network)
        return network

    def machine(self, distro: str = "bookworm", network: str | Network = "netns",
                fresh: bool = False, bare: bool | None = None, fat: bool = False, dracut: bool = False, **options) -> Machine:
        """A running machine, woken from its saved state, or booted when `fresh`; with guest/packages.fat when `fat`, or with dracut."""
        if isinstance(network, str):
            network = self.network(network)
        layer = images.layer(distro, bare=self.bare if bare is None else bare, fat=fat, dracut=dracut)
        index = len(self.machines)
        machine = Machine(layer, network, self.directory / f"machine{index}",
                          index=sum(other.network is network for other in self.machines), **options)
        self.machines.append(machine)
        return machine.start(fresh)

    def mirror(self, network: NetnsNet) -> None:
        """Give the machines of a network that has no way out Debian's packages, at mirror.URL."""
        self.mirrors.append(Mirror(network))

    def save_logs(self) -> None:
        """Fetch the journals, as far as they can be had."""
        for machine in self.machines:
            try:
                machine.save_logs()
            except LabError as error:
                (machine.directory / "journal.failed").write_text(str(error))
            _show_end(machine.directory / "journal.txt")
            _show_oops(machine.serial)

    def close(self) -> None:
        """End all machines, then all networks."""
        for machine in self.machines:
            machine.close()
        for mirror in self.mirrors:
            mirror.close()
        for network in self.networks:
            network.close()


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The lab of one test."""
    directory = Path(tempfile.mkdtemp(prefix="lab-test-"))
    made = Lab(directory)
    try:
        yield made
        # Also a failure of the test body ends up here; its report says so.
        if getattr(request.node, "failed", False):
            made.save_logs()
    finally:
        made.close()
        if getattr(request.node, "failed", False):
            _keep(directory, request.node.name)
        shutil.rmtree(directory, ignore_errors=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """Let the fixture know how the test went."""
    outcome = yield
    if outcome.get_result().failed:
        item.failed = True  # type: ignore[attr-defined]


def pytest_terminal_summary(terminalreporter) -> None:
    """Say last where the logs of the failed tests are."""
    for path in _kept:
        terminalreporter.write_line(f"logs: {path}")


def _show_end(journal: Path) -> None:
    """Print what systemd did with us last, for whoever has nothing but the output of a run."""
    if journal.exists():
        lines = [line for line in journal.read_text(errors="replace").splitlines() if "carryover" in line]
        print("the end of the journal:", *lines[-25:], sep="\n")


def _show_oops(serial: Path) -> None:
    """Print where the guest's kernel broke, if it did: its own bug looks like a hang of ours."""
    lines = serial.read_text(errors="replace").splitlines() if serial.exists() else []
    for at, line in enumerate(lines):
        if re.search(r"\] (BUG|Oops|kernel BUG at|general protection fault|Kernel panic|INFO: task .* blocked)", line):
            print("the guest's kernel says:", *lines[at:at + 30], sep="\n")
            return


def _keep(directory: Path, name: str) -> None:
    top = Path(os.environ.get("CARRYOVER_ARTIFACTS", SOURCE / "build" / "vm-artifacts"))
    target = top / re.sub(r"[^\w.-]+", "-", name)
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(directory, target)
    _kept.append(target)
