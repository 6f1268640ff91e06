# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of a session whose restore is killed, or whose machine goes down, in the middle."""

from __future__ import annotations

from conftest import Lab
from lab import check
from lab.machine import Machine
from lab.scene import Scene
from lab.util import wait_for


def test_killed_restore(lab: Lab) -> None:
    """Before a tree's restore has begun, the next boot brings it back; when it is back, it stays so."""
    machine = lab.machine("bookworm", "netns")
    session = machine.session("root")
    old = check.before(machine, session)
    ticks = check.counter(session)

    # Stopped behind the claim, and then the machine is reset.
    session.send_line("carryover reboot --yes --append carryover.fault=restore:after-claim:hang; echo \"returned\" $?.")
    machine.wait_for_serial("carryover: fault restore:after-claim", 180)
    machine.wait_for_boot(old.boot_id)
    wait_for("the tree that is pending", lambda: '"state":"pending"' in machine.run(
        "carryover status --json=short", check=False).replace(" ", ""), 60, 0.5)
    assert machine.qmp
    machine.qmp.command("system_reset")
    code = session.expect(r"returned (\d+)\.", 240).group(1)
    assert code == "0", session.text()[-2000:]
    check.same_session(session, old)
    ticks.goes_on()
    print(f"counted to {ticks.check()}, over a crash")
    check.other_boot(machine, old, other_kernel=False)
    check.clean_after(machine, old)

    # Killed when the session runs again, and its images are gone.
    check.reboot(session, "carryover reboot --yes --append carryover.fault=restore:after-outcome:kill")
    check.same_session(session, old)
    ticks.goes_on()
    print(f"counted to {ticks.check()}, over a killed restore")
    assert machine.run("systemctl show -P NRestarts carryover-restore").strip() == "1"
    check.clean_after(machine, old)


def test_given_up(lab: Lab) -> None:
    """A restore that is killed each time that systemd starts it: after the last time the session has failed, with its images kept,
    and its peer is told."""
    machine = lab.machine("bookworm", "netns")
    machine.write("/etc/systemd/system/carryover-restore.service.d/burst.conf", "[Unit]\nStartLimitBurst=3\n")
    machine.run("systemctl daemon-reload")
    session = machine.session("root")
    old = check.before(machine, session)
    session.send_line("carryover reboot --yes --append carryover.fault=restore:after-claim:crash")
    machine.wait_for_boot(old.boot_id)
    wait_for("the end of the claim", lambda: check.status(machine)["trees"][0]["state"] == "failed", 120, 1)
    tree = check.status(machine)["trees"][0]
    print(tree)
    assert "crashed on every start" in tree["reason"]
    assert machine.run(f"ls {tree['images']}/inventory.img")
    assert machine.run("systemctl is-failed carryover-restore").strip() == "failed"
    wait_for("the end of the hold", lambda: machine.run("systemctl is-active carryover-give-up", check=False) == "inactive\n", 60, 0.5)
    assert machine.run("systemctl show -P Result carryover-give-up").strip() == "success"
    check.no_hold(machine)
    wait_for("the client's end, to which nothing was said since", lambda: not session.alive(), 10, 0.1)

    # Who asks for it by hand gets another try, however often it was tried.
    starts = "journalctl -b -o cat -u carryover-restore.service | grep -c '^Starting'"
    had = int(machine.run(starts))
    machine.run(f"carryover restore {tree['name']}", check=False, timeout=120)
    assert had == 3 and int(machine.run(starts)) > had


def fault(machine: Machine, point: str) -> None:
    """Let carryover.service stop at a fault point."""
    machine.write("/run/carryover-faults", f"carryover.fault={point}\n")


# Kills CRIU when its images are complete, and nothing of it is left inside the processes: sooner, it may take them along. It waits
# then for our last word. Its own lock on the connections would stay (3.17.1), if it had one.
KILL_CRIU = ("systemd-run -q -p DefaultDependencies=no sh -c 'until [ -e {images}/inventory.img ]; do :; done; "
             "pkill -9 -x criu; nft list ruleset > /run/rules'")


def test_killed_criu(lab: Lab) -> None:
    """CRIU dies before the seal, and there is none: the session goes on, and there is no lock of CRIU's on its connection."""
    machine = lab.machine("bookworm", "netns")
    session = machine.session("root")
    old = check.before(machine, session)
    ticks = check.counter(session)
    fault(machine, "save:before-seal")
    machine.run(KILL_CRIU.format(images=f"/var/lib/carryover/save/session-{old.number}"))
    code, text = session.command("carryover reboot --yes", 240)
    print(text)
    assert code == 1 and "not rebooted, all trees continue to run: fault point save:before-seal" in text, text
    machine.wait_for_ssh()
    assert "CRIU" not in machine.run("cat /run/rules")
    check.same_session(session, old)
    ticks.goes_on()
    ticks.check()
    assert "CRIU" not in machine.run("nft list tables")
    check.no_hold(machine)


def test_panic(lab: Lab) -> None:
    """The next kernel does not get far: panic= and the boot loader bring the old one up, and there everything comes back."""
    machine = lab.machine("trixie", "netns")
    session = machine.session("root")
    old = check.before(machine, session)
    ticks = check.counter(session)
    check.reboot(session, "carryover reboot --yes --append rdinit=/nowhere")
    check.same_session(session, old)
    ticks.goes_on()
    print(f"counted to {ticks.check()}, over a panic")
    check.other_boot(machine, old, other_kernel=False)
    assert machine.kernel() == old.kernel
    assert "Kernel panic" in machine.serial.read_text(errors="replace")
    check.clean_after(machine, old)


# Has a file open that no name leads to any more.
HOLDER = "exec 9>/root/{name}; rm /root/{name}; while sleep 0.2; do :; done"


def test_killed_while_another_waits(lab: Lab) -> None:
    """Trees with deleted files come back one at a time: what waits for its turn is not lost when the restore is killed."""
    scene = Scene(lab.machine("bookworm", "netns"))
    old, machine = scene.begin(), scene.machine
    for name in "one", "two":
        machine.run(f"setsid -f bash -c '{HOLDER.format(name=name)}' </dev/null >/dev/null 2>&1")
    pids = machine.run("pgrep -f '^bash -c exec 9>'").split()
    machine.run("".join(f"carryover keep pid:{pid};" for pid in pids))
    machine.write("/run/carryover-faults", "carryover.fault=restore:made:kill carryover.fault=jump:before-load\n")
    assert scene.session
    scene.session.send_line("carryover reboot --yes")
    scene.at_rest("restore:made", old)
    trees = scene.status()
    print({name: (tree["state"], tree["reason"]) for name, tree in trees.items()})
    assert sorted(trees[f"pid-{pid}"]["state"] for pid in pids) == ["carried", "lost"]


CALL_OFF = """[Unit]
Before=carryover.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
ExecStop=/bin/sh -c 'systemctl cancel; systemctl --no-block start default.target'
"""


def test_called_off(lab: Lab) -> None:
    """A shutdown that ends behind the seal: the same restore runs in the old kernel, and says that nothing was rebooted."""
    machine = lab.machine("bookworm", "netns")
    machine.write("/etc/carryover/carryover.conf.d/hold.conf", "[Carryover]\nHold=nftables\n")
    session = machine.session("root")
    old = check.before(machine, session)
    ticks = check.counter(session)

    def lives(why: str) -> None:
        code, text = session.command("carryover reboot --yes", 240)
        print(text)
        assert code == 1 and f"not rebooted, all trees continue to run: {why}" in text, text
        check.same_session(session, old)
        ticks.goes_on()
        machine.wait_for_ssh()
        assert machine.boot_id() == old.boot_id
        assert check.status(machine)["trees"][0]["state"] == "carried"
        check.clean_after(machine, old)
        guards = machine.run("pgrep -x carryover-save", check=False)
        assert guards == "", f"a guard is left: {guards}"

    # The kernel cannot be loaded any more, and the restore of a reboot before still overwrites images.
    machine.run("mkdir -p /var/lib/carryover/gone/old && dd if=/dev/zero of=/var/lib/carryover/gone/old/pages bs=1M count=2000 status=none && "
                "sync && systemctl start carryover-restore.service && systemctl is-active carryover-restore.service", timeout=120)
    fault(machine, "jump:before-load")
    lives("the next kernel could not be loaded: ")
    assert "will be overwritten at the next start" in machine.run("journalctl -b -u carryover-restore.service"), "it had ended by itself"

    # Somebody calls it off, later, while other units stop; and once more.
    machine.write("/run/systemd/system/late.service", CALL_OFF)
    machine.run("systemctl daemon-reload")
    for _ in range(2):
        machine.run("systemctl start late.service")
        lives("the shutdown was cancelled")
    print(f"counted to {ticks.check()}, none missing, none twice")
