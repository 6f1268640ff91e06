# SPDX-License-Identifier: GPL-2.0-or-later
"""What is counted, and what is compared with the results that are committed."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent

RIGHT, NAMED, REFUSED, WRONG, NOT_RUN = "right", "named", "refused", "wrong", "not run"

# Notes of trees that are ok, which name what a program can see all the same.
SLIGHT = ("stop-signal:",)

# Of a line that a program wrote: when, and who it was then.
STAMP = re.compile(r"\b\d\d:\d\d:\d\d\.\d+: +\d+: ")


@dataclass
class Row:
    """What became of one program."""

    verdict: str  # ok, degraded, refused; empty: it did not take part
    outcome: str  # as `carryover status` has it; empty: it was not in the save
    said: str  # PASS, or what it said of itself, or why it did not come back
    notes: list[str] = field(default_factory=list)

    def figure(self) -> str:
        """Which of the figures it counts for."""
        if not self.verdict:
            return NOT_RUN
        if self.verdict == "refused":
            return REFUSED
        slight = self.verdict == "ok" and self.said != "PASS" and any(note.startswith(SLIGHT) for note in self.notes)
        if (self.verdict == "degraded" or slight) and self.outcome == "carried":
            return NAMED
        return RIGHT if self.verdict == "ok" and self.outcome == "carried" and self.said == "PASS" else WRONG

    def stored(self) -> dict:
        """What two runs have in common: no times, no PIDs; of each note only what kind it is."""
        kinds = sorted({note.split(":")[0] for note in self.notes})
        return asdict(self) | {"figure": self.figure(), "said": STAMP.sub("", self.said), "notes": kinds}


def table(rows: dict[str, Row]) -> str:
    """A line for each program, the wrong ones last."""
    order = [RIGHT, NOT_RUN, REFUSED, NAMED, WRONG]
    in_order = sorted(rows.items(), key=lambda item: (order.index(item[1].figure()), item[0]))
    return "\n".join(f"{row.figure():8} {name:36} {row.verdict:9} {row.outcome:8} {row.said}" +
                     "".join(f"\n{'':20} {note}" for note in row.notes) for name, row in in_order)


def figures(rows: dict[str, Row]) -> str:
    """The four, and how many did not take part."""
    count = Counter(row.figure() for row in rows.values())
    broken = sum(row.figure() == NAMED and row.said != "PASS" for row in rows.values())
    return (f"right {count[RIGHT]}, named {count[NAMED]} ({broken} of them without PASS), refused {count[REFUSED]}, "
            f"wrong {count[WRONG]}; not run {count[NOT_RUN]}")


def expected(distro: str) -> dict[str, dict]:
    """The results that are committed, by program."""
    path = _path(distro)
    return json.loads(path.read_text()) if path.exists() else {}


def worse(rows: dict[str, Row], before: dict[str, dict]) -> list[str]:
    """What was right and is not any more, and what is wrong and was not."""
    found = []
    for name, row in sorted(rows.items()):
        was, now = before.get(name, {}).get("figure", "unknown"), row.figure()
        if now != was and (was == RIGHT or now == WRONG):
            found.append(f"{name} was {was}, and is {now}: {row.verdict} {row.outcome} {row.said}")
    return found


def better(rows: dict[str, Row], before: dict[str, dict]) -> list[str]:
    """What is wrong in the results that are committed, and is not any more."""
    return [name for name, row in sorted(rows.items()) if before.get(name, {}).get("figure") == WRONG != row.figure()]


def store(distro: str, rows: dict[str, dict]) -> None:
    """Put what was found into the results, beside what is there; whoever does so commits them."""
    before = expected(distro)
    found = before | {name: before.get(name, {}) | row for name, row in rows.items()}
    lines = [f"{json.dumps(name)}: {json.dumps(found[name])}" for name in sorted(found)]
    _path(distro).write_text("{\n" + ",\n".join(lines) + "\n}\n")


def beside_bare(results: dict[str, dict]) -> str:
    """How many pass with bare criu in one boot, and those of them that are not right over a jump."""
    passed = [name for name, row in results.items() if row.get("bare") == "PASS"]
    others = [f"{name} ({results[name].get('figure', 'not run')})" for name in sorted(passed) if results[name].get("figure") != RIGHT]
    right = sum(row.get("figure") == RIGHT for row in results.values())
    return f"bare criu in one boot has {len(passed)} right, a jump {right}; right there and not here are {len(others)}: {', '.join(others)}"


def _path(distro: str) -> Path:
    return HERE / f"results-{distro}.json"
