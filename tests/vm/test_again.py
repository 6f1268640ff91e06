# SPDX-License-Identifier: GPL-2.0-or-later
"""
What came back is carried again: in the host's PID namespace, in one of its own, and out of that, also where the save
or the restore dies. A jump takes a minute, so both kinds of trees share theirs.
"""

from __future__ import annotations

import dataclasses
import json

import pytest

from conftest import Lab
from lab import check
from lab.machine import Machine
from lab.scene import BACK, LIVES, LOST, Scene
from lab.ssh import SshSession
from lab.util import wait_for

# Has the process number that it is given, before anything is restored.
SQUATTER = """#!/usr/bin/python3
import os, signal, sys
NEXT = "/proc/sys/kernel/ns_last_pid"
wanted, before = int(sys.argv[1]), int(open(NEXT).read())

def last(number):
    with open(NEXT, "w") as out:
        out.write(str(number))

while True:
    last(wanted - 1)
    pid = os.fork()
    if pid == 0:
        while os.getpid() == wanted:
            signal.pause()
        os._exit(0)
    last(before)  # the others' numbers stay free
    if pid == wanted:
        os._exit(0)
    os.waitpid(pid, 0)
"""

SQUATTER_UNIT = """[Unit]
Before=carryover-restore.service
DefaultDependencies=no
After=local-fs.target carryover-early.service
[Service]
Type=forking
ExecStart=/usr/local/sbin/squatter %d
[Install]
WantedBy=sysinit.target
"""


def squat(machine: Machine, number: int) -> None:
    """From the next boot on somebody has this process number."""
    machine.write("/usr/local/sbin/squatter", SQUATTER, "755")
    machine.write("/etc/systemd/system/squatter.service", SQUATTER_UNIT % number)
    machine.run("systemctl enable squatter.service")


def modes(machine: Machine) -> dict[str, str]:
    """How each tree of the last restore came back."""
    report = check.status(machine)
    assert {tree["state"] for tree in report["trees"]} == {"carried"}, report["trees"]
    return {tree["name"]: tree["mode"] for tree in report["trees"]}


def stopped(machine: Machine, inside: SshSession, ticks: check.Counter) -> None:
    """A save that stops at the last moment lets who lives in a namespace go on there."""
    machine.write("/run/carryover-faults", "carryover.fault=save:before-seal\n")
    status, text = inside.command("sudo carryover reboot --yes", 240)
    assert status == 1 and "not rebooted, all trees continue to run" in text and "save:before-seal" in text, text
    ticks.goes_on()
    machine.wait_for_ssh(90)  # what the shutdown had stopped until then starts again
    machine.run("rm /run/carryover-faults")
    assert check.answer(inside, "cat /proc/1/comm") == "carryover-init"


@pytest.mark.rotates
@pytest.mark.parametrize("distro", ["trixie", "bookworm"])
def test_three_jumps(lab: Lab, distro: str) -> None:
    """A tree that stays in the host's namespace, and one that goes into its own, on in there, and out again."""
    machine = lab.machine(distro, "netns")
    machine.write("/etc/carryover/carryover.conf.d/keep.conf", "[Carryover]\nKeepSshSessions=yes\n")
    root, joe = machine.session("root"), machine.session("joe", family=6)
    sessions = [(root, check.before(machine, root)), (joe, check.before(machine, joe))]
    names = [f"session-{old.number}" for _, old in sessions]
    counters = [check.counter(root), check.counter(joe)]
    check.answer(joe, "taskset -p 2 $$; sleep 9999 & echo $! >sleeper")
    squat(machine, sessions[1][1].shell)

    for jump, (session, mode) in enumerate([(root, "namespace"), (joe, "namespace"), (root, "host")]):
        if mode == "host":
            machine.run("systemctl disable squatter.service")
        sudo = "sudo " if session is joe else ""
        status, text = session.command(f"{sudo}carryover check", 120)
        print(text)
        assert status == 0 and "refused" not in text, f"{status}: {text}"
        if jump == 1:
            stopped(machine, joe, counters[1])
        check.reboot(session, f"{sudo}carryover reboot --yes", 300)
        for (each, old), ticks in zip(sessions, counters):
            check.same_session(each, old)
            ticks.goes_on()
            ticks.check()
            check.other_boot(machine, old, other_kernel=jump == 0)
        came = modes(machine)
        print(came)
        assert [came[name] for name in names] == ["host", mode] and len(came) == (2 if jump == 0 else 3)
        assert "mask: 2" in check.answer(joe, "taskset -p $$ && kill -0 $(cat sleeper)")
        assert check.answer(joe, "cat /proc/1/comm") == ("systemd" if mode == "host" else "carryover-init")
        check.clean_after(machine, *(old for _, old in sessions), namespaces=mode == "namespace")
        listed = json.loads(machine.run("carryover list --json=short"))
        print(listed)
        assert set(names) <= {tree["name"] for tree in listed["trees"]}
        machine.run("carryover check")
        if jump == 0:  # below the same init, but none of the shell's: a tree of its own from now on
            check.answer(joe, "(setsid sh -c 'i=0; while sleep 0.2; do i=$((i+1)); echo $i >>job; done' >/dev/null 2>&1 </dev/null &); sleep 1; cat job")
        else:
            counted = len(machine.run("cat ~joe/job").split())
            wait_for("the job to count on", lambda: len(machine.run("cat ~joe/job").split()) > counted, 30, 0.5)
            lines = machine.run("cat ~joe/job").split()
            assert lines == [str(n) for n in range(1, len(lines) + 1)], lines[-5:]
        sessions = [(each, dataclasses.replace(old, boot_id=machine.boot_id())) for each, old in sessions]


@pytest.mark.rotates
def test_twice_in_a_script(lab: Lab) -> None:
    """A script in a kept session asks for two jumps, one right after the other."""
    machine = lab.machine("bookworm", "netns")
    session = machine.session("root")
    old = check.before(machine, session)
    # The second one comes into a boot that is not yet at its end: services that run once are at work, and count as ended.
    machine.write("/root/script", "carryover keep && carryover reboot --yes && cat /proc/sys/kernel/random/boot_id >/root/boots && "
                  "{ carryover reboot --yes; [ $? -le 1 ]; } && cat /proc/sys/kernel/random/boot_id >>/root/boots\n", "755")
    ticks = check.counter(session)
    check.typed(session, "bash ./script", 480)
    check.same_session(session, old)
    ticks.goes_on()
    ticks.check()
    check.other_boot(machine, old)
    wait_for("the script's last line", lambda: machine.run("cat /root/boots", check=False).count("\n") == 2, 30, 0.5)
    boots = machine.run("cat /root/boots").split()
    assert len({old.boot_id, *boots}) == 3 and boots[1] == machine.boot_id(), boots
    check.clean_after(machine, old)


class Inside(Scene):
    """The job's number is taken: it lives in a PID namespace, and has another number on the host each time that it is back."""

    name = ""

    def begin(self) -> check.Before:
        old = super().begin()
        self.name = f"pid-{self.job}"
        return old

    def find_job(self) -> None:
        self.job = int(self.machine.run("pgrep -f '^python3 /root/job.py' || echo 0"))
        self.inits = int(self.job != 0)

    def names(self, old: check.Before) -> dict[str, int]:
        self.find_job()
        return {f"session-{old.number}": old.shell, self.name: self.job}

    def lives_inside(self) -> None:
        """It is in there with its init, and nobody else is."""
        init = int(self.machine.run(f"ps -o ppid= -p {self.job}"))
        assert self.comm(init) == "carryover-init" and self.machine.run(f"pgrep -P {init}").split() == [str(self.job)]
        number = self.machine.run(f"readlink /proc/{init}/ns/pid").strip()
        there = self.machine.run(f"ls -l /proc/[0-9]*/ns/pid 2>/dev/null | grep -cF '{number}'", check=False).strip()
        assert there == "2", f"{there} processes in the namespace"
        assert len(self.machine.run(f"ls /proc/{init}/fd").split()) <= 3, self.machine.run(f"ls -l /proc/{init}/fd")

    def fault(self, words: str, allowed: set[str]) -> None:
        """Runs into it by `carryover reboot`, in this kernel."""
        old = self.begin()
        self.machine.run("rm -f /run/carryover-fault*")
        self.machine.write("/run/carryover-faults", words + "\n")
        assert self.session
        self.session.send_line("carryover reboot --yes; echo \"returned\" $?.")
        point = words.partition("=")[2].partition(" ")[0].rpartition(":")[0]
        self.at_rest(point, old)
        became = self.what_became(old)
        print(words, became, {name: (tree.get("mode"), tree.get("reason")) for name, tree in self.status().items()})
        self.nothing_left()
        self.judge(became, old)
        assert {became[f"session-{old.number}"], became[self.name]} <= allowed, became
        self.retry(became)
        self.lives_inside()


@pytest.mark.rotates
def test_faults_in_a_namespace(lab: Lab) -> None:
    """A tree in a namespace of its own meets what a save and a restore may die of, and is carried with encryption then."""
    scene = Inside(lab.machine("bookworm", "netns"))
    machine, old = scene.machine, scene.begin()
    squat(machine, scene.job)
    assert scene.session and scene.ticks
    check.reboot(scene.session)
    scene.at_rest("none", old)
    assert scene.what_became(old) == {f"session-{old.number}": BACK, scene.name: BACK}
    scene.lives_inside()
    for point in "save:before-freeze", "save:after-dump", "save:before-seal":
        scene.fault(f"carryover.fault={point}:kill", {LIVES})
    for point in "restore:begun", "restore:made", "restore:running":
        scene.fault(f"carryover.fault={point}:kill carryover.fault=jump:before-load", {LIVES, LOST})

    machine.run("rm -f /run/carryover-fault*")
    machine.write("/etc/carryover/carryover.conf.d/encrypt.conf", "[Carryover]\nEncrypt=yes\n")
    old = scene.begin()
    check.reboot(scene.session)
    scene.at_rest("none", old)
    assert scene.what_became(old) == {f"session-{old.number}": BACK, scene.name: BACK}
    assert scene.status()[scene.name]["mode"] == "namespace"
    scene.lives_inside()
    scene.nothing_left()
    scene.job_goes_on()
