# SPDX-License-Identifier: GPL-2.0-or-later
"""
CRIU's own test programs as passengers: kept, carried over a real kexec, and told to look at themselves. tests/zdtm/README.md
says what is counted. A suite of its own, scripts/test --suite zdtm; without --all one batch on one release, by the commit.
"""

from __future__ import annotations

import json
import sys
import tarfile
import time
from io import BytesIO
from pathlib import Path
from typing import Callable, TypeVar

import pytest

from conftest import Lab
from lab import check
from lab.images import DISTROS, TESTING
from lab.machine import Machine
from lab.util import SOURCE, progress, turn, wait_for

sys.path.insert(0, str(SOURCE / "tests"))

from zdtm import figures, programs, source  # noqa: E402
from zdtm.figures import Row  # noqa: E402

T = TypeVar("T")

TOP = "/root/zdtm"

# What a jump with fifty trees may take on an emulated machine.
JUMP = 600.0


class Batch:
    """Some programs in a machine."""

    def __init__(self, machine: Machine, members: list[programs.Program]) -> None:
        self.machine = machine
        self.members = members
        self.machine.one_login = True
        self._upload(source.built())

    def _upload(self, built: Path) -> None:
        listed = json.dumps([vars(member) for member in self.members]).encode()
        content = BytesIO()
        with tarfile.open(fileobj=content, mode="w") as tar:
            about = tarfile.TarInfo("batch.json")
            about.size = len(listed)
            tar.addfile(about, BytesIO(listed))
            tar.add(SOURCE / "tests/zdtm/run_batch.py", "run_batch.py")
            tar.add(built / "lib", "lib")
            for member in self.members:
                tar.add(built / member.name, f"programs/{member.name}")
        # Programs that are not root's have to come through to their directories.
        self.machine.run(f"mkdir {TOP} && chmod 711 /root {TOP} && tar -C {TOP} --no-same-owner -xf -", stdin=content.getvalue())

    def call(self, verb: str, timeout: float = 600) -> dict:
        """A verb of run_batch.py."""
        return json.loads(self.machine.run(f"python3 {TOP}/run_batch.py {verb}", timeout=timeout))

    def leave_out(self) -> dict[str, str]:
        """Those that ask for a feature that this CRIU or kernel lacks do not take part."""
        there = set(json.loads(self.machine.run(f"python3 {TOP}/run_batch.py features", timeout=120)))
        lacking = {member.name: "no " + ", ".join(sorted(set(member.features) - there))
                   for member in self.members if set(member.features) - there}
        self.members = [member for member in self.members if member.name not in lacking]
        self.machine.write(f"{TOP}/batch.json", json.dumps([vars(member) for member in self.members]))
        return lacking

    def prepare(self) -> None:
        """What zdtm.py does to a machine, too; and all of these trees are one user's, of which some go on to grow."""
        self.machine.run("sysctl -q vm.nr_hugepages=20")
        self.machine.write("/etc/carryover/carryover.conf.d/zdtm.conf", "[Carryover]\nMaxUsePerUser=90%\n")

    def start(self) -> dict[str, int | str]:
        """All in one unit, which is not theirs to end."""
        self.prepare()
        self.machine.run("systemd-run -q --unit=zdtm --service-type=oneshot -p RemainAfterExit=yes -p KillMode=process "
                         f"-p TasksMax=infinity -p StandardOutput=file:{TOP}/started -p StandardError=journal "
                         f"python3 {TOP}/run_batch.py start", timeout=300)
        return json.loads(self.machine.run(f"cat {TOP}/started"))

    def with_pids(self, verb: str, pids: dict[str, int], timeout: float = 600) -> dict:
        """A verb of run_batch.py's that wants to know who."""
        self.machine.write(f"{TOP}/pids.json", json.dumps(pids))
        return self.call(verb, timeout)

    def jump(self) -> dict:
        """Into the other kernel; what `carryover status` says when all is over."""
        boot_id = self.machine.boot_id()
        self.machine.run("systemd-run -q --unit=jump carryover reboot --yes --force")
        self.machine.wait_for_boot(boot_id, JUMP)
        # Not the end of the unit: beside programs that are busy it overwrites the images for minutes.
        wait_for("the end of the restore", lambda: check.status(self.machine)["phase"] == "idle", JUMP, 1)
        return check.status(self.machine)


def carried(machine: Machine, members: list[programs.Program]) -> dict[str, Row]:
    """One batch over one jump."""
    batch = Batch(machine, members)
    rows = {name: Row("", "", why) for name, why in batch.leave_out().items()}
    started = _timed("started", batch.start)
    rows |= {name: Row("", "", f"not started: {why}") for name, why in started.items() if isinstance(why, str)}
    pids = {name: pid for name, pid in started.items() if isinstance(pid, int)}
    verdicts = _timed("kept", lambda: batch.with_pids("keep", pids))
    rows |= {name: Row(level, "", "", notes) for name, (level, notes) in verdicts.items()}
    spoiled = batch.with_pids("failed", pids)

    status = _timed("jumped", batch.jump)
    trees = {tree["target"]: tree for tree in status["trees"]}
    found = {name: trees.get(f"pid:{pid}") for name, pid in pids.items()}
    for name, tree in found.items():
        if tree:
            rows[name].outcome, rows[name].said = tree["state"], tree["reason"] or ""
    back = {name: tree["new_root_pid"] for name, tree in found.items() if tree and tree["state"] == "carried"}
    for name, said in _timed("verified", lambda: batch.with_pids("verify", back)).items():
        rows[name].said = said
    return rows | {name: Row("", "", f"failed before the save: {said}") for name, said in spoiled.items()}


def _timed(what: str, call: Callable[[], T]) -> T:
    began = time.monotonic()
    answer = call()
    progress(f"zdtm: {what} in {time.monotonic() - began:.0f} s")
    return answer


def say(request: pytest.FixtureRequest, text: str) -> None:
    """To whoever runs the suite, also when all is well."""
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(text, flush=True)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each release and batch; those that are not this commit's are marked thorough, and so is what they are measured by."""
    if "batch" not in metafunc.fixturenames:
        return
    every = [(distro, batch) for distro in (*DISTROS, TESTING) for batch in range(BATCHES)]
    chosen = every[turn() % len(every)] if metafunc.function is test_batch else None
    metafunc.parametrize("distro, batch", [pytest.param(*one, marks=[] if one == chosen else pytest.mark.thorough) for one in every])


# Known before anything is built, so that a run without machines can list its tests; test_batch() compares it.
BATCHES = 6


def test_batch(lab: Lab, distro: str, batch: int, request: pytest.FixtureRequest) -> None:
    began = time.monotonic()
    selection = programs.select(source.built())
    batches = selection.batches()
    assert len(batches) == BATCHES
    rows = carried(lab.machine(distro, "netns"), batches[batch])
    say(request, f"\n{figures.table(rows)}\n{distro}, batch {batch} of {len(batches)}, {time.monotonic() - began:.0f} s: {figures.figures(rows)}")
    before = figures.expected(distro)
    if request.config.getoption("--store"):
        figures.store(distro, {name: row.stored() for name, row in rows.items()})
        return
    for name in figures.better(rows, before):
        say(request, f"{name} is not wrong any more: run with --store, and commit tests/zdtm/results-{distro}.json")
    worse = figures.worse(rows, before)
    assert not worse, "\n".join(worse)


def test_selection(request: pytest.FixtureRequest) -> None:
    """How many take part, and why the others do not."""
    selection = programs.select(source.built())
    say(request, f"\n{len(selection.programs)} programs take part; left out are " +
        ", ".join(f"{count} ({why})" for why, count in selection.skipped.most_common()))
    assert len(selection.batches()) == BATCHES


def test_bare_criu(lab: Lab, distro: str, batch: int, request: pytest.FixtureRequest) -> None:
    """The measure: the same batch, saved and restored in one boot by criu alone, with the options that zdtm.py gives it."""
    scene = Batch(lab.machine(distro, "netns"), programs.select(source.built()).batches()[batch])
    rows = scene.leave_out()
    scene.prepare()
    rows |= _timed("by bare criu", lambda: scene.call("reference", 1200))
    results = figures.expected(distro)
    found = {name: results.get(name, {}) | {"bare": figures.STAMP.sub("", said)} for name, said in rows.items()}
    say(request, "\n" + "\n".join(f"{name:36} {said}" for name, said in sorted(rows.items()) if said != "PASS"))
    say(request, f"{distro}, batch {batch}: {figures.beside_bare(found)}")
    if request.config.getoption("--store"):
        figures.store(distro, found)
    assert any(said == "PASS" for said in rows.values())
