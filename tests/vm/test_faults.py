# SPDX-License-Identifier: GPL-2.0-or-later
"""
Every fault point, in every way that applies: docs/RELIABILITY.md has the promise and its three forms. A suite of its own,
scripts/test --suite faults; the ordinary run takes one of them, by the commit.

A fault hits one of two kept trees, or both (lab/scene.py); whatever becomes of each must be what is promised here.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from conftest import Lab
from lab import check
from lab.scene import BACK, FAILED, GONE, LIVES, LOST, Scene
from lab.util import SOURCE, LabError, turn

# Behind the point's name on the way into the product (src/base/fault.h).
WAYS = {"error": "", "kill": ":kill", "cut": ":hang", "criu": ":hook", "full": ":hook", "io": ":hook", "two": ":hook"}

# What may become of the trees, by point and way; a set where it depends on which tree came there first.
BEFORE_SEAL = {"error": {LIVES}, "kill": {LIVES}, "full": {LIVES}, "io": {LIVES}, "cut": {GONE}}
WITH_CRIU = BEFORE_SEAL | {"criu": {LIVES}}
SEALED = {"full": {BACK}, "io": {BACK}, "cut": {BACK}, "kill": {BACK}}
# On a broken disk a failure is said, to the peers too, but cannot be noted: the next start may bring back a session whose client is gone,
# and that ends then.
RESTORING = {"error": {FAILED, LIVES}, "kill": {LOST, LIVES}, "full": {FAILED, LIVES}, "io": {FAILED, LOST, LIVES, BACK},
             "cut": {LOST, BACK}}
RESTORED = {"error": {LIVES}, "kill": {LIVES}, "full": {LIVES}, "io": {LIVES}}

PLAN: dict[str, dict[str, set[str]]] = {
    "save:noted": BEFORE_SEAL,
    "save:begun": BEFORE_SEAL,
    "save:after-hold": BEFORE_SEAL,
    "save:before-freeze": WITH_CRIU,
    "save:after-dump": WITH_CRIU,
    "save:before-ready": WITH_CRIU,
    "save:before-seal": WITH_CRIU,
    "seal:written": SEALED | {"error": {LIVES}, "kill": {LIVES}, "criu": {LIVES}},
    # One tree is dead when we die. If the other one is too, the shutdown goes on; else it is taken back.
    # With the store broken as well it cannot leave the ticket, and is ended.
    "save:committed": SEALED | {"kill": {LIVES, BACK}, "criu": {BACK}, "two": {BACK}},
    "jump:before-load": SEALED | {"error": {LIVES}},
    "jump:loaded": SEALED | {"error": {LIVES}},
    "jump:last": {"error": {BACK}, "kill": {BACK}, "cut": {BACK}},
    "early:initramfs": {"error": {BACK}, "kill": {BACK}, "cut": {BACK}},
    "early:before-claim": {"error": {BACK}, "kill": {BACK}, "full": {BACK}, "io": {BACK}, "cut": {BACK}},
    "early:claimed": {"error": {BACK}, "kill": {BACK}, "full": {BACK}, "io": {BACK}, "cut": {BACK}},
    "restore:after-claim": RESTORING | {"error": {FAILED}, "kill": {LIVES}, "cut": {BACK}},
    "restore:begun": RESTORING,
    "restore:before-criu": RESTORING,
    "restore:made": RESTORING | {"criu": {FAILED, LIVES}},
    # One tree is back when we die; the other may be in the middle of it.
    "restore:running": {"kill": {LIVES, LOST}, "full": {LIVES}, "io": {LIVES}, "cut": {LOST, BACK}},
    # From the first moment in which a tree runs that is known.
    "restore:noted": {"kill": {LIVES, LOST}, "cut": {LOST, BACK}},
    # The machine goes down with trees that were back already: that is known of each, and nothing of them is restored again.
    "restore:after-outcome": RESTORED | {"kill": {LIVES, LOST}, "cut": {LOST, BACK}},
    "restore:before-report": RESTORED | {"cut": {BACK}},
    "restore:reported": RESTORED | {"cut": {BACK}},
}

# Those in the kernel that comes next need the jump. The others of the restore are met in the old kernel, where it takes half the
# time: the load of the next one fails, and the same restore runs.
NEXT_KERNEL = ("jump:last", "early:")

# The restore has ended, and its report could not be written: the next keep says to start it again.
NO_REPORT = ("restore:before-report", "error")

# As `carryover status` calls a ticket that has not come to its end.
WAITING = ("sealed", "restoring", "interrupted")

HOOK = """#!/bin/sh
case $(cat /etc/carryover/fault-way) in
criu) pkill -9 -x criu; pidwait -x criu ;; # until it is dead: only then is its tree let go
full) dd if=/dev/zero of=/var/lib/carryover/filler bs=64k 2>/dev/null; dd if=/dev/zero bs=512 2>/dev/null >>/var/lib/carryover/filler; sync ;;
io|two) dmsetup suspend --noflush --nolockfs store; dmsetup load store --table "0 $(blockdev --getsz /dev/loop0) error"
    dmsetup resume --noudevsync store # udev may have stopped
    test "$(cat /etc/carryover/fault-way)" != two || pkill -9 -x carryover-save ;;
esac
"""

# The store has a disk of its own, which can be full or broken while the machine is well.
DISK_UNIT = """[Unit]
DefaultDependencies=no
RequiresMountsFor=/var
Before=local-fs.target shutdown.target
Conflicts=shutdown.target
After=systemd-remount-fs.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=sh -c 'modprobe -a loop dm-mod; losetup /dev/loop0 /var/store.img && \
dmsetup create store --table "0 $(blockdev --getsz /dev/loop0) linear /dev/loop0 0"'
[Install]
WantedBy=local-fs.target
"""
MOUNT_UNIT = """[Unit]
DefaultDependencies=no
Requires=store-disk.service
After=store-disk.service
Before=local-fs.target
[Mount]
What=/dev/mapper/store
Where=/var/lib/carryover
Type=ext4
Options=errors=remount-ro
[Install]
WantedBy=local-fs.target
"""

MEND_DISK = """set -e
systemctl stop var-lib-carryover.mount
dmsetup load store --table "0 $(blockdev --getsz /dev/loop0) linear /dev/loop0 0"
dmsetup resume --noudevsync store
e2fsck -fy /dev/mapper/store >/dev/null || test $? = 1
systemctl start var-lib-carryover.mount
rm -f /var/lib/carryover/filler
systemctl start carryover.service
"""

@dataclass(frozen=True)
class Row:
    """What one fault led to."""

    point: str
    way: str
    session: str
    job: str
    seconds: float


ROWS: list[Row] = []


class Fault(Scene):
    """Both trees, and a store whose disk can be filled and broken."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab.machine("bookworm", "netns"))
        self.serial_at = 0
        write = self.machine.write
        write("/etc/systemd/system/store-disk.service", DISK_UNIT)
        write("/etc/systemd/system/var-lib-carryover.mount", MOUNT_UNIT)
        write("/etc/carryover/fault-hook", HOOK, "755")
        self.machine.run("truncate -s 160M /var/store.img && mkfs.ext4 -q -m 0 /var/store.img && systemctl daemon-reload && "
                         "systemctl enable --now store-disk.service var-lib-carryover.mount && chmod 700 /var/lib/carryover && sync")

    def inject(self, point: str, way: str) -> None:
        """`carryover reboot` runs into it."""
        assert self.session
        word, words = f"carryover.fault={point}{WAYS[way]}", ""
        self.machine.run(f"rm -f /run/carryover-fault*; echo {way} >/etc/carryover/fault-way; sync")
        if point.startswith(NEXT_KERNEL) or (point.startswith("restore:") and way == "cut"):
            words = f" --append {word}"
        elif point.startswith("restore:"):
            word += " carryover.fault=jump:before-load"
        if not words or point == "jump:last":
            self.machine.write("/run/carryover-faults", word + "\n")
        self.serial_at = self.machine.serial.stat().st_size
        self.session.send_line(f"carryover reboot --yes{words}; echo \"returned\" $?.")

    def cut(self, point: str) -> None:
        """The power goes when the product stands at the point, and comes back."""
        self.machine.wait_for_serial(f"carryover: fault {point}", 240, self.serial_at)
        self.machine.power_cut()
        self.machine.power_on()
        self.machine.wait_for_ssh()

    def mend(self, point: str, way: str, old: check.Before) -> None:
        """The cause is gone: what waited on a disk that was full or broken, or has no report, comes to its end."""
        if way == "full" or (way == "io" and self.machine.boot_id() == old.boot_id):
            self.machine.run(MEND_DISK)
        if check.status(self.machine)["phase"] in WAITING:
            self.machine.run("rm -f /run/carryover-faults; systemctl start carryover-restore.service")
        self.at_rest(point, old)

    def fault(self, point: str, way: str) -> Row:
        """Meets it, and says what became of both trees."""
        began = time.monotonic()
        old = self.begin()
        self.inject(point, way)
        if way == "cut":
            self.cut(point)
        self.at_rest(point, old)
        if way == "full" and point.startswith("restore:"):  # room for it was reserved at the seal
            assert check.status(self.machine)["phase"] not in WAITING
        if (point, way) == NO_REPORT:
            assert check.status(self.machine)["phase"] == "restoring"
        if way in ("full", "io") or (point, way) == NO_REPORT:
            self.mend(point, way, old)
        became = self.what_became(old)
        self.nothing_left()
        self.judge(became, old)
        self.retry(became)
        return Row(point, way, *became.values(), round(time.monotonic() - began, 1))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each point; those that are not this commit's are marked thorough."""
    if "point" in metafunc.fixturenames:
        chosen = turn() % len(PLAN)
        metafunc.parametrize("point", [pytest.param(name, marks=[] if i == chosen else pytest.mark.thorough)
                                       for i, name in enumerate(PLAN)])


@pytest.fixture(scope="module", autouse=True)
def table(request: pytest.FixtureRequest):
    """Prints what was found, and stores it."""
    yield
    say = request.config.pluginmanager.getplugin("terminalreporter").write_line
    every = sum(len(ways) for ways in PLAN.values())
    lines = [f"{row.point:24} {row.way:6} session {row.session:7} job {row.job:7} {row.seconds:7.1f} s" for row in ROWS]
    for line in ["", *lines, f"{len(ROWS)} of {every} faults were met with the promise kept"]:
        say(line)
    path = Path(os.environ.get("CARRYOVER_FAULTS_JSON", SOURCE / "build" / "faults.json"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"of": every, "rows": [asdict(row) for row in ROWS]}, indent=1) + "\n")


def test_all_are_known(lab: Lab) -> None:
    """A new point without a plan cannot exist."""
    machine = lab.machine("bookworm", "netns")
    assert machine.run("carryover --list-faults").split() == list(PLAN)


def test_point(lab: Lab, point: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One point, in each way; all wrong ones are told. Each is said at once: all of them take more than an hour."""
    scene = Fault(lab)
    wrong = []
    for way, allowed in PLAN[point].items():
        try:
            row = scene.fault(point, way)
        except (AssertionError, LabError) as error:
            print("the session:", scene.session and scene.session.text()[-3000:])
            raise AssertionError("\n".join([*wrong, f"{point} by {way}: {error}"])) from error
        with capsys.disabled():
            print(f"\n{row}", end="", flush=True)
        if not {row.session, row.job} <= allowed or (point == "save:committed" and row.session != row.job):
            wrong.append(f"{point} by {way}: the session {row.session}, the job {row.job}; promised is {allowed}")
        else:
            ROWS.append(row)
    assert not wrong, "\n".join(wrong)
