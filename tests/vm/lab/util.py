# SPDX-License-Identifier: GPL-2.0-or-later
"""Small things that every part of the lab needs: commands, progress, waiting."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Sequence, TypeVar

T = TypeVar("T")

LAB = Path(__file__).resolve().parent
VM_TESTS = LAB.parent
SOURCE = VM_TESTS.parent.parent

_began = time.monotonic()


# A process of the lab ends with the test that started it, also when that one is killed:
# a forgotten machine would cost everybody a processor.
BOUND = ("setpriv", "--pdeathsig", "KILL", "--")


class LabError(Exception):
    """The lab itself failed; says what and, where known, what to do."""


def progress(text: str) -> None:
    """Tell people what takes so long. Goes to stderr: stdout is for results."""
    print(f"lab {time.monotonic() - _began:6.1f}s  {text}", file=sys.stderr, flush=True)


def run(argv: Sequence[object], log: Path | None = None, **kwargs) -> str:
    """Run a command of the host's to its end; its output, or a LabError with its last lines."""
    words = [str(word) for word in argv]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", stdin=subprocess.DEVNULL, check=False, **kwargs)
    if log is not None:
        with log.open("a") as file:
            file.write(f"$ {' '.join(words)}\n{done.stdout}")
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-15:])
        raise LabError(f"{words[0]} failed with {done.returncode}: {' '.join(words)}\n{tail}")
    return done.stdout


def turn() -> int:
    """A number that each commit has of its own, for tests that take turns: what fails today fails tomorrow, on the same code."""
    head = subprocess.run(["git", "-C", str(SOURCE), "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    return int(head or "0", 16)


def wait_for(what: str, probe: Callable[[], T | None], timeout: float, pause: float = 0.05) -> T:
    """Ask `probe` until it answers something true; for events nobody announces."""
    deadline = time.monotonic() + timeout
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise LabError(f"no {what} within {timeout:.0f} s")
        time.sleep(pause)
