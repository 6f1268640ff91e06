# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's control socket: one command after the other, one JSON object a line."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from .util import LabError, wait_for


class Qmp:
    """A connection to the monitor of one running QEMU."""

    def __init__(self, path: Path, timeout: float = 30) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile("r")
        self._lines.readline()  # the greeting
        self.command("qmp_capabilities")

    def command(self, name: str, /, **arguments: object) -> object:
        """Run one command; its answer, or a LabError with QEMU's words."""
        request = {"execute": name, "arguments": arguments}
        self._socket.sendall(json.dumps(request).encode())
        for line in self._lines:
            answer = json.loads(line)
            if "error" in answer:
                raise LabError(f"QEMU refuses {name}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
        raise LabError(f"QEMU went away during {name}")

    def save_state(self, file: Path, timeout: float = 120) -> None:
        """Write the machine's memory and devices to a file; the machine stays stopped."""
        self.command("stop")
        self.command("migrate-set-capabilities",
                     capabilities=[{"capability": "mapped-ram", "state": True}])
        self.command("migrate", uri=f"file:{file}")
        self._migrated("completed", timeout)

    def load_state(self, file: Path, timeout: float = 120) -> None:
        """The counterpart, in a QEMU that was started with `-incoming defer`; runs it."""
        self.command("migrate-set-capabilities",
                     capabilities=[{"capability": "mapped-ram", "state": True}])
        self.command("migrate-incoming", uri=f"file:{file}")
        wait_for("loaded state", lambda: self._status() in ("paused", "postmigrate", "running"),
                 timeout)
        if self._status() != "running":
            self.command("cont")

    def _status(self) -> str:
        return self.command("query-status")["status"]  # type: ignore[index]

    def _migrated(self, wanted: str, timeout: float) -> None:
        def probe() -> bool:
            info = self.command("query-migrate")
            if info.get("status") == "failed":  # type: ignore[union-attr]
                raise LabError(f"the state was not saved: {info}")
            return info.get("status") == wanted  # type: ignore[union-attr]
        wait_for("saved state", probe, timeout)
