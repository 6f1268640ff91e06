# SPDX-License-Identifier: GPL-2.0-or-later
"""
What becomes of two kept trees when something dies under them: the session that types `carryover reboot`, and a job without any
connection, that writes a number into a file five times a second. Whatever becomes of each is seen, and compared with what the report
says of it.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter

from . import check
from .machine import Machine
from .ssh import SshSession
from .util import LabError, wait_for

# It lives: it goes on in the old kernel, never killed or brought back there. Back: another kernel has it. Gone: the machine went down
# before the seal, and the next boot says so. Failed, lost: as `carryover status` has it. Untold: the machine went down before any save.
LIVES, BACK, GONE, FAILED, LOST, UNTOLD = "lives", "back", "gone", "failed", "lost", "untold"

CARRIED = "1abd047202f94ba195dcae08abe249ad"  # src/report/message-ids.h

JOB = """import time
with open("/root/count", "a", buffering=1) as out:
    n = 0
    while True:
        n += 1
        print(n, file=out)
        time.sleep(0.2)
"""



class Scene:
    """A machine with both trees, on which one misfortune comes after the other."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        machine.one_login = True
        self.session: SshSession | None = None
        self.ticks: check.Counter | None = None
        self.job = 0
        self.inits = 0  # how many trees live in a PID namespace of their own
        machine.write("/root/job.py", JOB)

    def begin(self) -> check.Before:
        """Both trees are there, counting, and kept."""
        if not self.session or not self.session.alive():
            self.session = self.machine.session("root")
            self.ticks = check.counter(self.session)
        if not self.job:
            self.machine.run("rm -f /root/count; setsid -f python3 /root/job.py </dev/null >/dev/null 2>&1")
            self.job = int(self.machine.run("pgrep -f '^python3 /root/job.py'"))
        self.machine.run(f"carryover keep pid:{self.job} && systemctl reset-failed && journalctl --sync")
        return check.before(self.machine, self.session)

    def find_job(self) -> None:
        """Where the job has another number each time that it is back."""

    def comm(self, pid: int) -> str:
        """The name of a process, or nothing if it is gone."""
        return self.machine.run(f"cat /proc/{pid}/comm 2>/dev/null || true").strip()

    def numbers(self) -> list[int]:
        """What the job has written."""
        return [int(line) for line in self.machine.run("cat /root/count").split()]

    def job_goes_on(self) -> None:
        """The job writes, and no number is missing or there twice."""
        had = len(self.numbers())
        wait_for("the job to write", lambda: len(self.numbers()) > had, 60, 0.3)
        numbers = self.numbers()
        assert numbers == list(range(1, len(numbers) + 1)), [n for n, count in Counter(numbers).items() if count > 1][:5]

    def states(self) -> list[str]:
        """Of the system, and of carryover.service, -restore and -give-up; empty while the machine is away."""
        words = ("systemctl is-system-running; "
                 "systemctl show -P ActiveState carryover.service carryover-restore.service carryover-give-up.service")
        try:
            return self.machine.run(words, check=False, timeout=30).split()
        except (LabError, subprocess.TimeoutExpired):  # the connection was cut by the very reboot that is waited for
            return []

    def is_over(self) -> bool:
        """Nothing of ours is at work, and nothing is about to be."""
        found = self.states()
        return (len(found) == 4 and found[0] in ("running", "degraded")
                and found[1:3] in (["active", "inactive"], ["active", "failed"], ["failed", "inactive"])
                and found[3] in ("inactive", "failed"))

    def at_rest(self, point: str, old: check.Before) -> None:
        """The point was reached, or another boot begun, and all is over."""
        def over() -> bool:
            try:
                reached = f"fault.{point}" in self.machine.run("ls /run", timeout=30)
                return (reached or self.machine.boot_id() != old.boot_id) and self.is_over()
            except (LabError, subprocess.TimeoutExpired):  # the machine is on its way
                return False
        wait_for("the end of the save or of the restore", over, 300, 1)

    def status(self) -> dict[str, dict]:
        """The trees, by name."""
        return {tree["name"]: tree for tree in check.status(self.machine).get("trees", [])}

    def names(self, old: check.Before) -> dict[str, int]:
        """The trees, with a process of each."""
        return {f"session-{old.number}": old.shell, f"pid-{self.job}": self.job}

    def what_became(self, old: check.Before) -> dict[str, str]:
        """Of each tree: seen, and as the report has it; both must agree."""
        other = self.machine.boot_id() != old.boot_id
        trees = self.status()
        return {name: self._became(name, self.comm(pid) in ("bash", "python3"), trees.get(name, {}), other)
                for name, pid in self.names(old).items()}

    def _became(self, name: str, runs: bool, tree: dict, other: bool) -> str:
        state, reason = tree.get("state"), tree.get("reason")
        if runs:
            assert state in ("carried", "left", None), f"{name} runs, and the report has it {state}: {reason}"
            return BACK if other else LIVES
        if state is None:
            return UNTOLD
        if state == "carried":  # and went down with the machine
            return BACK
        assert state in ("failed", "lost") and reason, f"{name} does not run, and the report has it {state}: {reason}"
        if "before the save was complete" in reason:
            return GONE
        return LOST if state == "lost" else FAILED

    def nothing_left(self) -> None:
        """No hold, no process of ours, and each tree was brought back once for each of its saves."""
        check.no_hold(self.machine)
        assert self.machine.run("cat /sys/kernel/kexec_loaded").strip() == "0", "another reboot would jump into the kernel loaded for this one"
        ours = self.machine.run("ps -eo comm --no-headers | grep -e ^carryover- -e ^criu", check=False)
        assert ours.split() == ["carryover-init"] * self.inits, f"processes are left: {ours}"
        carried = self.machine.run(f"journalctl -o json MESSAGE_ID={CARRIED} --output-fields=CARRYOVER_TICKET,CARRYOVER_TREE "
                                   "--no-pager", check=False)
        # A restore that is started again in the same boot may find, and say once more, what runs already; that nothing ran twice is told by
        # the job's file and the session's counter.
        boots: dict[tuple[str, str], set[str]] = {}
        for event in map(json.loads, carried.splitlines()):
            boots.setdefault((event["CARRYOVER_TICKET"], event["CARRYOVER_TREE"]), set()).add(event["_BOOT_ID"])
        assert all(len(found) == 1 for found in boots.values()), f"brought back twice: {boots}"

    def judge(self, became: dict[str, str], old: check.Before) -> None:
        """The session's client, and the job's file, agree with it."""
        assert self.session and self.ticks
        state = became[f"session-{old.number}"]
        if state in (LIVES, BACK) and self.comm(old.shell) == "bash":
            self.session.expect(r"returned (\d+)\.", 60)
            check.same_session(self.session, old)
            self.ticks.goes_on()
            self.ticks.check()
        else:
            if state in (FAILED, LOST):  # told by a reset; of a machine that went down before the seal there is nobody to tell
                wait_for("the client to hear of it", lambda: self.session and not self.session.alive(), 30, 0.2)
            self.session.close()
        if self.comm(self.job) == "python3":
            self.job_goes_on()

    def retry(self, became: dict[str, str]) -> None:
        """
        What has failed with its images comes back by hand, and goes on where it was; what is gone is begun anew. One behind the other
        without a pause: the first restore still removes its images when the second one is asked for.
        """
        wanted = {name: state for name, state in became.items() if state in (FAILED, LOST)}
        if wanted:
            print(self.machine.run(" && ".join(f"carryover restore {name}{' --force' if state == LOST else ''}"
                                               for name, state in wanted.items()) + " 2>&1", timeout=180))
            assert {self.status()[name]["state"] for name in wanted} == {"carried"}
            self.find_job()
        if self.comm(self.job) == "python3":
            self.job_goes_on()
        else:
            assert became[f"pid-{self.job}"] not in (FAILED, LOST), "the job was restored by hand, and does not run"
            self.job = 0
