# SPDX-License-Identifier: GPL-2.0-or-later
"""
Disks of guests, made in three stages, each cached by the content of what it is made from:

    base    a Debian root file system: packages, two kernels, users    (the recipe: guest/)
    tree    carryover, compiled for that Debian                         (the source)
    layer   base + tree + our key, with the initrds of both kernels     (both)

A machine never writes to these: it gets an overlay of its own.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

from . import cache
from .util import SOURCE, VM_TESTS, LabError, progress, run

DISTROS = ("bookworm", "trixie")
GUEST = VM_TESTS / "guest"

# Room for a session's images, a 100 MB upload and a journal beside the system itself.
DISK_SIZE = "4G"

# What works in another root mounts there and starts processes; all of it goes with it, also when
# somebody presses Ctrl-C.
ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--")
MMDEBSTRAP = (*ALONE, "mmdebstrap", "--mode=root")

# What of a change to the source cannot change what is installed.
NOT_INSTALLED = ("tests/vm/", ".ci/", "docs/", "scripts/")


@dataclass(frozen=True)
class Layer:
    """A disk to start machines from, and the kernels that it has."""

    distro: str
    directory: Path
    kernel_a: str
    kernel_b: str

    @property
    def disk(self) -> Path:
        return self.directory / "disk.img"

    @property
    def key(self) -> str:
        return self.directory.name

    def kernel_file(self) -> Path:
        return self.directory / "vmlinuz"

    def initrd_file(self) -> Path:
        return self.directory / "initrd"


def ssh_key() -> Path:
    """The private key that opens every guest of this cache."""
    def make(directory: Path) -> None:
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f",
             directory / "id_ed25519"])
    return cache.entry("key", "lab", make) / "id_ed25519"


def layer(distro: str, bare: bool = False) -> Layer:
    """The disk with carryover installed, or without it when `bare`; made if need be."""
    base = _base(distro)
    tree = None if bare else install_tree(distro)
    key = ssh_key()
    name = f"{distro}-" + cache.digest(
        [base.name, tree.name if tree else "bare", key, VM_TESTS / "lab" / "images.py"])
    directory = cache.entry("layer", name, functools.partial(_make_layer, distro, base, tree, key))
    kernels = json.loads((directory / "kernels.json").read_text())
    return Layer(distro, directory, *kernels)


def install_tree(distro: str) -> Path:
    """A directory with what `meson install` of this source puts on a machine of `distro`."""
    files = _source_files()
    name = f"{distro}-" + cache.digest(str(file.relative_to(SOURCE)) for file in files) \
        + cache.digest(files)
    return cache.entry("tree", name, functools.partial(_make_tree, distro, files))


# -- base -----------------------------------------------------------------------------------

def packages(distro: str, *names: str) -> list[str]:
    """The packages listed in guest/NAME and, where there is one, guest/NAME.DISTRO."""
    words: list[str] = []
    for name in names:
        for file in (GUEST / name, GUEST / f"{name}.{distro}"):
            if file.exists():
                lines = (line for line in file.read_text().splitlines() if not line.startswith("#"))
                words += " ".join(lines).split()
    return words


def _base(distro: str) -> Path:
    if distro not in DISTROS:
        raise LabError(f"unknown distribution '{distro}'; known: {', '.join(DISTROS)}")
    recipe = sorted(path for path in GUEST.rglob("*") if path.is_file())
    name = f"{distro}-" + cache.digest([distro, DISK_SIZE, *recipe])
    return cache.entry("base", name, functools.partial(_make_base, distro))


def _make_base(distro: str, directory: Path) -> None:
    progress(f"{distro}: making the base system (one to three minutes)")
    log = directory / "log"
    root = directory / "root"
    overlay = shlex.quote(str(GUEST / "root"))
    setup = shlex.quote(str(GUEST / "setup"))
    run([*MMDEBSTRAP, "--variant=minbase",
         f"--include={','.join(packages(distro, 'packages'))}",
         '--aptopt=APT::Install-Recommends "false"',
         f'--customize-hook=tar -C {overlay} --owner=0 --group=0 --mode=go-w -c . | tar -C "$1" -x',
         f'--customize-hook=cp {setup} "$1/tmp/setup"',
         '--customize-hook=chroot "$1" /tmp/setup && rm "$1/tmp/setup"',
         distro, root], log=log)
    disk = directory / "disk.img"
    run(["mke2fs", "-q", "-t", "ext4", "-L", "lab", "-E", "lazy_itable_init=0,root_owner=0:0",
         "-d", root, disk, DISK_SIZE], log=log)
    shutil.rmtree(root)


# -- tree -----------------------------------------------------------------------------------

def _source_files() -> list[Path]:
    listed = run(["git", "-C", SOURCE, "-c", f"safe.directory={SOURCE}", "ls-files", "-z",
                  "--cached", "--others", "--exclude-standard"])
    names = sorted(name for name in set(listed.split("\0")) if name
                   and not name.startswith(NOT_INSTALLED) and not name.endswith(".md"))
    # A file that was deleted but not yet committed is still listed.
    return [SOURCE / name for name in names if os.path.lexists(SOURCE / name)]


def _make_tree(distro: str, files: list[Path], directory: Path) -> None:
    progress(f"{distro}: compiling carryover")
    work = directory / "work"
    for file in files:
        copy = work / "src" / file.relative_to(SOURCE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, copy, follow_symlinks=False)
    script = ("set -e; mkdir -p {0}/root; meson setup --prefix=/usr --buildtype=debugoptimized -Dfaults=true -Dtests=false "
              "{0}/build {0}/src && meson compile -C {0}/build && "
              "DESTDIR={0}/root meson install -C {0}/build --no-rebuild")
    if distro == _host_distro():
        run(["sh", "-c", script.format(shlex.quote(str(work)))], log=directory / "log")
    else:
        _in_root(_build_root(distro), work, script.format("/work"), directory / "log")
    (work / "root").rename(directory / "root")
    shutil.rmtree(work)


def _host_distro() -> str:
    lines = Path("/etc/os-release").read_text().splitlines()
    facts = dict(line.split("=", 1) for line in lines if "=" in line)
    return facts.get("VERSION_CODENAME", "").strip('"')


def _build_root(distro: str) -> Path:
    """A root directory of `distro` with compiler and libraries, to compile in."""
    wanted = run([SOURCE / "scripts" / "deps", "--list-build", distro]).split()

    def make(directory: Path) -> None:
        progress(f"{distro}: making a root to compile in (about two minutes)")
        run([*MMDEBSTRAP, "--variant=apt", f"--include={','.join(wanted)}",
             '--aptopt=APT::Install-Recommends "false"', distro, directory / "root"],
            log=directory / "log")
    return cache.entry("buildroot", f"{distro}-" + cache.digest(wanted), make) / "root"


def _in_root(root: Path, work: Path, script: str, log: Path) -> None:
    # The mounts live in a mount namespace of this one command and go with it.
    outer = ('set -e; mkdir -p "$0/work"; mount --bind "$1" "$0/work"; mount -t proc proc "$0/proc"; '
             'mount --rbind /dev "$0/dev"; exec chroot "$0" sh -c "$2"')
    run([*ALONE, "sh", "-c", outer, root, work, script], log=log,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"})


# -- layer ----------------------------------------------------------------------------------

def _make_layer(distro: str, base: Path, tree: Path | None, key: Path, directory: Path) -> None:
    progress(f"{distro}: installing {'carryover' if tree else 'the key'} into the disk")
    disk = directory / "disk.img"
    run(["cp", "--sparse=always", "--reflink=auto", base / "disk.img", disk])
    with _mounted(disk) as root:
        kernels = (root / "etc" / "lab-kernels").read_text().split()
        _put_key(root, key)
        if tree:
            _put_tree(root, tree / "root", kernels, directory / "log")
        shutil.copy(root / "boot" / f"vmlinuz-{kernels[0]}", directory / "vmlinuz")
        shutil.copy(root / "boot" / f"initrd.img-{kernels[0]}", directory / "initrd")
    (directory / "kernels.json").write_text(json.dumps(kernels))


@contextlib.contextmanager
def _mounted(disk: Path) -> Iterator[Path]:
    root = disk.parent / "mnt"
    root.mkdir()
    run(["mount", "-o", "loop", disk, root])
    try:
        yield root
    finally:
        run(["umount", root])
        root.rmdir()


def _put_key(root: Path, key: Path) -> None:
    public = key.with_suffix(".pub").read_text()
    for home in ("root", "home/joe"):
        owner = (root / home).stat()
        directory = root / home / ".ssh"
        directory.mkdir(mode=0o700, exist_ok=True)
        file = directory / "authorized_keys"
        file.write_text(public)
        file.chmod(0o600)
        for path in (directory, file):
            os.chown(path, owner.st_uid, owner.st_gid)


def _put_tree(root: Path, tree: Path, kernels: list[str], log: Path) -> None:
    # Debian's /lib is a link to /usr/lib: what a package puts below /lib must go through it.
    copy = 'tar -C "$0" --owner=0 --group=0 -c . | tar -C "$1" --keep-directory-symlink -x'
    run(["bash", "-o", "pipefail", "-c", copy, tree, root], log=log)
    script = ["set -e", "mount -t proc proc /proc"]
    # Debian 12's systemd still says /lib/systemd/system.
    units = sorted(path.name for path in tree.glob("**/lib/systemd/system/*.service")
                   if "[Install]" in path.read_text())
    if units:
        script.append("systemctl preset " + " ".join(units))
    # The initrds of both kernels carry our part; two at a time, as there are two.
    script += [f"update-initramfs -u -k {kernel} & pid{i}=$!" for i, kernel in enumerate(kernels)]
    script += [f"wait $pid{i}" for i in range(len(kernels))]
    run([*ALONE, "chroot", root, "sh", "-c", "\n".join(script)], log=log,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"})
