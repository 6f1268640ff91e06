# SPDX-License-Identifier: GPL-2.0-or-later
"""The words of scripts/demo. The demo itself needs no test here: the other tests show the same and more."""

from __future__ import annotations

import subprocess

import pytest

from lab.util import SOURCE

DEMO = SOURCE / "scripts" / "demo"


def call(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([DEMO, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False)


def test_help() -> None:
    done = call("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--keep" in done.stdout and "--distro" in done.stdout


@pytest.mark.parametrize("words", [["--distro", "sid"], ["--frob"], ["bookworm"]])
def test_wrong_words(words: list[str]) -> None:
    done = call(*words)
    assert done.returncode == 2 and done.stdout == "" and "scripts/demo: error:" in done.stderr


def test_needs_root() -> None:
    # By stdin, since the source may lie where nobody can read it.
    with DEMO.open("rb") as script:
        done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "bash", "-s"], stdin=script,
                              capture_output=True, text=True, cwd="/", timeout=60, check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("scripts/demo: must run as root") and done.stderr.count("\n") == 1
