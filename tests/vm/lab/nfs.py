# SPDX-License-Identifier: GPL-2.0-or-later
"""A server of NFS 4 in the namespace of a network: the kernel's own would need one of the host's modules."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from . import net
from .util import BOUND, wait_for

SOURCE = f"{net.HOST4}:/home"

# Not 4.2: by that, what is read from this server comes as zeros.
CONFIG = """
NFS_CORE_PARAM {{ Protocols = 4; Enable_NLM = false; Enable_RQUOTA = false; Plugins_Dir = "/usr/lib/x86_64-linux-gnu/ganesha"; }}
NFSv4 {{ Grace_Period = 5; Lease_Lifetime = 60; RecoveryRoot = "{top}/state"; Minor_Versions = 1; }}
EXPORT {{
    Export_Id = 1; Path = "{top}/export"; Pseudo = "/home"; Access_Type = RW; Squash = No_Root_Squash; SecType = sys;
    Protocols = 4; Transports = TCP; FSAL {{ Name = VFS; }}
}}
LOG {{ Default_Log_Level = EVENT; }}
"""


class Nfs:
    """Serves `directory` as SOURCE until close()."""

    def __init__(self, network: net.NetnsNet) -> None:
        self._top = Path(tempfile.mkdtemp(prefix="lab-nfs-"))
        self.directory = self._top / "export"
        log = self._top / "log"
        for part in (self.directory, self._top / "state"):
            part.mkdir(mode=0o755)
        config = self._top / "conf"
        config.write_text(CONFIG.format(top=self._top))
        self._process = subprocess.Popen(
            [*BOUND, *network.prefix, "ganesha.nfsd", "-F", "-f", config, "-L", log, "-p", self._top / "pid"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        wait_for("an NFS server", lambda: log.exists() and "NFS SERVER INITIALIZED" in log.read_text(errors="replace"), 30)

    def close(self) -> None:
        """Serve nobody any more, and forget what was written."""
        self._process.kill()
        self._process.wait(10)
        shutil.rmtree(self._top)
