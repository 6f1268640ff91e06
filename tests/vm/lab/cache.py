# SPDX-License-Identifier: GPL-2.0-or-later
"""
The cache: things that are dear to make, each named by the hash of what it is made of.

An entry is a directory. It is made under another name and renamed when complete, so a
directory that has its final name is whole, whatever was interrupted. Makers of the same
entry wait for each other; whoever uses one holds a shared lock on it, which is what
keeps gc() away from it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import time
from pathlib import Path
from typing import Callable, Iterable

from .util import progress, run

# Layers and saved states follow every change of the source, so without a limit a day of
# work fills a disk. Two distributions times a few states of the source fit in this.
KEEP = {"base": 6, "buildroot": 4, "package": 12, "layer": 8, "state": 8, "zdtm": 1}

_held: dict[Path, int] = {}


def root() -> Path:
    """Where the cache is: $CARRYOVER_CACHE, /var/cache/carryover-lab, or the home directory."""
    named = os.environ.get("CARRYOVER_CACHE")
    if named:
        path = Path(named)
    elif os.access("/var/cache", os.W_OK):
        path = Path("/var/cache/carryover-lab")
    else:
        path = Path.home() / ".cache" / "carryover-lab"
    path.mkdir(parents=True, exist_ok=True)
    return path


def digest(parts: Iterable[bytes | str | Path]) -> str:
    """A short name for exactly these bytes; a Path stands for its name and its content."""
    state = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            state.update(f"{part.name}:{part.lstat().st_mode:o}:".encode())
            state.update(os.readlink(part).encode() if part.is_symlink() else part.read_bytes())
        else:
            state.update(part.encode() if isinstance(part, str) else part)
        state.update(b"\0")
    return state.hexdigest()[:16]


def entry(kind: str, name: str, make: Callable[[Path], None]) -> Path:
    """The entry `kind/name`, made now by make(directory) if nobody has yet; locked for use."""
    path = root() / kind / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.parent / f".{name}.making", fcntl.LOCK_EX):
        if not path.is_dir():
            _make(path, make)
        _hold(path)
    os.utime(path)
    return path


def exists(kind: str, name: str) -> bool:
    """Whether the entry is there already, so that entry() would return at once."""
    return (root() / kind / name).is_dir()


def gc(everything: bool = False) -> list[Path]:
    """Remove what was not used lately and is not in use now; returns what went."""
    gone = []
    for kind, keep in KEEP.items():
        directory = root() / kind
        if not directory.is_dir():
            continue
        entries = sorted((path for path in directory.iterdir() if not path.name.startswith(".")),
                         key=lambda path: path.stat().st_mtime, reverse=True)
        for path in entries[0 if everything else keep:]:
            if _remove_unused(path):
                gone.append(path)
        for path in directory.glob(".*.new"):
            if time.time() - path.stat().st_mtime > 3600:
                _unmount(path)
                shutil.rmtree(path)
    return gone


def _unmount(path: Path) -> None:
    """Whoever was killed while making it may have left a disk mounted in there, whose files are not to be removed."""
    for line in reversed(Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()):
        if line.split()[1].startswith(f"{path}/"):
            run(["umount", line.split()[1]])


def _make(path: Path, make: Callable[[Path], None]) -> None:
    new = path.parent / f".{path.name}.new"
    if new.exists():
        shutil.rmtree(new)
    new.mkdir()
    began = time.monotonic()
    make(new)
    new.rename(path)
    progress(f"{path.parent.name}/{path.name} made in {time.monotonic() - began:.1f} s")
    gc()


def _hold(path: Path) -> None:
    if path not in _held:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(handle, fcntl.LOCK_SH)
        _held[path] = handle


def _remove_unused(path: Path) -> bool:
    if path in _held:
        return False
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        shutil.rmtree(path)
        return True
    finally:
        os.close(handle)


@contextlib.contextmanager
def _locked(path: Path, how: int):
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)
