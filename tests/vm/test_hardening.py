# SPDX-License-Identifier: GPL-2.0-or-later
"""
A restored process is a child of our service's, so whatever the service may or must not do it would hand down:
capabilities, limits, privileges, keyrings. Here it has after the jump what it had before, no more and no less.
"""

from __future__ import annotations

import json

import pytest

from conftest import Lab
from lab import check
from lab.machine import Machine
from lab.util import wait_for

# Tells at once, and again with each SIGUSR1, what only the process itself can ask about. "seccomp" puts a filter on that
# allows everything.
PIG = r"""#!/usr/bin/python3
import ctypes, json, os, signal, sys

libc = ctypes.CDLL(None)
ASKED = {"securebits": 27, "dumpable": 3, "keepcaps": 7, "timerslack": 30, "thp_disable": 42, "mce_kill": 34}
WRITTEN = {"pdeathsig": 2, "subreaper": 37, "tsc": 25}

def told():
    found = {name: libc.prctl(option, 0, 0, 0, 0) for name, option in ASKED.items()}
    for name, option in WRITTEN.items():
        value = ctypes.c_int(-1)
        libc.prctl(option, ctypes.byref(value), 0, 0, 0)
        found[name] = value.value
    keyring = ctypes.create_string_buffer(256)
    libc.syscall(250, 6, -3, keyring, 256)  # KEYCTL_DESCRIBE, KEY_SPEC_SESSION_KEYRING
    found["keyring"] = keyring.value.decode()
    found["keys"] = open("/proc/keys").read()
    return found

def tell(*_):
    global n
    path = f"/var/lib/pigs/{sys.argv[1]}.{n}"
    with open(path + ".new", "w") as file:
        json.dump({"pid": os.getpid(), **told()}, file)
    os.rename(path + ".new", path)
    n += 1

n = 0
signal.signal(signal.SIGUSR1, tell)
if "seccomp" in sys.argv:
    code = ctypes.create_string_buffer(b"\x06\x00\x00\x00\x00\x00\xff\x7f", 8)
    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]
    program = Program(1, ctypes.addressof(code))
    assert libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0
tell()
while True:
    signal.pause()
"""

# All that others can see of a process and that it may have inherited.
SNAPSHOT = r"""
import ctypes, json, os, sys

STATUS = ("Umask Uid Gid Groups SigBlk SigIgn SigCgt CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp Seccomp_filters "
          "Cpus_allowed_list Mems_allowed_list").split()
FILES = "limits oom_score_adj loginuid personality coredump_filter timerslack_ns attr/current".split()

def read(path):
    try:
        return open(path).read().strip("\0\n")
    except OSError as error:
        return error.strerror

def namespaces(pid):
    names = (name for name in os.listdir("/proc/1/ns") if not name.startswith("time"))  # CRIU gives each tree a new one
    return [name for name in sorted(names) if os.readlink(f"/proc/{pid}/ns/{name}") != os.readlink(f"/proc/1/ns/{name}")]

def look(pid):
    status = dict(line.split(":", 1) for line in read(f"/proc/{pid}/status").splitlines())
    found = {key: status[key].strip() for key in STATUS}
    found |= {name: read(f"/proc/{pid}/{name}") for name in FILES}
    found |= {"exe": os.readlink(f"/proc/{pid}/exe"), "not the host's": namespaces(pid), "cgroup": read(f"/proc/{pid}/cgroup"),
              "scheduler": [os.sched_getscheduler(pid), os.sched_getparam(pid).sched_priority],
              "nice": os.getpriority(os.PRIO_PROCESS, pid), "ioprio": ctypes.CDLL(None).syscall(252, 1, pid)}
    return found

print(json.dumps({pid: look(int(pid)) for path in sys.argv[1:] for pid in read(path + "/cgroup.procs").split()}))
"""

# Everybody who is not just like his parent. Without new privileges: CRIU of Debian 12 does not carry that, and it is refused.
PIGS = {
    "plain": "pig plain",
    "limits": "sh -c 'umask 027; exec prlimit --nofile=777 --core=0 --nproc=5000 nice -n 5 pig limits'",
    "realtime": "chrt -f 10 pig realtime",
    "batch": "chrt -b 0 ionice -c 3 taskset 2 pig batch",
    "caps": "setpriv --reuid joe --regid joe --groups 4,24 --bounding-set=-sys_admin,-sys_ptrace "
            "--inh-caps=+net_raw --ambient-caps=+net_raw pig caps",
    "noroot": "setpriv --securebits=+noroot,+noroot_locked pig noroot",
    "layout": "setarch -R pig layout",
    "filter": "pig filter seccomp",
    "victim": "sh -c 'echo 500 >/proc/self/oom_score_adj; exec pig victim'",
}
PIGS_TRIXIE = {"nonew": "setpriv --no-new-privs --reuid joe --regid joe --clear-groups pig nonew"}


def tells(machine: Machine, name: str, turn: int) -> dict:
    """What a pig says of itself the nth time."""
    path = f"/var/lib/pigs/{name}.{turn}"
    return json.loads(wait_for(f"{name} to tell", lambda: machine.run(f"cat {path}", check=False), 60, 0.5))


def looks(machine: Machine, *sessions: check.Before) -> dict[str, dict]:
    """All processes of these sessions, by their numbers."""
    scopes = " ".join(f"/sys/fs/cgroup/user.slice/user-*.slice/{old.scope}" for old in sessions)
    return json.loads(machine.run(f"python3 - {scopes}", stdin=SNAPSHOT))


def differences(before: dict[str, dict], after: dict[str, dict]) -> list[str]:
    """One line for each thing that is not as it was."""
    lines = [f"{which}: {'gone' if which in before else 'new'}" for which in before.keys() ^ after.keys()]
    return lines + [f"{which}: {key} was {value!r}, is {after[which][key]!r}" for which in before.keys() & after.keys()
                    for key, value in before[which].items() if after[which][key] != value]


def keyring_owner(told: dict) -> int:
    """Whose its session keyring is ("keyring;UID;GID;RIGHTS;NAME")."""
    return int(told["keyring"].split(";")[1])


# What CRIU does not carry and nobody can put back from outside; the preflight says so (docs/CRIU.md, "What cannot be dumped").
LOST = {"bookworm": {("caps", "CapAmb"), ("layout", "personality")}, "trixie": {("layout", "personality")}}


@pytest.mark.parametrize("distro, how", [("bookworm", "carryover reboot --yes --no-kexec"), pytest.param("trixie", "carryover reboot --yes", marks=pytest.mark.thorough)])
def test_rights(lab: Lab, distro: str, how: str) -> None:
    """Ordinary sessions, and processes with unusual rights. Through the firmware everything that the initramfs would have done
    is left to carryover-early.service, which is the one that is locked in."""
    machine = lab.machine(distro, "netns")
    machine.write("/etc/carryover/carryover.conf.d/keep.conf", "[Carryover]\nKeepSshSessions=yes\n")
    machine.write("/usr/local/bin/pig", PIG, "755")
    machine.run("mkdir -m 1777 /var/lib/pigs")
    root, joe = machine.session("root"), machine.session("joe")
    sessions = [check.before(machine, root), check.before(machine, joe)]
    pigs = PIGS | (PIGS_TRIXIE if distro == "trixie" else {})
    for line in pigs.values():
        root.command(f"{{ {line} & }}")
    joe.command("{ pig joe & }")
    first = {name: tells(machine, name, 0) for name in [*pigs, "joe"]}
    before = looks(machine, *sessions)
    assert {str(told["pid"]) for told in first.values()} < before.keys()
    assert before[str(first["limits"]["pid"])]["limits"].split("Max processes")[1].split()[:2] == ["5000", "5000"]

    check.reboot(root, how, 300)
    for session, old in zip([root, joe], sessions):
        check.same_session(session, old)
    machine.wait_for_ssh()
    machine.run(f"kill -USR1 {' '.join(str(told['pid']) for told in first.values())}")
    second = {name: tells(machine, name, 1) for name in first}
    after = looks(machine, *sessions)
    names = {str(told["pid"]): name for name, told in first.items()}
    said = [{name: {key: told[key] for key in told.keys() - {"keyring", "keys"}} for name, told in turn.items()}
            for turn in (first, second)]
    wrong = set(differences(before, after) + differences(*said))
    lost = {line for line in wrong for name, key in LOST[distro] if line.startswith(f"{first[name]['pid']}: {key} was")}
    assert wrong == lost and len(lost) == len(LOST[distro]), f"{names}\n" + "\n".join(sorted(wrong))
    for name, told in second.items():
        uid = int(after[str(told["pid"])]["Uid"].split()[0])
        print(f"{name}: user {uid}, session keyring was {first[name]['keyring']}, is {told['keyring']}")
        assert keyring_owner(told) == uid, f"{name} of user {uid} has a session keyring of another: {told['keyring']}"
        assert uid == 0 or "invocation_id" not in told["keys"], f"{name} has a key of our service: {told['keys']}"
    print(f"{len(after)} processes have what they had")
    code, text = joe.command("( echo -1 >/proc/self/oom_score_adj )")
    assert code != 0 and "Permission denied" in text, f"joe may lower his OOM score: {text}"

    ours = machine.run("journalctl -b -o cat -u carryover-early -p warning")
    assert ours == "", ours
    check.clean_after(machine, *sessions)
