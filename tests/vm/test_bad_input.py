# SPDX-License-Identifier: GPL-2.0-or-later
"""
Issue 2, "Bad input": each gives one line on stderr that says what and what to do, the exit code of its kind, and nothing
is killed: one session counts through all of it. No reboot: nothing here gets that far.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
import struct
from dataclasses import dataclass

from conftest import Lab
from lab.check import Counter, no_hold
from lab.machine import Machine

OK, FAILED, USAGE, NOTHING, REFUSED = range(5)
CONF = "/etc/carryover/carryover.conf"

# Runs the calls of a list and answers with what each gave.
DRIVER = """
import json, subprocess, sys
out = []
for words in json.load(sys.stdin):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    out.append([done.returncode, done.stdout, done.stderr])
print(json.dumps(out))
"""


@dataclass(frozen=True)
class Case:
    """A call with its exit code and what its one line must match."""

    words: str
    code: int
    says: str


class Judge:
    """Makes calls and notes what is not as it must be, so that one run shows everything."""

    def __init__(self, machine: Machine, user: str = "root") -> None:
        self.machine = machine
        self.wrong: list[str] = []
        self.count = 0
        machine.write("/tmp/driver.py", DRIVER)

    def call(self, words: list[str], user: str = "root", before: str = "true") -> list[tuple[int, str, str]]:
        """Run `carryover ...` for each, behind a shell command: one connection, since each takes a second."""
        calls = json.dumps([["carryover", *each.split()] for each in words])
        return json.loads(self.machine.run(f"{{ {before}; }} >/dev/null 2>&1 </dev/null && python3 /tmp/driver.py", user=user,
                                           stdin=calls, timeout=240))

    def expect(self, what: str, cases: list[Case], user: str = "root", before: str = "true") -> None:
        """Each case exits and complains as it must."""
        print(f"\n{what}:")
        for case, (code, _, errors) in zip(cases, self.call([case.words for case in cases], user, before), strict=True):
            print(f"  {code} carryover {case.words}: {errors.strip()}")
            self.count += 1
            if code != case.code:
                self.wrong.append(f"{what}: carryover {case.words}: exit {code}, not {case.code}: {errors}")
            if not re.fullmatch(r"carryover: [^\n]+\n", errors):
                self.wrong.append(f"{what}: carryover {case.words}: not one line: {errors!r}")
            elif not re.search(case.says, errors):
                self.wrong.append(f"{what}: carryover {case.words}: does not say '{case.says}': {errors}")


def put(path: str, content: str | bytes, mode: str = "644") -> str:
    """The shell command that writes a file."""
    data = base64.b64encode(content.encode() if isinstance(content, str) else content).decode()
    return f"rm -rf {path} && mkdir -p {path.rsplit('/', 1)[0]} && base64 -d <<<'{data}' >{path} && chmod {mode} {path}"


def setting(text: str) -> str:
    """The shell command that writes the configuration."""
    return put(CONF, "[Carryover]\n" + text)


def usage(judge: Judge) -> None:
    """Wrong words for each verb."""
    help_ = "see carryover --help"
    cases = [Case("", USAGE, "no verb given.*" + help_), Case("frob", USAGE, "unknown verb 'frob'.*" + help_)]
    for verb in ("check", "keep", "drop", "list", "reboot", "status", "enter"):
        cases.append(Case(f"{verb} --frob", USAGE, f"unknown option --frob for {verb}.*" + help_))
        if verb != "enter":  # the words behind its tree are a command
            cases.append(Case(f"{verb} a b c d", USAGE, help_))
    cases += [Case("reboot --kernel=", USAGE, "--kernel needs a value"), Case("list --json=xml", USAGE, "short, pretty or off"),
              Case("check nonsense", USAGE, "invalid target 'nonsense': use session:ID, pid:NUMBER or unit:NAME"),
              Case("keep pid:12x", USAGE, "invalid target"), Case("keep pid:-1", USAGE, "invalid target"),
              Case("keep unit:../x", USAGE, "invalid target"), Case("keep session:../../etc", USAGE, "invalid target"),
              Case("reboot --kernel=9.9.9-none", FAILED, r"9\.9\.9-none")]
    judge.expect("wrong words", cases)


def targets(judge: Judge) -> None:
    """Nothing that is there, and what is there and stays."""
    machine = judge.machine
    # A zombie: its parent sleeps on and never asks for it. And a process where the save itself runs.
    machine.run("setsid bash -c 'sleep 0 & exec sleep 1000' >/dev/null 2>&1 </dev/null &")
    machine.run("mkdir -p /sys/fs/cgroup/system.slice/carryover.service; "
                "setsid bash -c 'echo $$ >/sys/fs/cgroup/system.slice/carryover.service/cgroup.procs; exec sleep 1001' "
                ">/dev/null 2>&1 </dev/null &")
    machine.run("timeout 20 sh -c 'until pgrep -r Z sleep && pgrep -f \"^sleep 1001\"; do sleep 0.1; done'")
    zombie = machine.run("pgrep -r Z sleep").split()[0]
    own = machine.run("pgrep -f '^sleep 1001'").split()[0]
    gone = machine.run("sh -c 'echo $$'").strip()
    listener = machine.run("cat /run/sshd.pid").strip()
    stays = "every boot starts its own"
    cases = []
    for verb in ("check", "keep"):
        cases += [Case(f"{verb} session:none", FAILED, "session none does not exist: see loginctl"),
                  Case(f"{verb} unit:none.service", FAILED, r"no process runs in system unit none\.service"),
                  Case(f"{verb} pid:{gone}", FAILED, f"process {gone} does not exist"),
                  Case(f"{verb} pid:{zombie}", FAILED, "is a zombie"),
                  Case(f"{verb} pid:1", REFUSED, rf"\(1\) cannot be carried: {stays} PID 1"),
                  Case(f"{verb} pid:2", REFUSED, rf"\(2\) cannot be carried: {stays} kernel threads"),
                  Case(f"{verb} pid:{own}", REFUSED, f"{stays} carryover"),
                  Case(f"{verb} pid:{listener}", REFUSED, f"{stays} sshd listener")]
    cases += [Case("check unit:system.slice", REFUSED, "every boot starts its own"),
              Case("drop session:none", NOTHING, "is not kept: see carryover list"),
              Case("drop --all", NOTHING, "nothing is kept"), Case("list", NOTHING, "nothing is kept: see carryover keep"),
              Case("status nobody", FAILED, "nothing has been carried yet")]
    judge.expect("targets", cases)
    machine.run(f"kill {own}; pkill -f '^sleep 1000'")


def nobody(judge: Judge) -> None:
    """An ordinary user without sudo."""
    verbs = ("check", "keep", "drop", "list", "reboot", "status", "enter")
    judge.expect("not root", [Case(verb, FAILED, f"{verb} needs root: try sudo carryover {verb}") for verb in verbs], "joe")


def refused(target: str, why: str) -> list[Case]:
    """What the machine cannot do is said by each verb that would need it."""
    return [Case(f"check {target}", REFUSED, why), Case(f"keep {target}", REFUSED, "not kept: .*" + why),
            Case("reboot", REFUSED, "not rebooted: .*" + why)]


def criu(judge: Judge, target: str) -> None:
    """No CRIU, a program that is not CRIU, and one that finds that it does not work with this kernel."""
    machine = judge.machine
    machine.run("mv /usr/sbin/criu /usr/sbin/criu.away")
    judge.expect("no CRIU", refused(target, "criu is not installed: install package criu"))
    machine.run("mv /usr/sbin/criu.away /usr/sbin/criu")
    judge.expect("not CRIU", refused(target, "/bin/true exited without an answer: set Criu= to a CRIU program"),
                 before=setting("Criu=/bin/true"))
    # What an old CRIU misses in a newer kernel is here taken from it: its own check then fails, as it would.
    machine.write("/root/old-criu", "#!/bin/sh\nexec setpriv --bounding-set=-net_admin --inh-caps=-net_admin "
                  "/usr/sbin/criu \"$@\"\n", "755")
    judge.expect("a CRIU whose check fails (simulated: without CAP_NET_ADMIN)",
                 refused(target, "CRIU does not work on this kernel, install a newer CRIU: "),
                 before=setting("Criu=/root/old-criu"))
    machine.run(f"rm {CONF}")


def service(judge: Judge, target: str) -> None:
    """A shutdown stops, and so asks, only what is active."""
    judge.machine.run("systemctl stop carryover.service")
    judge.expect("a service that was stopped", refused(target, "carryover.service is not running; run systemctl start carryover.service"))
    judge.machine.run("systemctl start carryover.service")


def store(judge: Judge, target: str) -> None:
    """Full, read-only, in memory, not a directory, open to others."""
    machine = judge.machine
    machine.run("mkdir -p /mnt/full /mnt/ro /mnt/memory; truncate -s 8M /root/full.img /root/ro.img; for name in full ro; do "
                "/usr/sbin/mkfs.ext4 -q -m 0 /root/$name.img && mount -o loop /root/$name.img /mnt/$name && chmod 700 /mnt/$name || exit 1; done; "
                "mkdir -m 700 /mnt/ro/there; mount -o remount,ro /mnt/ro; mount -t tmpfs -o mode=700 none /mnt/memory; "
                "dd if=/dev/zero of=/mnt/full/ballast bs=4k 2>/dev/null; mkdir -p /mnt/open; chmod 755 /mnt/open; touch /mnt/file")
    where = "see Store= in carryover.conf"
    for path, why in (("/mnt/full", "the store has 0 MiB free; .*free space in the store, or set Store="),
                      ("/mnt/ro/there", f"/mnt/ro/there.*{where}.*Read-only file system"),
                      ("/mnt/ro/new", f"/mnt/ro/new, {where}.*is not writable: Read-only file system"),
                      ("/mnt/memory", "the store /mnt/memory is in memory and would not survive a reboot: set Store= in"),
                      ("/mnt/open", f"{where}.*must be accessible to root only: run chown root: /mnt/open; chmod 0700 /mnt/open"),
                      ("/mnt/file", f"{where}.*/mnt/file")):
        judge.expect(f"store {path}", refused(target, why), before=setting(f"Store={path}"))
    judge.expect("status without a store", [Case("status", FAILED, where)], before=setting("Store=/mnt/ro/new"))
    machine.run(f"rm {CONF}; umount /mnt/full /mnt/ro /mnt/memory")


def config(judge: Judge, target: str) -> None:
    """What cannot be read, or cannot be meant."""
    def all_verbs(what: str, why: str, before: str) -> None:
        # All verbs read it by the same function: once is enough to see that each does, and says so.
        verbs = [f"check {target}"] + ([f"keep {target}", "reboot", "status", "list"] if "Storee" in what else [])
        judge.expect(what, [Case(verb, FAILED, why) for verb in verbs],
                     before=before)

    for text, why in (("Storee=/x\n", r"carryover\.conf:2: unknown setting Storee=, see carryover\.conf\(5\)"),
                      ("KeepImages=perhaps\n", ":2: invalid value for KeepImages=: 'perhaps'; expected yes or no"),
                      ("CriuTimeoutSec=2d\n", "invalid value for CriuTimeoutSec=: '2d'; expected a time like 120s, up to a day"),
                      ("Store=relative\n", "expected an absolute path"), ("just words\n", "expected Name=value"),
                      ("[Other]\n", r"only \[Carryover\]"), ("PidMode=" + "x" * 3000 + "\n", "expected auto, host or namespace")):
        all_verbs(f"config {text[:40].strip()!r}", why, setting(text))
    others = "is writable by users other than root: run chown root and chmod go-w"
    all_verbs("config writable by all", others, put(CONF, "[Carryover]\n", "666"))
    all_verbs("config of joe", others, put(CONF, "[Carryover]\n") + f" && chown joe {CONF}")
    all_verbs("a directory for a config", "is not a regular file: replace it with a file", f"rm {CONF}; mkdir {CONF}")
    all_verbs("a FIFO for a config", "is not a regular file", f"rmdir {CONF}; mkfifo {CONF}")
    all_verbs("a link to itself for a config", "cannot read .*: make it readable, or remove it", f"rm {CONF}; ln -s {CONF} {CONF}")
    all_verbs("100 kB of zeros", "carryover.conf", f"rm {CONF}; head -c 100000 /dev/zero >{CONF}")
    judge.machine.run(f"rm {CONF}")


def frame(payload: bytes, version: int = 1, kind: int = 1) -> bytes:
    """A file of carryover's (src/model/codec.h) with the right checksum."""
    body = struct.pack("<8sIIQ", b"CRRYOVER", version, kind, len(payload)) + payload
    return body + hashlib.blake2b(body, digest_size=32).digest()


def payload(ident: str) -> bytes:
    """A ticket of no tree (proto: Ticket)."""
    texts = {1: ident, 2: "1", 3: "boot", 4: "6.1.0", 5: "x86_64", 6: "kexec", 9: "auto"}
    return b"".join(bytes([number << 3 | 2, len(text)]) + text.encode() for number, text in texts.items()) + b"\x50\x01"


def ticket(judge: Judge) -> None:
    """A ticket that cannot be believed: the restore and status say so, nothing of it is used, and it stays to be looked at."""
    good = frame(payload("0123456789abcdef" * 2))
    bad = {"cut short": good[:-7], "altered": good.replace(b"kexec", b"kexeC"), "of another kind": frame(payload("00"), kind=4),
           "with a path for an id": frame(payload("../../../etc")),
           "of nonsense with the right checksum": frame(random.Random(1).randbytes(300))}
    for what, content in bad.items():
        one_ticket(judge, what, content, r"truncated or modified; .*kept as .*/ticket\.bad", r"inspect .*/ticket\.bad, then remove it")
    # Each of these failures starts it, and systemd's default is five starts in 10 s.
    judge.machine.run("set -e; for again in 1 2 3 4 5 6; do systemctl start carryover-give-up.service; done")
    newer = "has format 2, this version of carryover supports up to 1: install a newer version"
    one_ticket(judge, "of a newer carryover", frame(payload("00"), version=2), newer, newer)
    judge.machine.run("rm -f /var/lib/carryover/ticket*; systemctl reset-failed carryover-restore; systemctl restart carryover-restore")


def one_ticket(judge: Judge, what: str, content: bytes, first: str, later: str) -> None:
    """The restore, then status; then status alone with the same ticket."""
    machine, path, unit = judge.machine, "/var/lib/carryover/ticket", "carryover-restore.service"
    said = machine.run(f"rm -f {path}*; {put(path, content, '600')}; systemctl reset-failed {unit}; since=$(date +%s.%N); systemctl restart {unit}; "
                       f"timeout 30 sh -c 'until systemctl is-failed -q {unit}; do sleep 0.1; done'; "
                       f"journalctl --sync; journalctl -q -o cat --since=@$since -u {unit} | grep carryover.ticket; "
                       f"systemctl show -P ExecMainStatus {unit}", check=False).splitlines()
    print(f"\nticket {what}:", *said, sep="\n  ")
    if len(said) != 2 or not re.search("cannot restore: .*" + first, said[0]) or said[1] != "1":
        judge.wrong.append(f"ticket {what}: the restore said {said}")
    judge.expect(f"ticket {what}, after the restore", [Case("status", FAILED, later)])
    if what != "cut short":  # the same function reads it
        return
    judge.expect(f"ticket {what}, never restored", [Case("status", FAILED, first), Case("status", FAILED, later)],
                 before=f"rm -f {path}*; {put(path, content, '600')}")


def test_bad_input(lab: Lab) -> None:
    machine = lab.machine("bookworm", "netns")
    session = machine.session("joe")
    number = re.search(r"session-(\w+)\.scope", session.command("cat /proc/self/cgroup")[1])
    assert number
    target = f"session:{number.group(1)}"
    counter = Counter(session)
    boot_id = machine.boot_id()
    judge = Judge(machine)

    usage(judge)
    targets(judge)
    nobody(judge)
    # The good case first: what is refused later is refused for what was done in between.
    assert judge.call([f"check {target}"])[0][0] == OK
    machine.run(f"carryover keep {target}")
    criu(judge, target)
    service(judge, target)
    store(judge, target)
    config(judge, target)
    ticket(judge)

    print(f"\n{judge.count} calls, {len(judge.wrong)} complaints")
    counter.goes_on(3)
    print(f"the session counted to {counter.check()} all the while")
    assert machine.boot_id() == boot_id
    assert judge.call(["list"])[0][0] == OK, "the session is kept no more"
    no_hold(machine)
    assert machine.run("systemctl --failed --no-legend") == ""
    assert not judge.wrong, "\n".join(judge.wrong)
