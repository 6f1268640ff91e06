# SPDX-License-Identifier: GPL-2.0-or-later
"""
Five people on one machine, each with something that a reboot would end. Each thing is named before with its fate and the reason, asked
about, told, and afterwards either there or on the list of what was left. Somebody inhibits the shutdown and somebody has scheduled one;
and whoever presses Ctrl-C in the next kernel hears that it is too late. All screens have 80 columns: with -s they are shown.
"""

from __future__ import annotations

import json
import re

import pytest

from conftest import Lab
from lab import check
from lab.machine import Machine
from lab.ssh import SshSession, plain
from lab.util import wait_for

BY_HAND = "[Service]\nExecStart=/bin/sleep 100000\n"

# No boot configures it: who listens there waits in the next kernel until somebody does.
ADDRESS = "10.77.0.1"
ADD_ADDRESS = f"ip link add by-hand type bridge && ip link set by-hand up && ip addr add {ADDRESS}/32 dev by-hand"

OTHERS = ("ann", "ben", "eve")


def populate(machine: Machine, container: bool) -> None:
    """What is nobody's session: ann's tmux, ben's job, units of root's, one of which inhibits a shutdown; and a shutdown in an hour."""
    for user in OTHERS:
        machine.run(f"useradd -m -s /bin/bash {user} && cp -a /home/joe/.ssh /home/{user}/ && chown -R {user}: /home/{user}/.ssh")
    machine.write("/etc/systemd/system/by-hand.service", BY_HAND)
    machine.run("systemctl daemon-reload; systemctl start by-hand; systemd-run -q --unit=job -p User=ben sleep 100000")
    machine.run(f"{ADD_ADDRESS}; shutdown -r +60")  # before the inhibitor, which might forbid it
    machine.run("systemd-run -q --unit=dump systemd-inhibit --what=shutdown --mode=block --who=dumper '--why=the nightly dump' sleep 100000")
    with machine.session("ann") as ann:
        ann.command("tmux new-session -d sleep 100000")
    if container:
        machine.run("mkdir -p /srv/web/bin && cp /bin/busybox /srv/web/bin/ && "
                    "podman run -d --name web --network none --rootfs /srv/web /bin/busybox sleep 100000")


def wanted(numbers: dict[str, str], tmux: str, container: bool) -> dict[str, tuple[str, str, str]]:
    """WHAT: USER, FATE, WHY."""
    rows = {
        f"session {numbers['eve']} (ssh)": ("eve", "lost", f"not kept: carryover keep session:{numbers['eve']}"),
        tmux: ("ann", "lost", f"not kept: carryover keep pid:{tmux.split()[-1]}"),
        "by-hand.service": ("root", "lost", "not enabled; not kept: carryover keep unit:by-hand"),
        "dump.service": ("root", "lost", "transient; not kept: carryover keep unit:dump"),
        "job.service": ("ben", "lost", "transient; not kept: carryover keep unit:job"),
        f"session {numbers['root']} (ssh)": ("root", "carried", ""),
        f"session {numbers['joe']} (ssh)": ("joe", "carried", ""),
    }
    if container:
        rows["container podman web"] = ("root", "lost", "containers are not carried; their manager may start them again")
    return rows


def screen(session: SshSession, line: str, status: int) -> str:
    """What a line prints, as it looks; all of it fits on a terminal that nobody has made wider."""
    found, text = session.command(line, 120)
    text = text.rpartition("$?\n")[2].strip("\n")
    print(f"\n# {line}\n{text}\n# exit {found}")
    assert found == status, f"`{line}`: exit {found}, not {status}\n{text}"
    fits(text)
    return text


def fits(text: str) -> None:
    """But for errors, which are one line each, and a line of progress that is as wide as this terminal."""
    wide = [line for line in text.splitlines() if len(line) > 80 and not re.match(r"carryover: |waiting for ", line)]
    assert not wide, wide


def rows_of(session: SshSession) -> dict[str, tuple[str, str, str]]:
    code, text = session.command("carryover check --all --json", 120)
    assert code == 4, text
    things = json.loads(text[text.index("{"):])["things"]
    return {thing["what"]: (thing["user"], thing["fate"], thing["why"] or "") for thing in things}


def everybody_is_named(session: SshSession, numbers: dict[str, str], container: bool) -> dict[str, tuple[str, str, str]]:
    """The same rows as JSON and as text, and the sum of them."""
    wait_for("the end of our own logins", lambda: len(rows_of(session)) == 7 + container, 60, 1)
    rows = rows_of(session)
    [tmux] = [what for what in rows if what.startswith("tmux, process ")]
    assert rows == wanted(numbers, tmux, container)
    text = screen(session, "carryover check --all", 4)
    for what, (user, fate, why) in rows.items():
        assert re.search(rf"^{re.escape(what)} +{user} +{fate}", text, re.M), what
        assert "".join(why.split()) in "".join(text.split()), why
    assert list(rows) == sorted(rows, key=lambda what: text.index(f"\n{what} ")), text
    assert [fate for _, fate, _ in rows.values()] == ["lost"] * (len(rows) - 2) + ["carried"] * 2
    assert re.search(rf"^2 carried, 0 with losses, {len(rows) - 2} lost; about \d+ MiB of [\d.]+ [MG]iB\n\d+ services start anew\n", text, re.M), text
    assert '"dumper" (PID ' in text and "wait for it, or use carryover reboot --ignore-inhibitors" in " ".join(text.split()), text
    return rows


def is_stopped(machine: Machine, session: SshSession, old: check.Before) -> None:
    """An inhibitor stops it, with who and why, whatever else one agrees to."""
    assert re.search(r" Scheduled: reboot at .*: kept trees will be carried$", screen(session, "carryover status", 0), re.M)
    text = screen(session, "carryover reboot --yes", 4)
    assert re.search(r'carryover: not rebooted: "dumper" \(PID \d+, root\) inhibits a shutdown: the nightly dump; wait for it, or use --ignore-inhibitors$', text, re.M), text
    assert machine.boot_id() == old.boot_id and machine.run("cat /sys/kernel/kexec_loaded; systemctl list-jobs --no-legend").strip() == "0"


def too_late(machine: Machine, session: SshSession) -> str:
    """joe's session waits for its address: the one that typed it is back, and cannot call it off any more. What it has printed."""
    begin = len(session.text())
    session.send_line("carryover reboot --ignore-inhibitors --yes; echo \"returned\" $?.")
    session.expect(r"waiting for the restore of [^\r]*", 240)
    session.send("\x03")
    session.expect(rf"too late to cancel: this session was carried into Linux {re.escape(machine.layer.kernel_b)}; its report follows", 30)
    machine.wait_for_ssh()
    text = machine.run("carryover status", check=False)
    print(f"\n# carryover status, while joe's session waits\n{text}")
    fits(text)
    assert "Restored 1 of 2 so far" in text and f"address {ADDRESS} is" in " ".join(text.split()), text
    machine.run(ADD_ADDRESS)
    assert session.expect(r"returned (\d+)\.", 120).group(1) == "1"
    return plain(session.text()[begin:])


@pytest.mark.rotates
@pytest.mark.parametrize("distro", ["bookworm", "trixie"])
def test_people(lab: Lab, distro: str) -> None:
    """Typing `check --all`, `status`, `reboot` and `history` prints everybody; podman is on the large image of Debian 13 alone."""
    container = distro == "trixie"
    machine = lab.machine(distro, "netns", fat=container)
    populate(machine, container)
    sessions = {user: machine.session(user) for user in ("root", "joe", "eve")}
    root, joe, eve = sessions.values()
    old = {user: check.before(machine, session) for user, session in sessions.items()}
    joe.send_line(f"python3 -m http.server -b {ADDRESS} 7777 &")
    joe.expect("Serving HTTP", 60)
    for user in ("root", "joe"):
        machine.run(f"carryover keep session:{old[user].number}")
    rows = everybody_is_named(root, {user: old[user].number for user in old}, container)
    lost = {what: row for what, row in rows.items() if row[1] == "lost"}
    is_stopped(machine, root, old["root"])
    wait_for("the end of our own logins", lambda: len(rows_of(root)) == len(rows), 60, 1)

    text = too_late(machine, root)
    print(f"\n# carryover reboot --ignore-inhibitors --yes\n{text}")
    fits(text)
    kernel = machine.layer.kernel_b
    whole = re.search(rf"Carried 2 of {len(rows)} to Linux {re.escape(kernel)}, gap (\d+\.\d s);\s+{len(lost)}\s+not\s+kept\.\n", text)
    assert whole and "This reboot ends:\nWHAT" in text and "inhibits a shutdown" in text and "wait for it" not in text, text
    assert f"keeping session-{old['joe'].number} of joe (sshd" in text, text

    # Each was told on a terminal: whose session ends, whose stays, and that it is back.
    assert "[carryover] this machine reboots, and this session ends" in eve.text()
    wait_for("the end of eve's session", lambda: not eve.alive(), 60, 1)
    assert "[carryover] this session is carried over the reboot" in joe.text()
    joe.expect(rf"\[carryover\] back in Linux {re.escape(kernel)} after \d+\.\d s", 60)
    assert "[carryover] back in" not in root.text()
    for user in ("root", "joe"):
        check.same_session(sessions[user], old[user])
    check.other_boot(machine, old["root"])

    # What was left is not forgotten.
    named = ", ".join(f"{what} of {user}" for what, (user, _, _) in lost.items())
    for line in ("carryover status", "carryover status --steps", "carryover status --last=1"):
        text = screen(root, line, 1)
        assert text.startswith(" ".join(whole.group(0).split())[:40]) and f"Not kept: {named}" in " ".join(text.split()), text
        assert "Scheduled:" not in text
    report = check.status(machine)
    assert report["verdict"] == "partly" and {e["what"]: (e["user"], e["fate"], e["why"]) for e in report["not_kept"]} == lost, report
    history = screen(root, "carryover history", 0)
    assert re.search(rf"^ +1 +20[\d-]+ [\d:]+ +partly +2 of {len(rows)} +{whole.group(1)} +{re.escape(kernel)}$", history, re.M), history
    check.answer(root, "carryover keep >/dev/null")
    assert re.search(r";\s+gap about \d+ s \(last time\)$", screen(root, "carryover check --all", 4), re.M)
    check.clean_after(machine, old["root"], old["joe"])
