# SPDX-License-Identifier: GPL-2.0-or-later
"""
Disks of guests, made in three stages, each cached by the content of what it is made from:

    base      a Debian root file system: packages, two kernels, users    (the recipe: guest/)
    fat       the same with more packages, for the few tests that need them  (guest/packages.fat)
    dracut    the same with dracut instead of initramfs-tools                (guest/packages.dracut)
    package   carryover's .deb, built for that Debian                     (the source)
    layer     base + package + our key, with the initrds of both kernels  (both)

A machine never writes to these: it gets an overlay of its own.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

from . import cache
from .util import SOURCE, VM_TESTS, LabError, progress, run

DISTROS = ("bookworm", "trixie")

# The release that is still being made: asked by name, by the suites that look ahead.
TESTING = "forky"

GUEST = VM_TESTS / "guest"
FAT = "packages.fat"
DRACUT = "packages.dracut"
# No disk of this machine, but as little as that allows: each megabyte costs (guest/root/etc/initramfs-tools).
DRACUT_CONF = 'hostonly="no"\ncompress="lz4"\nomit_dracutmodules+=" kernel-network-modules "\n'

# Room for a session's images, a 100 MB upload and a journal beside the system itself.
DISK_SIZE = "4G"

# What works in another root mounts there and starts processes; all of it goes with it, also when
# somebody presses Ctrl-C.
ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--")
# The Release file of a release that is being made is often past its date.
MMDEBSTRAP = (*ALONE, "mmdebstrap", "--mode=root", '--aptopt=Acquire::Check-Valid-Until "false"')

# What of a change to the source cannot change what is installed.
NOT_INSTALLED = ("tests/", "debian/tests/", "debian/watch", ".ci/", "docs/", "scripts/", "packaging/")
EXAMPLES = "docs/report.d/"  # but for these


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


def layer(distro: str, bare: bool = False, fat: bool = False, dracut: bool = False) -> Layer:
    """The disk with carryover installed, or without it when `bare`, with guest/packages.fat when `fat`, or with dracut; made if need be."""
    base = _more(distro, FAT) if fat else _more(distro, DRACUT) if dracut else _base(distro)
    built = None if bare else package(distro)
    key = ssh_key()
    name = f"{distro}-" + cache.digest(
        [base.name, built.name if built else "bare", key, VM_TESTS / "lab" / "images.py"])
    directory = cache.entry("layer", name, functools.partial(_make_layer, distro, base, built, key))
    kernels = json.loads((directory / "kernels.json").read_text())
    return Layer(distro, directory, *kernels)


def is_installed(name: str) -> bool:
    return name.startswith(EXAMPLES) or not name.startswith(NOT_INSTALLED)


def package(distro: str) -> Path:
    """A directory with the package of this source for `distro`, fault points compiled in, tests left out."""
    files = [file for file in source_files() if file.suffix != ".md" and is_installed(str(file.relative_to(SOURCE)))]
    name = f"{distro}-" + cache.digest(str(file.relative_to(SOURCE)) for file in files) \
        + cache.digest([*files, str(BUILD_FOR_LAB)])
    return cache.entry("package", name, lambda directory: build_package(distro, files, directory, BUILD_FOR_LAB))


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
    if distro not in (*DISTROS, TESTING):
        raise LabError(f"unknown distribution '{distro}'; known: {', '.join((*DISTROS, TESTING))}")
    recipe = sorted(path for path in GUEST.rglob("*") if path.is_file() and not path.name.startswith((FAT, DRACUT)))
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


# No package starts a service in a root that runs no systemd.
INSTALL = ("set -e; mount -t proc proc /proc; apt-get -qq update; "
           'DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$@"; '
           "apt-get clean; rm -rf /usr/share/doc/* /usr/share/locale/* /var/lib/apt/lists/*")


def _more(distro: str, packages_of: str) -> Path:
    base = _base(distro)
    words = packages(distro, packages_of)
    name = f"{distro}-{packages_of.split('.')[1]}-" + cache.digest([base.name, INSTALL, DRACUT_CONF if packages_of == DRACUT else "", *words])
    return cache.entry("base", name, functools.partial(_make_more, distro, base, words))


def _make_more(distro: str, base: Path, words: list[str], directory: Path) -> None:
    progress(f"{distro}: installing {' '.join(words)} into the base system")
    disk = directory / "disk.img"
    run(["cp", "--sparse=always", "--reflink=auto", base / "disk.img", disk])
    with _mounted(disk) as root:
        resolver = root / "etc" / "resolv.conf"
        own = resolver.read_text()
        resolver.write_text(Path("/etc/resolv.conf").read_text())
        if "dracut" in words:
            (root / "etc" / "dracut.conf.d").mkdir()
            (root / "etc" / "dracut.conf.d" / "lab.conf").write_text(DRACUT_CONF)
        run([*ALONE, "chroot", root, "sh", "-c", INSTALL, "sh", *words], log=directory / "log",
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"})
        resolver.write_text(own)


# -- package --------------------------------------------------------------------------------

# Words for dpkg-buildpackage. The source package is made from a release (docs/RELEASE.md).
BUILD_FOR_LAB = ("--build=binary", "--build-profiles=noautodbgsym,pkg.carryover.faults")


# What a build leaves in a source that git does not know.
NO_SOURCE = {"build", "__pycache__", ".cache"}


def source_files() -> list[Path]:
    """What of this source git knows, or would; all of it, in a release's tarball."""
    if not (SOURCE / ".git").exists():
        return [path for path in sorted(SOURCE.rglob("*"))
                if not path.is_dir() and not NO_SOURCE.intersection(path.relative_to(SOURCE).parts)]
    listed = run(["git", "-C", SOURCE, "-c", f"safe.directory={SOURCE}", "ls-files", "-z",
                  "--cached", "--others", "--exclude-standard"])
    # A file that was deleted but not yet committed is still listed.
    return [SOURCE / name for name in sorted(set(listed.split("\0"))) if name and os.path.lexists(SOURCE / name)]


def build_package(distro: str, files: list[Path], directory: Path, words: tuple[str, ...]) -> None:
    """Build the package from these files of the source; what comes out of it is put into `directory`."""
    progress(f"{distro}: building the package")
    work = directory / "work"
    for file in files:
        copy = work / "carryover" / file.relative_to(SOURCE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, copy, follow_symlinks=False)
    _on(distro, work, "cd carryover && dpkg-buildpackage --no-sign " + shlex.join(words), directory / "log")
    for file in work.glob("carryover*_*"):
        file.rename(directory / file.name)
    shutil.rmtree(work)


# No bug of Debian's asks for this package yet, so its first version closes none.
NO_BUG = "initial-upload-closes-no-bugs"


def lintian(distro: str, directory: Path) -> str:
    """What that Debian's own lintian says of the package in `directory`; nothing, if all is well."""
    return _on(distro, directory, f"lintian --allow-root --fail-on none --show-overrides --suppress-tags {NO_BUG} *.changes", directory / "lintian")


def host_distro() -> str:
    """The release of Debian that this machine runs."""
    lines = Path("/etc/os-release").read_text().splitlines()
    facts = dict(line.split("=", 1) for line in lines if "=" in line)
    return facts.get("VERSION_CODENAME", "").strip('"')


def _on(distro: str, work: Path, script: str, log: Path) -> str:
    """Run a shell script in the directory `work`, on this machine if it is of that release, else in a root of its own."""
    if distro == host_distro():
        return run(["sh", "-c", f"cd {shlex.quote(str(work))} && {script}"], log=log)
    # The mounts live in a mount namespace of this one command and go with it.
    outer = ('set -e; mkdir -p "$0/work"; mount --bind "$1" "$0/work"; mount -t proc proc "$0/proc"; '
             'mount --rbind /dev "$0/dev"; exec chroot "$0" sh -c "cd /work && $2"')
    return run([*ALONE, "sh", "-c", outer, _build_root(distro), work, script], log=log,
               env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"})


def _build_root(distro: str) -> Path:
    """A root directory of `distro` with all that debian/control asks for, to build in."""
    control = SOURCE / "debian" / "control"
    source_paragraph = control.read_text().split("\n\n")[0]

    def make(directory: Path) -> None:
        progress(f"{distro}: making a root to build in (about two minutes)")
        run([*MMDEBSTRAP, "--variant=apt", "--include=lintian",
             '--aptopt=APT::Install-Recommends "false"',
             f'--customize-hook=mkdir "$1/source" "$1/source/debian" && cp {shlex.quote(str(control))} "$1/source/debian/"',
             '--customize-hook=chroot "$1" apt-get -qq build-dep -y /source',
             distro, directory / "root"],
            log=directory / "log")
    return cache.entry("buildroot", f"{distro}-" + cache.digest([source_paragraph]), make) / "root"


# -- layer ----------------------------------------------------------------------------------

def _make_layer(distro: str, base: Path, built: Path | None, key: Path, directory: Path) -> None:
    progress(f"{distro}: installing {'carryover' if built else 'the key'} into the disk")
    disk = directory / "disk.img"
    run(["cp", "--sparse=always", "--reflink=auto", base / "disk.img", disk])
    with _mounted(disk) as root:
        kernels = (root / "etc" / "lab-kernels").read_text().split()
        _put_key(root, key)
        if built:
            _put_package(root, next(built.glob("carryover_*.deb")), kernels, directory / "log")
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


def _put_package(root: Path, deb: Path, kernels: list[str], log: Path) -> None:
    shutil.copy(deb, root / "tmp" / "carryover.deb")
    # dpkg's trigger makes the initrd of the newest kernel; the other one's at the same time.
    make = f"update-initramfs -u -k {kernels[0]}"
    if (root / "usr" / "bin" / "dracut").exists():
        make = f"dracut --quiet --force /boot/initrd.img-{kernels[0]} {kernels[0]}"
    older = f"{make} & older=$!" if kernels[0] != kernels[1] else "older="
    script = ("set -e; mount -t proc proc /proc; dpkg --unpack /tmp/carryover.deb; "
              f"{older}; dpkg --configure --pending; wait $older; rm /tmp/carryover.deb")
    run([*ALONE, "chroot", root, "sh", "-c", script], log=log,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"})
