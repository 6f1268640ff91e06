# SPDX-License-Identifier: GPL-2.0-or-later
"""
carryover.node.reboot: reboots a host by `carryover reboot`, in the session of Ansible's own connection.

That session is one of those that are carried. So the command is one call that returns in the new kernel, over the connection over which
it was made. Only if the connection ends in between, the host is looked for by new ones, until it tells what became of the save.
"""

from __future__ import annotations

import re
import shlex
import time
from typing import Any, NamedTuple

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.carryover.node.plugins.plugin_utils import verdict

ARGUMENTS = {
    "accept_losses": {"type": "bool", "default": False},
    "kernel": {"type": "str"},
    "kexec": {"type": "bool", "default": True},
    "reboot_timeout": {"type": "int", "default": 600},
}

BOOT_ID = "/proc/sys/kernel/random/boot_id"

# Between two looks for a host that nobody can announce.
PAUSE = 2.0

# ssh gives up after so many questions without an answer.
QUESTIONS = 4


class Failed(Exception):
    """What ends the task, with what is known by then."""

    def __init__(self, message: str, **known: Any) -> None:
        super().__init__(message)
        self.known = known


class Answer(NamedTuple):
    """What a command on the host said."""

    status: int
    text: str


class ActionModule(ActionBase):
    """The steps, in order: patience, check, reboot, report."""

    def run(self, tmp=None, task_vars=None):
        self._supports_check_mode = True
        self._supports_async = False
        result = super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(ARGUMENTS)
        if self._connection.transport == "local":
            return {**result, "failed": True, "changed": False, "msg": "a local connection would reboot the machine that Ansible runs on"}
        try:
            return {**result, **self.reboot(args, self._task.check_mode)}
        except Failed as failed:
            return {**result, "changed": False, **failed.known, "failed": True, "msg": str(failed)}

    def reboot(self, args: dict, check_mode: bool) -> dict:
        """Check, reboot unless in check mode, and report; raises Failed."""
        began = time.monotonic()
        self._be_patient(args["reboot_timeout"])
        boot_id = self._boot_id()
        losses = self._check(args["accept_losses"])
        if check_mode:
            return {"changed": True, "losses": losses, "msg": "the host would be rebooted"}
        earlier = self._status().get("id")
        answer = self._carryover_reboot(args, boot_id)
        report, rebooted = self._report(answer, earlier, boot_id, began + args["reboot_timeout"])
        return self._outcome(report, args["accept_losses"], {
            "connection_kept": answer is not None, "losses": losses, "elapsed": round(time.monotonic() - began, 1), "changed": rebooted,
            "rebooted": rebooted, "report": report})

    # -- steps ------------------------------------------------------------------------------

    def _be_patient(self, seconds: int) -> None:
        """
        A host that never comes back sends no end of the connection, and a command would wait for ever. So a new connection is made in
        which ssh itself gives up after this silence, and not before. ssh_args of the inventory have their way.
        """
        if self._connection.transport != "ssh":
            return
        words = f"-o ServerAliveInterval={max(1, seconds // (QUESTIONS + 1))} -o ServerAliveCountMax={QUESTIONS}"
        more = self._connection.get_option("ssh_extra_args") or ""
        self._connection.set_option("ssh_extra_args", f"{more} {words}".strip())
        self._connection.reset()

    def _check(self, accept_losses: bool) -> list[str]:
        """What the reboot would cost; raises Failed if it is refused, or costs something that nobody accepts."""
        own = self._json("check")
        refused = verdict.refusals(own)
        if refused:
            raise Failed("carryover refuses: " + "; ".join(refused), check=own)
        losses = verdict.losses(own, self._json("check", "--all"))
        if losses and not accept_losses:
            raise Failed("not rebooted, since it would end or degrade: " + "; ".join(losses) + " (accept_losses)", losses=losses)
        return losses

    def _carryover_reboot(self, args: dict, boot_id: str) -> Answer | None:
        """What the command said; None if the connection was lost before."""
        words = ["carryover", "reboot", "--yes" if args["accept_losses"] else "--no-ask"]
        words += [f"--kernel={args['kernel']}"] if args["kernel"] else []
        words += [] if args["kexec"] else ["--no-kexec"]
        # With retries, a connection plugin gives the command once more when the connection was lost: not in the next boot.
        once = f'test "$(cat {BOOT_ID})" = {boot_id} || exit 0; exec '
        try:
            return self._run(once + shlex.join(words))
        except AnsibleConnectionFailure:
            return None

    def _report(self, answer: Answer | None, earlier: str | None, boot_id: str, deadline: float) -> tuple[dict, bool]:
        """The report of the save, once it is final, and whether another boot runs; raises Failed if there was no save, or none in time."""
        last: dict = {}
        while True:
            try:
                last, now = self._status(), self._boot_id()
            except (AnsibleError, Failed):
                # It is down, or on its way up: until logind is there, sudo takes longer than Ansible waits for it.
                self._connection.reset()
            else:
                if verdict.is_over(last, earlier):
                    return last, now != boot_id
                if answer and answer.status != 0 and now == boot_id:
                    raise Failed(f"carryover reboot ended with {answer.status}: {answer.text.strip()}")
            if time.monotonic() >= deadline:
                raise Failed("the host gave no report of a reboot in time (reboot_timeout)", changed=True, report=last)
            time.sleep(PAUSE)

    def _outcome(self, report: dict, accept_losses: bool, known: dict) -> dict:
        if not known["rebooted"]:
            raise Failed(f"not rebooted: {report.get('stopped') or 'no reason is known'}", **known)
        if missing := verdict.left_out(report, accept_losses):
            raise Failed("not everything was carried: " + "; ".join(missing), **known)
        return {**known, "msg": f"carried {len(report['trees'])} to Linux {report['new']['kernel']}"}

    # -- talking to the host ----------------------------------------------------------------

    def _run(self, command: str) -> Answer:
        done = self._low_level_execute_command(command)
        return Answer(done["rc"], done["stdout"] + done["stderr"])

    def _boot_id(self) -> str:
        answer = self._run(f"cat {BOOT_ID}")
        found = re.search(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", answer.text)
        if not found:
            raise Failed(f"the host has no boot id: {answer.text.strip()}")
        return found[0]

    def _json(self, *words: str) -> dict:
        answer = self._run(shlex.join(["carryover", "--no-pager", *words, "--json=short"]))
        found = verdict.told(answer.text)
        if found is None:
            raise Failed(f"carryover {' '.join(words)} ended with {answer.status}: {answer.text.strip()}")
        return found

    def _status(self) -> dict:
        return self._json("status")
