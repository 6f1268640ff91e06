#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Runs inside the machine, with what one batch needs beside it: batch.json, programs/, lib/. Prints one JSON object.

    run_batch.py features          which of CRIU's features that programs ask for are there
    run_batch.py start             start all; {name: PID, or why it did not start}
    run_batch.py keep              `carryover keep` each; {name: [verdict, notes]}
    run_batch.py failed            those that gave up already, as some do that measure time; {name: what it said}
    run_batch.py verify            tell those in pids.json to look at themselves; {name: "PASS", or what it said}
    run_batch.py reference         each saved and restored by bare criu; {name: "PASS", or what went wrong}
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TOP = Path(__file__).resolve().parent
RUN = TOP / "run"
PROGRAMS = {program["name"]: program for program in json.loads((TOP / "batch.json").read_text())}

# As zdtm.py does: those that need not be root become this user.
ORDINARY = {"ZDTM_UID": "18943", "ZDTM_GID": "58467", "ZDTM_GROUPS": "27495 48244"}

REFUSED = 4  # exit status

# On an emulated machine, beside fifty others.
SLOWER = 2


def home(name: str) -> Path:
    """Each has a directory of its own, since what CRIU makes beside files that are gone must not meet that of another."""
    return RUN / name.replace("/", "-")


def prepare(name: str) -> None:
    """Its directory. All before the first start: a file that is being written while another thread forks cannot be executed."""
    directory = home(name)
    directory.mkdir(parents=True)
    directory.chmod(0o777)
    shutil.copy(TOP / "programs" / name, directory / name.split("/")[1])


def start_one(name: str) -> int | str:
    """Start a program; it comes back when it stands where it is to be saved."""
    program, directory = PROGRAMS[name], home(name)
    base = name.split("/")[1]
    environment = {"PATH": os.environ["PATH"], "TMPDIR": "/tmp", "ZDTM_THREAD_BOMB": "5", "LD_LIBRARY_PATH": str(TOP / "lib")}
    environment |= {} if program["suid"] else ORDINARY
    with (directory / "start.log").open("wb") as log:
        try:
            status = subprocess.run([f"./{base}", *program["words"]], cwd=directory, env=environment, stdin=subprocess.DEVNULL,
                                    stdout=log, stderr=log, timeout=program["timeout"] * SLOWER, check=False).returncode
        except subprocess.TimeoutExpired:
            return "does not come back from its start"
    pidfile = directory / f"{base}.pid"
    return int(pidfile.read_text()) if status == 0 and pidfile.exists() else f"exit {status}: {said(name)}"


def said(name: str) -> str:
    """The end of what a program wrote, its errors first."""
    base = home(name) / name.split("/")[1]
    lines: list[str] = []
    for file in (f"{base}.out", f"{base}.out.inprogress", str(home(name) / "start.log")):
        if os.path.exists(file):
            lines += Path(file).read_text(errors="replace").splitlines()
    errors = [line for line in lines if "FAIL" in line or "ERR" in line] or lines
    return " | ".join(line.strip() for line in errors[-3:])[:400]


def lives(pid: int) -> bool:
    """Runs, and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def stands(pid: int) -> str:
    """In which system call, with which of its files."""
    words = Path(f"/proc/{pid}/syscall").read_text().split()
    try:
        file = os.readlink(f"/proc/{pid}/fd/{int(words[1], 16)}")
    except (OSError, IndexError):
        file = "no file"
    return f"stands in system call {words[0]} ({file})"


def verify_one(name: str, pid: int) -> str:
    """SIGTERM; it looks at itself, writes PASS or what is wrong, and ends."""
    if not lives(pid):
        return f"is gone: {said(name)}"
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + PROGRAMS[name]["timeout"] * SLOWER
    while lives(pid):
        if time.monotonic() > deadline:
            return f"does not end after SIGTERM, {stands(pid)}: {said(name)}"
        time.sleep(0.05)  # nothing tells of the end of a process that is not ours
    out = home(name) / (name.split("/")[1] + ".out")
    return "PASS" if out.exists() and "PASS" in out.read_text(errors="replace").split() else said(name) or "said nothing"


def features() -> list[str]:
    """By `criu check --feature`, as zdtm.py asks."""
    asked = sorted({feature for program in PROGRAMS.values() for feature in program["features"]})
    return [name for name in asked if subprocess.run(["criu", "check", "--no-default-config", "--feature", name],
                                                     capture_output=True, check=False).returncode == 0]


def start() -> dict[str, int | str]:
    for name in PROGRAMS:
        prepare(name)
    with ThreadPoolExecutor(4) as pool:
        return dict(zip(PROGRAMS, pool.map(start_one, PROGRAMS)))


def keep_one(pid: int) -> list:
    done = subprocess.run(["carryover", "keep", f"pid:{pid}", "--json=short"], capture_output=True, text=True, check=False)
    if not done.stdout.strip() or done.returncode not in (0, REFUSED):
        return ["unknown", [done.stderr.strip()]]
    trees = json.loads(done.stdout)["trees"]
    levels = [tree["level"] for tree in trees]
    worst = next((level for level in ("refused", "degraded") if level in levels), "ok")
    return [worst, [f"{note['what']}: {note['text']}" for tree in trees for note in tree["notes"]]]


def keep() -> dict[str, list]:
    pids = json.loads((TOP / "pids.json").read_text())
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(pids, pool.map(keep_one, pids.values())))


def failed() -> dict[str, str]:
    pids = json.loads((TOP / "pids.json").read_text())
    return {name: words for name, words in ((name, said(name)) for name in pids) if "FAIL" in words}


def verify() -> dict[str, str]:
    pids = json.loads((TOP / "pids.json").read_text())
    with ThreadPoolExecutor(16) as pool:
        return dict(zip(pids, pool.map(verify_one, pids, pids.values())))


def criu(action: str, name: str, words: list[str]) -> str:
    """Nothing, or the first error in its log."""
    images = home(name) / "images"
    images.mkdir(exist_ok=True)
    argv = ["criu", action, "--no-default-config", "--images-dir", str(images), "--log-file", f"{action}.log", "--verbosity=4", *words]
    try:
        status = subprocess.run(argv, cwd=home(name), stdin=subprocess.DEVNULL, capture_output=True, timeout=60 * SLOWER,
                                check=False).returncode
    except subprocess.TimeoutExpired:
        return f"{action}: does not end"
    if status == 0:
        return ""
    log = images / f"{action}.log"
    errors = [line for line in log.read_text(errors="replace").splitlines() if "Error" in line] if log.exists() else []
    return f"{action}: {errors[0] if errors else f'exit {status}'}"


def reference_one(name: str) -> str:
    program = PROGRAMS[name]
    pid = start_one(name)
    if isinstance(pid, str):
        return f"not started: {pid}"
    wrong = criu("dump", name, ["--tree", str(pid), *program["dump"]])
    if wrong:
        os.kill(pid, signal.SIGKILL)
        return wrong
    return criu("restore", name, ["--restore-detached", *program["restore"]]) or verify_one(name, pid)


def reference() -> dict[str, str]:
    for name in PROGRAMS:
        prepare(name)
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(PROGRAMS, pool.map(reference_one, PROGRAMS)))


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]]()))
