# SPDX-License-Identifier: GPL-2.0-or-later
"""What carryover's JSON means to whoever reboots a host with it. Nothing here talks to a host."""

from __future__ import annotations

import json


def told(text: str) -> dict | None:
    """The last line that is a JSON object. On a terminal, what else is said to people stands around it."""
    for line in reversed(text.splitlines()):
        if line.startswith("{"):
            try:
                return json.loads(line)
            except ValueError:
                return None
    return None


def refusals(check: dict) -> list[str]:
    """Why the session of this connection cannot be carried, by `carryover check --json`."""
    found = []
    for place in [check.get("machine") or {}, *check.get("trees", [])]:
        if place.get("level") == "refused":
            found += [_note(note) for note in place.get("notes", []) if note.get("level") == "refused"] or ["no reason is given"]
    return found


def losses(check: dict, census: dict) -> list[str]:
    """
    What a reboot would end or carry with losses, by `carryover check --json` of the own session and `carryover check --all --json`.
    The own session is kept by the reboot itself, so its row, which says that nobody keeps it, does not count.
    """
    own = {f"session:{tree['session']}" for tree in check.get("trees", []) if tree.get("session")}
    found = []
    for tree in check.get("trees", []):
        if tree.get("level") == "degraded":
            found += [f"{tree['name']}: {_note(note)}" for note in tree.get("notes", []) if note.get("level") == "degraded"]
    for thing in census.get("things", []):
        if thing["fate"] != "carried" and thing.get("target") not in own:
            found.append(f"{thing['what']} of {thing['user']}: {thing['fate']}, {thing['why']}")
    return found


def is_over(report: dict, earlier: str | None) -> bool:
    """Whether `carryover status --json` tells of a later save than the one with this id, and nothing of it is under way."""
    return report.get("id") not in (None, earlier) and report["phase"] in ("idle", "interrupted")


def left_out(report: dict, accept_losses: bool) -> list[str]:
    """What was not carried of that which was to be carried; whoever accepts losses has agreed that what nobody kept ends."""
    found = [f"{tree['name']} ({tree['comm']}) is {tree['state']}: {tree.get('reason') or 'no reason is known'}"
             for tree in report["trees"] if tree["state"] != "carried"]
    if not accept_losses:
        found += [f"{thing['what']} of {thing['user']} was not kept and ended" for thing in report["not_kept"]]
    if report["phase"] == "interrupted":
        found.append("the restore was interrupted")
    return found


def _note(note: dict) -> str:
    return f"{note['text']}: {note['remedy']}" if note.get("remedy") else note["text"]
