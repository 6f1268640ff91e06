# SPDX-License-Identifier: GPL-2.0-or-later
"""The words of scripts/demo and scripts/bench. What they do needs no test here: the other tests show the same and more."""

from __future__ import annotations

import subprocess

import pytest

from lab.util import SOURCE

SCRIPTS = SOURCE / "scripts"


def call(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SCRIPTS / script, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False)


@pytest.mark.parametrize("script, option", [("demo", "--keep"), ("bench", "--rounds")])
def test_help(script: str, option: str) -> None:
    done = call(script, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert option in done.stdout and "--distro" in done.stdout


@pytest.mark.parametrize("script, words", [("demo", ["--distro", "sid"]), ("demo", ["--frob"]), ("demo", ["bookworm"]),
                                           ("bench", ["--case", "frob"]), ("bench", ["--rounds", "0"]),
                                           ("bench", ["--all", "--case", "session"])])
def test_wrong_words(script: str, words: list[str]) -> None:
    done = call(script, *words)
    assert done.returncode == 2 and done.stdout == "" and f"scripts/{script}: error:" in done.stderr


@pytest.mark.parametrize("name", ["demo", "bench"])
def test_needs_root(name: str) -> None:
    # By stdin, since the source may lie where nobody can read it.
    with (SCRIPTS / name).open("rb") as script:
        done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "bash", "-s"], stdin=script,
                              capture_output=True, text=True, cwd="/", timeout=60, check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith(f"scripts/{name}: must run as root") and done.stderr.count("\n") == 1
