# SPDX-License-Identifier: GPL-2.0-or-later
"""
Sessions live through a real kexec (issue 2, "Shown by" 2a, 2d to 2g, 2i and 3). One machine per test,
and as much looked at per jump as possible: a jump takes a minute.
"""

from __future__ import annotations

import re

from conftest import Lab
from lab import check
from lab.machine import Machine


def summary_is_right(text: str, old: check.Before, machine: Machine) -> None:
    """What `carryover reboot` printed, in both kernels."""
    assert f"keeping session-{old.number}" in text
    assert f"jumping into Linux {machine.layer.kernel_b}" in text
    assert re.search(rf"\* carried: 1 of 1 tree, {re.escape(old.kernel)} -> "
                     rf"{re.escape(machine.layer.kernel_b)} \(kexec\)", text), text
    assert re.search(r"Gap: \d+\.\d\d s", text) and "STEP" in text


def test_root(lab: Lab) -> None:
    machine = lab.machine("bookworm", "netns")
    session = machine.session()
    old = check.before(machine, session)
    check.answer(session, "word=kept; declare -A map=([a]=1 [b]=2)")
    ticks = check.counter(session)
    began, text = check.reboot(session)
    summary_is_right(text, old, machine)
    check.same_session(session, old)
    assert check.answer(session, "echo $word ${map[b]}") == "kept 2"
    assert re.search(r"\[1\]\+?\s+Running\s.*i=0", check.answer(session, "jobs"))
    ticks.goes_on()
    print(f"counted to {ticks.check()}, none missing, none twice")
    check.other_boot(machine, old)
    check.gap_agrees(machine, session, began)
    check.steps(machine)
    check.clean_after(machine, old)
    check.job_control(session)


def test_joe(lab: Lab) -> None:
    """Privilege-separated sshd, sudo, and a peer without any TCP option."""
    machine = lab.machine("bookworm", "user")
    session = machine.session("joe")
    old = check.before(machine, session)
    ticks = check.counter(session)
    began, text = check.reboot(session, "sudo carryover reboot")
    summary_is_right(text, old, machine)
    check.same_session(session, old)
    assert check.answer(session, "id -un; sudo id -un").split() == ["joe", "root"]
    ticks.goes_on()
    print(f"counted to {ticks.check()}, none missing, none twice")
    check.other_boot(machine, old)
    check.gap_agrees(machine, session, began)
    check.clean_after(machine, old)
    check.job_control(session)
