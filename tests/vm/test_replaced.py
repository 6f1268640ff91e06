# SPDX-License-Identifier: GPL-2.0-or-later
"""
What a package upgrade does to the files of a running tree: replaced, unlinked, renamed, without their
exec bit, their directories gone; all of them at once, the way dpkg does it, and then a jump.
"""

from __future__ import annotations

import json
import re

import pytest

from conftest import Lab
from lab import check, net
from lab.machine import Machine
from lab.ssh import SshSession
from lab.util import wait_for

# dpkg's steps for each file: a new one beside it, a second name for the old one, the new one's name over the old
# one's, and the second name gone; of setuid programs all permissions but rw are taken before.
UPGRADE = r"""
set -eu
for pid in $(find /sys/fs/cgroup/user.slice -name cgroup.procs -exec cat {} +); do
    grep -o '/usr/.*' "/proc/$pid/maps" || true
done | sort -u | while read -r path; do
    cp -a "$path" "$path.dpkg-new"
    ln "$path" "$path.dpkg-tmp"
    mv -T "$path.dpkg-new" "$path"
    [ ! -u "$path" ] || chmod 600 "$path.dpkg-tmp"
    rm "$path.dpkg-tmp"
    echo "$path"
done
sync
"""

# Whatever CRIU makes beside a file, and what dpkg does.
LEFT = r"find / -xdev \( -name 'link_remap.*' -o -name '*.cr.*' -o -name '*.cr_link' -o -name '*.dpkg-*' -path '/usr/*' \)"


def upgrade(machine: Machine) -> list[str]:
    """Replace every file below /usr that a process of a login maps; which ones."""
    return machine.run(UPGRADE, timeout=300).splitlines()


def lives_of(machine: Machine, pid: str) -> str:
    """The executable of a process as the kernel names it, and its mode and number of names."""
    return machine.run(f"readlink /proc/{pid}/exe; stat -L -c '%a %h' /proc/{pid}/exe").strip().replace("\n", " ")


def program(session: SshSession, name: str, directory: str = "~") -> str:
    """Start a copy of sleep of the session's own; its number."""
    return check.answer(session, f"cp /bin/sleep ~/{name}; cd {directory}; ~/{name} 10000 & echo $!; cd").splitlines()[-1]


# As a package does it whose upgrade goes on at boot, or an administrator in a rescue shell.
SWAP = """
[Unit]
DefaultDependencies=no
After=local-fs.target
Before=carryover-restore.service
[Service]
Type=oneshot
ExecStart=/bin/cp --remove-destination /bin/true /home/joe/prog
ExecStart=/bin/sh -c 'cp -p /etc/ld.so.cache /etc/ld.so.cache~ && mv /etc/ld.so.cache~ /etc/ld.so.cache'
[Install]
WantedBy=sysinit.target
"""


def test_everything_is_replaced(lab: Lab) -> None:
    machine = lab.machine("bookworm", "netns")
    machine.write("/etc/carryover/carryover.conf.d/keep.conf", "[Carryover]\nKeepSshSessions=yes\nKeepImages=yes\n")
    session, second = machine.session("joe"), machine.session("root")
    old, other = check.before(machine, session), check.before(machine, second)
    ticks, seconds = check.counter(session), check.counter(second)

    # Names that are gone while another is left: without and with a new file in their place.
    linked, reused = program(session, "linked"), program(session, "reused")
    check.answer(session, "ln linked linked.kept; rm linked; ln reused reused.kept; cp /bin/true new; mv new reused")
    # An open file, and one that lost its exec bit and kept its name.
    check.answer(session, "echo what was in it > note; exec 7<>note; rm note")
    plain = program(session, "plain")
    check.answer(session, "chmod 640 plain")
    # setuid, and a working directory that is gone.
    sudo = check.answer(session, "sudo sleep 10000 & echo $!; mkdir -p gone/below").splitlines()[-1]
    homeless = program(session, "homeless", "gone/below")
    check.answer(session, "rm -r gone; mkdir -p gone/below")
    wait_for("sudo's child", lambda: machine.run(f"pgrep -P {sudo}", check=False), 30, 0.2)
    files = upgrade(machine)
    names = {path.rsplit("/", 1)[1] for path in files}
    print(f"replaced {len(files)} files")
    assert {"sshd", "bash", "sudo", "libc.so.6", "libcrypto.so.3"} <= names, names
    assert any("/locale/" in path for path in files) and "gconv-modules.cache" in names, names

    # A directory of the same name would be taken for the one that is gone.
    code, text = session.command("sudo carryover check")
    print(text)
    assert code == 4 and "directory-reused: homeless" in text and text.count("refused") <= 4, text
    check.answer(session, "rm -r gone")
    look = f"stat -c '%a %i %s %n' $(find /usr/bin /usr/sbin /home/joe) {' '.join(files)}"
    looks = machine.run(look)

    before = {pid: lives_of(machine, pid) for pid in (linked, reused, plain, sudo, homeless)}
    print(before)
    began, text = check.reboot(session, "sudo carryover reboot --yes")
    for which, seen in ((session, old), (second, other)):
        check.same_session(which, seen)
    ticks.goes_on()
    seconds.goes_on()
    ticks.check()
    seconds.check()
    check.other_boot(machine, old)
    trees = check.status(machine)["trees"]
    print(trees)
    assert {(tree["state"], tree["mode"]) for tree in trees} == {("carried", "host")}
    after = {pid: lives_of(machine, pid) for pid in before}
    print(after)
    for pid in (linked, plain, homeless):
        assert after[pid] == before[pid], pid
    # In front of the name that somebody else has now, CRIU links it by another one.
    assert re.fullmatch(r"/home/joe/reused(\.cr_link)? \(deleted\) 755 1", after[reused]), after[reused]
    assert before[sudo].endswith(" 600 0") and after[sudo].endswith(" 700 0")
    assert check.answer(session, "cat <&7") == "what was in it"
    assert machine.run(f"readlink /proc/{homeless}/cwd").strip() == "/home/joe/gone/below (deleted)"
    assert machine.run(LEFT) == ""
    assert machine.run(look) == looks, "the new files are not what they were"
    # CRIU was given no reason to change a name, which may cost the new file (docs/CRIU.md).
    logs = machine.run("cat /var/lib/carryover/save/*/restore.log")
    assert "Opening ghost file" in logs and "Fake " not in logs
    assert "libc.so.6.cr_link (deleted)" in machine.run(f"cat /proc/{plain}/maps")
    assert check.answer(session, "sudo id -un; /bin/ls -d ~").split() == ["root", "/home/joe"]
    check.clean_after(machine, old, other, images=True)
    jobs = f"{linked} {reused} {plain} {homeless} {sudo}"
    ends = check.answer(session, f"sudo kill {jobs}; for job in {jobs}; do wait $job; echo $?; done").splitlines()
    assert [line for line in ends if line.isdigit()] == ["143"] * 5, ends
    check.job_control(machine, session)


# To whoever looks after the machine, with all that he is given.
POST = f"""#!/usr/bin/python3
import json, os, sys, urllib.request
top = os.environ["CARRYOVER_LOGS"]
logs = {{name: open(os.path.join(top, name), errors="replace").read() for name in os.listdir(top)}}
body = json.dumps({{"report": json.load(sys.stdin), "logs": logs}}).encode()
urllib.request.urlopen("http://{net.HOST4}:8080/", body, timeout=30)
"""


@pytest.mark.rotates
def test_replaced_between_save_and_restore(lab: Lab) -> None:
    """
    What has happened is posted to a server outside, with the log of what failed, and once more when that has come back.

    The one session fails with a reason, its peer is told, its images are kept, and it comes back by hand when the file is there again.
    The other one has a file open that everybody may read, and that another one with the same content has taken the place of, as
    ldconfig.service does: it is carried.
    """
    machine = lab.machine("bookworm", "netns")
    machine.write("/etc/carryover/carryover.conf.d/keep.conf", "[Carryover]\nKeepSshSessions=yes\n")
    machine.write("/etc/systemd/system/swap.service", SWAP)
    machine.run("systemctl enable swap.service")
    machine.write("/etc/carryover/report.d/post", POST, "755")
    receiver = machine.network.receiver(lab.directory / "posted")
    session, joe = machine.session("root"), machine.session("joe")
    old = check.before(machine, session)
    number = check.before(machine, joe).number
    ticks = check.counter(session)
    check.answer(session, "exec 8</etc/ld.so.cache")
    cache = machine.run("stat -c %i /etc/ld.so.cache")
    program(joe, "prog")
    linked = program(joe, "linked")  # whose dump leaves a link
    check.answer(joe, "ln linked linked.kept; rm linked")
    assert upgrade(machine)
    session.send_line("carryover reboot --yes; echo \"returned\" $?.")
    code = session.expect(r"returned (\d+)\.", 240).group(1)
    print(session.text()[-1500:])
    check.same_session(session, old)
    ticks.goes_on()
    ticks.check()
    wait_for("the end of the other client", lambda: not joe.alive(), 60, 0.2)
    assert re.search("reset by peer|Broken pipe", joe.text()), joe.text()[-500:]
    check.other_boot(machine, old)
    assert machine.run("stat -c %i /etc/ld.so.cache") != cache
    assert check.answer(session, "cmp - /etc/ld.so.cache <&8 && echo the same").endswith("the same")

    trees = {tree["name"]: tree for tree in check.status(machine)["trees"]}
    failed = trees[f"session-{number}"]
    print(failed)
    assert code == "1" and trees[f"session-{old.number}"]["state"] == "carried"
    assert failed["state"] == "failed" and "home/joe/prog has bad" in failed["reason"], failed
    text = machine.run("carryover status", check=False)
    assert failed["reason"] in re.sub(r"\s+", " ", text), text
    assert "pstree.img" in machine.run(f"ls {failed['images']}")
    check.no_hold(machine)
    assert machine.run(f"ls -d /proc/{linked} 2>/dev/null", check=False) == ""
    wait_for("the report outside", lambda: len(receiver.bodies()) == 1, 120, 0.5)
    posted = json.loads(receiver.bodies()[0])
    assert posted["report"]["verdict"] == "partly"
    assert {tree["name"]: tree["reason"] for tree in posted["report"]["trees"]}[failed["name"]] == failed["reason"]
    assert sorted(posted["logs"]) == [f"session-{number}.dump.log", f"session-{number}.restore.log"] and all(posted["logs"].values())
    assert "home/joe/prog has bad" in posted["logs"][f"session-{number}.restore.log"]
    # What it takes to try again stays: the link to a file that has lost its name, and the images as they were sealed.
    assert re.fullmatch(r"/home/joe/link_remap\.\d+\n", machine.run(LEFT))
    machine.run("cp --remove-destination /bin/sleep /home/joe/prog && chown joe: /home/joe/prog && systemctl disable swap.service")
    print(machine.run(f"carryover restore session-{number} 2>&1", timeout=180))
    assert {tree["name"]: tree["state"] for tree in check.status(machine)["trees"]}[f"session-{number}"] == "carried"
    wait_for("another report outside", lambda: len(receiver.bodies()) == 2, 60, 0.5)
    assert json.loads(receiver.bodies()[1])["report"]["verdict"] == "carried"
    machine.run("systemctl restart carryover.service && ! systemctl is-failed carryover-report.service && ls /run/carryover-report 2>&1 | "
                "grep -q 'No such'")
    assert len(receiver.bodies()) == 2, "the same report once more"
    receiver.stop()
    assert machine.run(LEFT) == "" and machine.run("ls /home/joe").split() == ["linked.kept", "prog"]
    check.no_hold(machine)
