# SPDX-License-Identifier: GPL-2.0-or-later
"""
CRIU's test programs: fetched as Debian's source package, built in a root of their own, kept in the lab's cache. Nothing of
them is ours, and nothing of them is committed.

All releases get the same programs, built on the oldest: those run on every later one, and the figures can be compared.
"""

from __future__ import annotations

import hashlib
import shlex
import shutil
import urllib.request
from pathlib import Path

from lab import cache
from lab.images import ALONE, MMDEBSTRAP
from lab.util import LabError, progress, run

# By Debian's index of sources (trixie); no release has newer programs that an older CRIU would pass.
URL = "http://deb.debian.org/debian/pool/main/c/criu/criu_4.1.1.orig.tar.xz"
SHA256 = "f80a66cb3726bb2116266d4759ce3bcbfab7abdb6b6d430bf20dd41911717afe"

RELEASE = "bookworm"
PACKAGES = ("make gcc libc6-dev python3 python3-yaml pkg-config protobuf-compiler protobuf-c-compiler libprotobuf-c-dev "
            "libprotobuf-dev libaio-dev libcap-dev libbsd-dev uuid-dev libnet1-dev libnl-3-dev libnl-route-3-dev libgnutls28-dev "
            "libnftables-dev").split()

# A program that does not build is not there, and is counted as such. "commands" is how make would start each of them.
BUILD = r"""set -e
cd /criu/test/zdtm
make -s -j2 -C lib
for kind in static transition; do
    make -s -k -j2 -C $kind || true
    (cd $kind; make -s -n -k $(ls *.c | sed 's/c$/pid/') 2>/dev/null || true) | grep -- --pidfile= >$kind/commands
    mkdir -p /built/$kind
    for source in $kind/*.c; do
        name=${source%.c}
        test ! -x $name || strip -o /built/$name $name
    done
    cp $kind/commands $kind/*.desc /built/$kind/
    ls $kind | grep -E '\.(hook|checkskip)$' >/built/$kind/scripts || true
done
mkdir /built/lib
cp -L /lib/x86_64-linux-gnu/libaio.so.1 /lib/x86_64-linux-gnu/libnl-3.so.200 /usr/lib/x86_64-linux-gnu/libnl-route-3.so.200 /built/lib/
"""


def built() -> Path:
    """A directory with static/ and transition/: programs, descriptions, and `commands` and `scripts` as lists; and lib/."""
    return cache.entry("zdtm", cache.digest([URL, SHA256, RELEASE, *PACKAGES, BUILD]), _make)


def _make(directory: Path) -> None:
    progress("zdtm: building CRIU's test programs (two to four minutes)")
    root = directory / "root"
    tarball = directory / "criu.tar.xz"
    _fetch(tarball)
    run([*MMDEBSTRAP, "--variant=apt", '--aptopt=APT::Install-Recommends "false"', f"--include={','.join(PACKAGES)}",
         RELEASE, root], log=directory / "log")
    (root / "criu").mkdir()
    run(["tar", "-C", root / "criu", "--strip-components=1", "-xf", tarball])
    run([*ALONE, "chroot", root, "sh", "-c", BUILD], log=directory / "log",
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"})
    for made in (root / "built").iterdir():
        shutil.move(made, directory / made.name)
    shutil.rmtree(root)
    tarball.unlink()


def _fetch(target: Path) -> None:
    with urllib.request.urlopen(URL, timeout=120) as answer:
        content = answer.read()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise LabError(f"{URL} has the checksum {found}, not {SHA256}")
    target.write_bytes(content)


def commands(kind: Path) -> dict[str, list[str]]:
    """The words after the program's name with which make starts each program of one directory."""
    found = {}
    for line in (kind / "commands").read_text().splitlines():
        program, *words = shlex.split(line)
        found[program.removeprefix("./")] = words
    return found
