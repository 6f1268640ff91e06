# SPDX-License-Identifier: GPL-2.0-or-later
"""
Sessions live through a real kexec. One machine per test, and as much looked at per jump as possible: a jump
takes a minute.
"""

from __future__ import annotations

import dataclasses
import re

import pytest

from conftest import Lab
from lab import check
from lab.machine import Machine
from lab.ssh import SshSession, plain
from lab.util import wait_for


def summary_is_right(text: str, old: check.Before, machine: Machine, others: int = 0) -> None:
    """What `carryover reboot` printed, in both kernels; with so many whom nobody kept."""
    carried, rest = f"Carried 1 of {1 + others} to Linux ", f"; {others} not kept" if others else ""
    assert f"keeping session-{old.number}" in text
    assert f"jumping into Linux {machine.layer.kernel_b}" in text
    assert re.search(rf"{carried}{re.escape(machine.layer.kernel_b)}, gap \d+\.\d s{rest}\.", text), text
    assert "STEP" not in text
    machine.wait_for_ssh()  # the session may be back before sshd is
    full = machine.run("carryover status --steps", check=others == 0).splitlines()
    assert full[0].startswith(carried) and full[1].startswith("     State: idle; nothing kept"), full
    assert any(line.startswith("  STEP") for line in full), full


def test_root(lab: Lab) -> None:
    machine = lab.machine("bookworm", "netns")
    session = machine.session()
    old = check.before(machine, session)
    check.answer(session, "word=kept; declare -A map=([a]=1 [b]=2)")
    ticks = check.counter(session)
    began, text = check.reboot(session, "carryover reboot")  # nothing else ends, and nobody is asked
    assert "Go on?" not in text and "This reboot ends" not in text, text
    summary_is_right(text, old, machine)
    check.same_session(session, old)
    assert check.answer(session, "echo $word ${map[b]}") == "kept 2"
    assert re.search(r"\[1\]\+?\s+Running\s.*i=0", check.answer(session, "jobs"))
    ticks.goes_on()
    print(f"counted to {ticks.check()}, none missing, none twice")
    check.other_boot(machine, old)
    # The kernel counts logins anew, and logind would refuse a session to who gets the number of a carried one.
    assert int(machine.run("cat /proc/self/sessionid")) > int(old.number)
    check.gap_agrees(machine, session, began)
    check.steps(machine)
    check.clean_after(machine, old)
    check.job_control(machine, session)


def inhibited(machine: Machine, session: SshSession) -> None:
    """Somebody upgrades, and a reboot would cut it off."""
    machine.run("systemd-run -q --unit=upgrade systemd-inhibit --what=shutdown --mode=block --who=apt "
                "--why='upgrade in progress' sleep infinity")
    wait_for("the lock", lambda: "upgrade in progress" in machine.run("systemd-inhibit --list"), 30, 0.5)
    code, text = session.command("sudo carryover reboot --yes")
    print(text)
    assert code == 4 and re.search(r'carryover: not rebooted: "apt" \(PID \d+, root\) inhibits a shutdown: upgrade in progress; '
                                   r"wait for it, or use --ignore-inhibitors", text), text
    code, text = session.command("sudo carryover check")
    assert code == 0 and "inhibits a shutdown: upgrade in progress" in text, text
    machine.run("systemctl stop upgrade")
    code, text = session.command("sudo carryover check")
    assert code == 0 and "inhibits" not in text, text


def scheduled(machine: Machine, session: SshSession) -> None:
    """Somebody's reboot in an hour is shown, until it is called off."""
    machine.run("shutdown -r +60")
    print(machine.run("cat /run/systemd/shutdown/scheduled"))
    code, text = session.command("sudo carryover status")
    assert code == 3 and re.search(r"^ Scheduled: reboot at \w{3} \d{4}-\d\d-\d\d \S+ \w+: nothing is kept$", text, re.MULTILINE), text
    machine.run("shutdown -c")
    assert "Scheduled" not in session.command("sudo carryover status")[1]


@pytest.mark.parametrize("distro, network", [("bookworm", "user"), ("trixie", "netns")])
def test_joe(lab: Lab, distro: str, network: str) -> None:
    """Privilege-separated sshd and sudo: with a peer without any TCP option; and OpenSSH 10, systemd 257, CRIU 4.1.1,
    sudo on a terminal of its own."""
    machine = lab.machine(distro, network)
    session, other = machine.session("joe"), machine.session("root")
    old = check.before(machine, session)
    inhibited(machine, session)
    scheduled(machine, session)
    ticks = check.counter(session)
    began, text = check.reboot(session, "sudo carryover reboot --yes")
    summary_is_right(text, old, machine, others=1)
    assert re.search(r"Not kept: session \w+ \(ssh\) of root\n", text), text
    assert "[carryover] this session is carried over the reboot\n" in text, text
    assert "back in Linux" not in text  # the report says so
    assert "[carryover] this machine reboots, and this session ends\n" in plain(other.text()), other.text()
    check.same_session(session, old)
    assert check.answer(session, "id -un; sudo id -un").split() == ["joe", "root"]
    ticks.goes_on()
    print(f"counted to {ticks.check()}, none missing, none twice")
    check.other_boot(machine, old)
    check.gap_agrees(machine, session, began)
    check.clean_after(machine, old)
    check.job_control(machine, session)


def test_namespace(lab: Lab) -> None:
    """Into a PID namespace of its own, out of it by `carryover enter`, and in again from the host."""
    machine = lab.machine("bookworm", "netns")
    machine.write("/etc/carryover/carryover.conf.d/mode.conf", "[Carryover]\nPidMode=namespace\n")
    session = machine.session("joe")
    old = check.before(machine, session)
    schedule = "taskset -p $$; ionice -p $$; cat /proc/$$/oom_score_adj"
    check.answer(session, "taskset -p 2 $$; ionice -c 3 -p $$; echo 300 >/proc/$$/oom_score_adj")
    scheduled = check.answer(session, schedule)
    assert "mask: 2" in scheduled and "idle" in scheduled and "300" in scheduled
    ticks = check.counter(session)
    check.reboot(session, "sudo carryover reboot --yes")
    check.same_session(session, old)
    ticks.goes_on()
    ticks.check()
    check.other_boot(machine, old)
    assert check.status(machine)["trees"][0]["mode"] == "namespace"
    assert check.answer(session, schedule) == scheduled
    assert check.answer(session, "cat /proc/1/comm") == "carryover-init"
    ignored = check.answer(session, "grep SigIgn /proc/self/status")
    check.clean_after(machine, old, namespaces=1)

    # Out: a shell of the host's, for the same user, on the same terminal.
    check.answer(session, "kill %1; wait")
    session.expect(r"\$ ")
    session.send_line("sudo carryover enter")
    session.expect(r"enter\r\n")
    session.expect(r"\$ ", 60)
    assert check.answer(session, "cat /proc/1/comm; id -un").split() == ["systemd", "joe"]
    assert check.answer(session, "grep SigIgn /proc/self/status") == ignored
    listener = machine.run("pgrep -o sshd").strip()
    assert check.answer(session, f"ps -p {listener} -o comm=") == "sshd"
    session.expect(r"\$ ")
    session.send_line("exit 7")
    session.expect(r"\$ ", 60)
    assert check.answer(session, "echo $? $(cat /proc/1/comm)") == "7 carryover-init"
    check.same_session(session, old)

    # In: what runs there sees the tree's own numbers.
    seen = machine.run(f"carryover enter session-{old.number} -- ps -e -o pid=,comm=")
    assert re.search(rf"^\s*{old.shell} bash$", seen, re.MULTILINE) and "systemd" not in seen, seen


@pytest.mark.parametrize("distro", ["bookworm", "trixie"])
def test_several(lab: Lab, distro: str) -> None:
    """Two users, both IP versions and a job that left its session, by one line of a script."""
    machine = lab.machine(distro, "netns")
    machine.write("/etc/carryover/carryover.conf.d/keep.conf", "[Carryover]\nKeepSshSessions=yes\n")
    machine.write("/root/script", "carryover reboot --yes && uname -r > /root/after\n", "755")
    root, joe = machine.session("root"), machine.session("joe", family=6)
    sessions = [(root, check.before(machine, root)), (joe, check.before(machine, joe))]
    # It has its session's terminal open, so it must not come back before that does; nothing else keeps it waiting.
    check.answer(joe, "setsid sh -c 'i=0; while sleep 0.2; do i=$((i+1)); echo $i >>job; [ -e speak ] && rm speak && "
                 "echo speaks-$i-; done' & sleep 1; pgrep -f 'i=0; whil[e]'")
    counters = [check.counter(root), check.counter(joe)]
    began, _ = check.reboot(root, "bash ./script")
    # Joe has typed nothing, and is told; where the command waits, its report is told once.
    back = joe.expect(rf"\[carryover\] back in Linux {re.escape(machine.layer.kernel_b)} after (\d+\.\d) s\r", 30)
    print(back.group(0))
    assert "[carryover] this session is carried over the reboot\n" in plain(joe.text())
    assert "back in Linux" not in root.text()
    for (session, old), ticks in zip(sessions, counters):
        check.same_session(session, old)
        ticks.goes_on()
        ticks.check()
    check.other_boot(machine, sessions[0][1])
    wait_for("the script's last line", lambda: machine.run("cat /root/after", check=False), 30, 0.5)
    assert machine.run("cat /root/after").strip() == machine.layer.kernel_b

    report = check.status(machine)
    print([(tree["name"], tree["state"], tree["mode"]) for tree in report["trees"]])
    assert len(report["trees"]) == 3 and {tree["state"] for tree in report["trees"]} == {"carried"}
    def counted() -> list[int]:
        return [int(n) for n in machine.run("cat ~joe/job").split()]

    lines = len(counted())
    wait_for("the job to count on", lambda: len(counted()) > lines, 30, 0.5)
    numbers = counted()
    assert numbers == list(range(1, len(numbers) + 1))
    check.answer(joe, "touch speak")
    joe.expect(r"speaks-\d+-", 30)
    for session, old in sessions:
        check.gap_agrees(machine, session, began, old)
    check.clean_after(machine, *(old for _, old in sessions))


# io_uring_setup(8, &params): the descriptor stays open as long as Python lives.
IO_URING = "import ctypes,time; b=(ctypes.c_char*256)(); print('ring',ctypes.CDLL(None).syscall(425,8,b),flush=True); time.sleep(999)"


def test_refused_and_stopped(lab: Lab) -> None:
    """What cannot be saved goes on living; and nothing of the attempt is in the way of the next one."""
    machine = lab.machine("bookworm", "netns")
    session = machine.session("root")
    old = check.before(machine, session)
    ticks = check.counter(session)

    # Refused before anything is touched.
    session.send_line(f'python3 -c "{IO_URING}" & ring=$!')
    assert int(session.expect(r"ring (-?\d+)\r", 60).group(1)) > 2
    code, text = session.command("carryover check")
    print(text)
    assert code == 4 and "refused" in text and "io_uring" in text
    code, text = session.command("carryover reboot --yes")
    assert code == 4 and "io_uring" in text, text
    assert machine.boot_id() == old.boot_id
    check.answer(session, "kill $ring; wait $ring || true")
    ticks.goes_on()

    # Stopped at the last moment: all trees frozen, their images written, not yet sealed.
    machine.write("/run/carryover-faults", "carryover.fault=save:before-seal\n")
    code, text = session.command("carryover reboot --yes", 180)
    print(text)
    assert code == 1 and "not rebooted, all trees continue to run" in text and "save:before-seal" in text, text
    ticks.goes_on()
    check.same_session(session, old)
    machine.wait_for_ssh(90)  # what the shutdown had stopped until then starts again
    assert machine.boot_id() == old.boot_id
    check.clean_after(machine, old)
    with machine.session("joe") as another:
        assert another.command("id -un") == (0, "joe")

    # And now for good.
    machine.run("rm /run/carryover-faults")
    check.reboot(session)
    check.same_session(session, old)
    ticks.goes_on()
    print(f"counted to {ticks.check()}, none missing, none twice")
    check.other_boot(machine, old)
    check.clean_after(machine, old)


# Reads lines for ever. What it prints is not what the terminal echoes of it when it is typed.
READER = "import sys; print('is', 'ready', flush=True); [print('read', len(line), flush=True) for line in sys.stdin]"


def test_without_kexec(lab: Lab) -> None:
    """An ordinary reboot through the firmware: asked of carryover, and then typed by somebody else under a kept
    session with a program in front."""
    machine = lab.machine("bookworm", "netns")
    session = machine.session("joe")
    first = check.before(machine, session)
    ticks = check.counter(session)
    check.reboot(session, "sudo carryover reboot --yes --no-kexec", 300)
    check.same_session(session, first)
    ticks.goes_on()
    ticks.check()
    check.other_boot(machine, first, other_kernel=False)
    check.clean_after(machine, first)

    second = dataclasses.replace(first, boot_id=machine.boot_id())
    check.answer(session, "sudo carryover keep; kill %1; wait")
    session.send_line(f'python3 -c "{READER}"')
    session.expect("is ready", 60)
    machine.run("systemctl --no-block reboot")
    machine.wait_for_boot(second.boot_id, 300)
    session.send_line("four")
    session.expect("read 5", 120)
    check.reads(machine, machine.run("pgrep -x python3 -u joe").strip())
    session.send("\x03")
    session.expect(r"KeyboardInterrupt", 60)
    check.same_session(session, second)
    check.other_boot(machine, second, other_kernel=False)
    report = check.status(machine)
    assert [tree["state"] for tree in report["trees"]] == ["carried"], report["trees"]
    check.clean_after(machine, second)


# Writes a number five times a second, and says what it heard of a shutdown.
TICKING = """#!/usr/bin/python3
import signal, sys, time
out = open(sys.argv[1], "a", buffering=1)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(print("told to stop", file=out)))
n = 0
while True:
    n += 1
    print(n, file=out)
    time.sleep(0.2)
"""


@pytest.mark.rotates
def test_units(lab: Lab) -> None:
    """What lives outside of every login is stopped after the save only: a service, the manager of a user, a scope of a session's."""
    machine = lab.machine("bookworm", "netns")
    machine.write("/usr/local/bin/ticking", TICKING, "755")
    session = machine.session("root")
    old = check.before(machine, session)
    machine.run("loginctl enable-linger joe && systemd-run -q --unit=service -p MemoryMax=200M -p CPUQuota=50% -p Restart=always -p StandardOutput=null "
                "-p StandardError=null ticking /root/service")
    wait_for("the manager of joe", lambda: machine.run("test -S /run/user/1000/systemd/private && echo there", check=False), 60, 0.5)
    machine.run("XDG_RUNTIME_DIR=/run/user/1000 systemd-run -q --user --unit=his -p MemoryMax=100M -p StandardOutput=null -p StandardError=null "
                "ticking /home/joe/his", user="joe")
    check.answer(session, "{ systemd-run -q --scope ticking /root/scope & }")
    wait_for("all of them", lambda: machine.run("ls /root/service /root/scope /home/joe/his", check=False).count("\n") == 3, 60, 0.5)
    pids = {name: machine.run(f"pgrep -f 'python3 /usr/local/bin/ticking .*/{name}$'").strip() for name in ("service", "his", "scope")}
    print(pids, {name: machine.run(f"cat /proc/{pid}/cgroup").strip() for name, pid in pids.items()})
    machine.run(f"carryover keep unit:service && carryover keep pid:{pids['his']}")
    check.reboot(session)
    check.other_boot(machine, old)
    check.same_session(session, old)
    assert [tree["state"] for tree in check.status(machine)["trees"]] == ["carried"] * 3
    for name, path in (("service", "/root/service"), ("his", "/home/joe/his"), ("scope", "/root/scope")):
        lines = machine.run(f"cat {path}").split("\n")[:-1]
        assert lines == [str(n) for n in range(1, len(lines) + 1)], (name, lines[-5:])
        wait_for(f"{name} to go on", lambda: len(machine.run(f"cat {path}").split()) > len(lines), 30, 0.5)
        assert machine.run(f"cat /proc/{pids[name]}/comm").strip() == "ticking"
    # What their units restricted is in force, in the scopes that they have now.
    for name, file, value in (("service", "memory.max", str(200 << 20)), ("service", "cpu.max", "50000 100000"), ("his", "memory.max", str(100 << 20))):
        assert machine.run(f"cat /sys/fs/cgroup$(cut -d: -f3 /proc/{pids[name]}/cgroup)/{file}").strip() == value, (name, file)
    check.clean_after(machine, old)


SQUATTER = "import socket,time; s = socket.socket(socket.AF_INET6); s.setsockopt(1, 2, 1); s.bind(('', 22)); s.listen(); time.sleep(999)"


def test_ssh_is_started_again(lab: Lab) -> None:
    """A connection that is being brought back can be in sshd's way for a moment; sshd must not be gone for good then."""
    machine = lab.machine("bookworm", "netns")
    session = machine.session("root")
    check.answer(session, "systemctl stop ssh.service")
    check.answer(session, f'systemd-run -q --unit=squatter python3 -c "{SQUATTER}"')
    check.answer(session, "until ss -Hltn 'sport = 22' | grep -q LISTEN; do systemctl is-active squatter.service; sleep 0.1; done")
    code, text = session.command("systemctl start ssh.service")
    print(text)
    assert code != 0
    check.answer(session, "systemctl stop squatter.service")
    machine.wait_for_ssh(60)
    # By its name, not by its unit: journald asks /proc for the unit of a writer, and this one may be dead by then.
    assert "Address already in use" in machine.run("journalctl -b -t sshd")
