# SPDX-License-Identifier: GPL-2.0-or-later
"""
A release's tarball, unpacked where there is no git and no tool to build with: scripts/install puts carryover there and takes its tools away.
A root directory is machine enough for that; what the package then does is test_package's. And other systems' packages are built from it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import pytest

from conftest import Lab
from lab import images
from lab.util import run

LIST = "dpkg-query -W -f '${db:Status-Status} ${binary:Package}\\n' | grep ^installed | sort"
APT = "DEBIAN_FRONTEND=noninteractive apt-get -q -o APT::Sandbox::User=root -o Dpkg::Use-Pty=0 -y"
NOT_KEPT = "-o APT::AutoRemove::RecommendsImportant=false -o APT::AutoRemove::SuggestsImportant=false"
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


PACKAGING = images.SOURCE / "packaging"


class Root:
    """A minimal system of its own, in a directory."""

    def __init__(self, distro: str, directory: Path, *packages: str) -> None:
        self.path = directory / "root"
        self.log = directory / "log"
        run([*images.MMDEBSTRAP, "--variant=minbase", f"--include={','.join(packages)}", distro, self.path], log=self.log)

    def run(self, script: str) -> str:
        """A shell script in it, with its own /proc and processes."""
        mounts = 'set -e; mount -t proc proc "$0/proc"; mount --rbind /dev "$0/dev"; exec chroot "$0" sh -c "$1"'
        return run([*images.ALONE, "sh", "-c", mounts, self.path, script], log=self.log, env=ENVIRONMENT)


def tarball(directory: Path) -> Path:
    """As docs/RELEASE.md makes it, of this commit."""
    run(["meson", "setup", "-Dtests=false", directory / "build", images.SOURCE])
    run(["meson", "dist", "-C", directory / "build", "--no-tests", "--allow-dirty", "--formats", "xztar"])
    return next((directory / "build" / "meson-dist").glob("carryover-*.tar.xz"))


@pytest.fixture
def packed(lab: Lab) -> Iterator[Path]:
    """Its path; what tests leave beside it goes with them."""
    yield tarball(lab.directory)
    run(["rm", "-rf", "--one-file-system", lab.directory / "root", lab.directory / "build"])


@pytest.mark.thorough  # it installs all tools to build with, and takes them away again
@pytest.mark.parametrize("distro, maker", [("bookworm", "initramfs-tools"), ("trixie", "dracut")])
def test_tarball(lab: Lab, packed: Path, distro: str, maker: str) -> None:
    root = Root(distro, lab.directory, "xz-utils", maker)
    run(["tar", "-C", root.path / "root", "-xf", packed])
    before = root.run(LIST).splitlines()
    root.run("cd /root/carryover-* && scripts/install")

    added = set(root.run(LIST).splitlines()) - set(before)
    assert "installed carryover" in added, added
    tools = {line for line in added if line.endswith("-dev") or line.split()[1] in ("meson", "gcc", "debhelper", "git")}
    assert not tools, tools
    assert root.run("carryover --version").startswith("carryover ")
    root.run("test -x /usr/share/initramfs-tools/hooks/carryover && test -x /usr/lib/dracut/modules.d/90carryover/module-setup.sh")

    # apt keeps what anybody there recommends or suggests, such as systemd-sysv for dracut, whoever has brought it.
    root.run(f"{APT} {NOT_KEPT} purge --autoremove carryover")
    assert root.run(LIST).splitlines() == before


# What each of them must have, and must not.
INSTALLED = {"/usr/bin/carryover", "/usr/lib/carryover/carryover-early", "/usr/lib/dracut/modules.d/90carryover/module-setup.sh",
             "/usr/lib/systemd/system/carryover.service", "/usr/share/man/man1/carryover.1"}


def whole(names: list[str]) -> None:
    names = [name.removesuffix(".gz") for name in names]
    assert INSTALLED <= set(names), INSTALLED - set(names)
    assert any(name.endswith("/README.md") for name in names), names
    assert not [name for name in names if "apt" in name.split("/") or "initramfs-tools" in name], names


@pytest.mark.rotates
def test_rpm(lab: Lab, packed: Path) -> None:
    """By Debian's rpmbuild, which knows none of Fedora's packages that it asks for."""
    top = lab.directory / "root"
    (top / "SOURCES").mkdir(parents=True)
    run(["cp", packed, top / "SOURCES"])
    run(["rpmbuild", "-bb", "--nodeps", "--define", f"_topdir {top}", PACKAGING / "carryover.spec"], log=lab.directory / "log")
    made = next((top / "RPMS").glob("*/carryover-*.rpm"))
    whole(run(["rpm", "--query", "--list", "--package", made]).split())


@pytest.mark.rotates
def test_pkgbuild(lab: Lab, packed: Path) -> None:
    """By Debian's makepkg, which builds for nobody who is root, and asks a pacman only that it is there."""
    lab.directory.chmod(0o711)
    top = lab.directory / "root"
    run(["cp", "-r", PACKAGING, top])
    run(["cp", packed, top])
    run(["chown", "-R", "nobody:nogroup", top])
    run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "env", "-C", top, f"HOME={top}", "PACMAN=true",
         "makepkg", "--nodeps"], log=lab.directory / "log")
    made = next(top.glob("carryover-*.pkg.tar*"))
    whole([f"/{name}" for name in run(["tar", "-tf", made]).split()])
