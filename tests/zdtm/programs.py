# SPDX-License-Identifier: GPL-2.0-or-later
"""
Which of CRIU's test programs can be passengers: those that live in the host's namespaces and need nobody's help. What is
left out is counted, with its reason.
"""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from . import source

BATCH = 50

# Options of CRIU that carryover always uses, or answers in its own way: with these a program asks for nothing special.
USUAL = {"--tcp-established", "--file-locks", "--link-remap", "--ext-unix-sk", "--ghost-limit", "--ghost-fiemap", "--no-ghost-fiemap",
         "--network-lock", "--manage-cgroups", "--manage-cgroups=full", "--manage-cgroups=ignore"}

# By the words in a description's "flags".
UNWANTED = {"noauto": "to be run by hand only", "crfail": "CRIU itself is meant to refuse it", "crlib": "needs a plugin of CRIU's",
            "pre-dump-notify": "talks with zdtm.py before the dump"}

# Those that cannot wait for a jump, whoever saves them.
HASTY = {"poll": "says FAIL by itself ten seconds after its start"}


@dataclass(frozen=True)
class Program:
    """One of them, and how zdtm.py would start it and call CRIU for it."""

    name: str  # static/NAME or transition/NAME
    words: list[str]
    suid: bool
    features: list[str]
    dump: list[str]
    restore: list[str]
    timeout: int

    @property
    def base(self) -> str:
        return self.name.split("/")[1]


@dataclass
class Selection:
    """All that can be passengers, and how many cannot, by reason."""

    programs: list[Program] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

    def batches(self) -> list[list[Program]]:
        """In equal parts of at most BATCH, each with a bit of everything: programs of one kind stand side by side in the list."""
        count = -(-len(self.programs) // BATCH)
        return [self.programs[i::count] for i in range(count)]


def select(built: Path) -> Selection:
    """Look at all that CRIU's makefiles name."""
    selection = Selection()
    for kind in ("static", "transition"):
        scripts = set((built / kind / "scripts").read_text().split())
        for name, words in sorted(source.commands(built / kind).items()):
            description = _description(built / kind / f"{name}.desc")
            why = _unfit(built / kind / name, description, scripts)
            if why:
                selection.skipped[why] += 1
            else:
                selection.programs.append(_program(f"{kind}/{name}", words, description))
    return selection


def _description(path: Path) -> dict:
    text = path.read_text().strip() if path.exists() else ""
    try:
        return ast.literal_eval(text) if text else {}
    except ValueError:  # one of them is a program that asks zdtm.py's environment
        return {"flags": "noauto"}


def _unfit(path: Path, description: dict, scripts: set[str]) -> str:
    flags = description.get("flags", "").split()
    if "h" not in description.get("flavor", "h ns uns").split():
        return "in namespaces of its own only"
    for flag, why in UNWANTED.items():
        if flag in flags:
            return why
    if description.get("arch", "x86_64") != "x86_64":
        return "for another processor"
    if path.name in HASTY:
        return HASTY[path.name]
    if {f"{path.name}.hook", f"{path.name}.checkskip"} & scripts:
        return "has a script beside it"
    if set(_options(description)) - USUAL:
        return "asks for special options of CRIU's"
    return "" if path.exists() else "does not build"


def _options(description: dict) -> list[str]:
    words = " ".join(description.get(key, "") for key in ("opts", "dopts", "ropts")).split()
    return [word for word in words if word.startswith("-")]


def _program(name: str, words: list[str], description: dict) -> Program:
    common = description.get("opts", "").split()
    return Program(name, words, "suid" in description.get("flags", "").split(), description.get("feature", "").split(),
                   common + description.get("dopts", "").split(), common + description.get("ropts", "").split(),
                   int(description.get("timeout") or 30))
