# SPDX-License-Identifier: GPL-2.0-or-later
"""carryover.node.reboot against a host that is a script: what is asked, in which order, and what the task says."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible_collections.carryover.node.plugins.action import reboot as plugin
from ansible_collections.carryover.node.plugins.plugin_utils import verdict

OWN = {"machine": {"level": "ok", "notes": []},
       "trees": [{"name": "session-3", "session": "3", "level": "ok", "notes": []}]}
ROW = {"kind": "session", "what": "session 3 (ssh)", "user": "root", "fate": "lost", "why": "not kept: carryover keep session:3",
       "target": "session:3"}
OTHER = {**ROW, "what": "session 7 (ssh)", "user": "joe", "why": "not kept: carryover keep session:7", "target": "session:7"}
OLD, NEW = (f"3b6f6a0e-{number}-4d1a-8000-00000000beef" for number in ("0001", "0002"))
TREE = {"name": "session-3", "comm": "sshd", "state": "carried", "reason": None}


def report(**changed) -> dict:
    """Of a save after which all is well."""
    return {"id": "new", "verdict": "carried", "phase": "idle", "stopped": None, "new": {"kernel": "6.1.0-56", "boot_id": "b"},
            "trees": [TREE], "not_kept": [], **changed}


class Host:
    """Answers by the first word that a command has of these; what happens at a reboot is the test's."""

    def __init__(self, at_reboot, census=(ROW,), own=OWN, reports=()) -> None:
        self.boot_id, self.at_reboot, self.reports = OLD, at_reboot, list(reports)
        self.answers = {"check --all": {"things": list(census)}, "check": own}
        self.status: dict = {"phase": "idle"}
        self.commands: list[str] = []
        self.resets = 0
        self.options = {"ssh_extra_args": "-4"}

    def reset(self) -> None:
        self.resets += 1

    def execute(self, command: str) -> dict:
        self.commands.append(command)
        answer = self.answer(command)
        # On a terminal, ssh and whoever speaks to people have a word, too.
        return {**answer, "stdout": f"[carryover] hello\r\n{answer['stdout']}", "stderr": "Shared connection to host closed.\r\n"}

    def answer(self, command: str) -> dict:
        if "carryover reboot" in command:
            status, text = self.at_reboot(self)
            return {"rc": status, "stdout": text}
        if command.startswith("cat "):
            return {"rc": 0, "stdout": self.boot_id + "\r\n"}
        words = command.removeprefix("carryover --no-pager ").removesuffix(" --json=short")
        if words == "status" and self.reports:
            found = self.reports.pop(0)
            if isinstance(found, Exception):
                raise found
            self.status = found
        found = self.status if words == "status" else self.answers[words]
        return {"rc": 1, "stdout": json.dumps(found) + "\r\n"}


def carried(host: Host, status: int = 0, **changed) -> tuple[int, str]:
    host.boot_id, host.status = NEW, report(**changed)
    return status, "Carried 1 of 1 to Linux 6.1.0-56."


def cut(host: Host) -> tuple[int, str]:
    """The connection is lost, and the report comes later."""
    host.boot_id = NEW
    raise AnsibleConnectionFailure("closed by remote host")


def run(host: Host, check_mode: bool = False, **args) -> dict:
    action = object.__new__(plugin.ActionModule)
    action._connection = SimpleNamespace(transport="ssh", reset=host.reset, get_option=host.options.get, set_option=host.options.__setitem__)
    action._low_level_execute_command = host.execute
    defaults = {name: rule.get("default") for name, rule in plugin.ARGUMENTS.items()}
    return action.reboot({**defaults, **args}, check_mode)


def failed(host: Host, **args) -> plugin.Failed:
    with pytest.raises(plugin.Failed) as found:
        run(host, **args)
    return found.value


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits; but time goes on, so that whoever waits for ever has an end."""
    now = [0.0]
    monkeypatch.setattr(plugin.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(plugin.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))


def reboots(host: Host) -> list[str]:
    return [command for command in host.commands if "carryover reboot" in command]


def test_carried() -> None:
    host = Host(carried)
    result = run(host)
    assert result["changed"] and result["rebooted"] and result["connection_kept"] and result["losses"] == []
    assert result["report"]["id"] == "new" and result["msg"] == "carried 1 to Linux 6.1.0-56"
    [command] = reboots(host)
    assert command.endswith("|| exit 0; exec carryover reboot --no-ask") and f"= {OLD} ||" in command
    # ssh has patience with the silence, but not for ever, and what the inventory wants stays.
    assert host.resets == 1 and host.options["ssh_extra_args"] == "-4 -o ServerAliveInterval=120 -o ServerAliveCountMax=4"


def test_words() -> None:
    host = Host(carried)
    run(host, accept_losses=True, kernel="6.1.0; id", kexec=False)
    assert reboots(host)[0].endswith("exec carryover reboot --yes '--kernel=6.1.0; id' --no-kexec")


def test_check_mode_touches_nothing() -> None:
    host = Host(carried)
    assert run(host, check_mode=True)["changed"] and reboots(host) == []
    assert "session 7" in str(failed(Host(carried, census=[ROW, OTHER]), check_mode=True))


def test_losses_need_an_answer() -> None:
    host = Host(carried, census=[ROW, OTHER])
    error = failed(host)
    assert reboots(host) == [] and error.known["losses"] == ["session 7 (ssh) of joe: lost, not kept: carryover keep session:7"]
    host = Host(lambda host: carried(host, 1, verdict="partly", not_kept=[OTHER]), census=[ROW, OTHER])
    assert run(host, accept_losses=True)["rebooted"]
    degraded = {**OWN, "trees": [{**OWN["trees"][0], "level": "degraded", "notes": [{"level": "degraded", "text": "D-Bus", "remedy": "wait"}]}]}
    assert failed(Host(carried, own=degraded)).known["losses"] == ["session-3: D-Bus: wait"]


@pytest.mark.parametrize("place", ["machine", "trees"])
def test_refused(place: str) -> None:
    bad = {"name": "session-3", "session": "3", "level": "refused", "notes": [{"level": "refused", "text": "no criu", "remedy": None}]}
    host = Host(carried, own={**OWN, place: bad if place == "machine" else [bad]})
    assert str(failed(host, accept_losses=True)) == "carryover refuses: no criu" and reboots(host) == []


def test_untouched() -> None:
    """What came up behind the check is seen by the command itself."""
    for status in (2, 3, 4):
        error = failed(Host(lambda host: (status, "carryover: not rebooted\r\n")))
        assert f"carryover reboot ended with {status}: " in str(error) and "carryover: not rebooted" in str(error)
        assert "report" not in error.known
    assert "not root" in str(failed(Host(lambda host: (1, "not root"))))


def test_stopped() -> None:
    def stopped(host: Host) -> tuple[int, str]:
        host.status = report(verdict="stopped", stopped="the disk is full", new=None)
        return 1, ""
    error = failed(Host(stopped))
    assert str(error) == "not rebooted: the disk is full" and not error.known["changed"] and error.known["report"]["id"] == "new"


def test_partly_fails_with_the_report() -> None:
    lost = {"name": "session-5", "comm": "bash", "state": "failed", "reason": "port 22 is in use"}
    host = Host(lambda host: carried(host, 1, verdict="partly", trees=[TREE, lost]))
    error = failed(host, accept_losses=True)
    assert str(error) == "not everything was carried: session-5 (bash) is failed: port 22 is in use"
    assert error.known["changed"] and error.known["report"]["verdict"] == "partly"
    assert "session 7 (ssh) of joe was not kept" in str(failed(Host(lambda host: carried(host, 1, not_kept=[OTHER]))))


def test_without_its_connection() -> None:
    """The host is looked for until its report is final."""
    down = AnsibleConnectionFailure("no route")
    host = Host(cut, reports=[{"phase": "idle"}, down, down, report(verdict="pending", phase="restoring"), report()])
    result = run(host)
    assert result["rebooted"] and not result["connection_kept"] and host.resets == 3 and result["report"]["phase"] == "idle"


def test_sudo_is_slow_after_a_restore() -> None:
    """Ansible waits 12 s for sudo, and sudo waits for logind."""
    slow = AnsibleError("Timeout (12s) waiting for privilege escalation prompt: ")
    lost = {**TREE, "state": "failed", "reason": "no address"}
    host = Host(None, reports=[{"phase": "idle"}, slow, slow, report(verdict="failed", trees=[lost])])
    host.at_reboot = lambda host: (setattr(host, "boot_id", NEW), (1, ""))[1]
    assert "is failed: no address" in str(failed(host))


def test_never_comes_back() -> None:
    host = Host(cut, reports=[{"phase": "idle"}, *[AnsibleConnectionFailure("no route")] * 20])
    error = failed(host, reboot_timeout=10)
    assert "no report of a reboot in time" in str(error) and error.known["changed"]


def test_report_of_an_earlier_save_is_none() -> None:
    old = report(id="earlier")
    host = Host(cut, reports=[old])
    assert "no report" in str(failed(host, reboot_timeout=10))


def test_interrupted() -> None:
    assert "interrupted" in str(failed(Host(lambda host: carried(host, 1, phase="interrupted", verdict="pending"))))


def test_what_is_no_json() -> None:
    assert verdict.told("carryover: this needs root") is None and verdict.told("{half") is None
    assert verdict.told('{"a": 1}\r\nnoise') == {"a": 1}
