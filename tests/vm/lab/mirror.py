# SPDX-License-Identifier: GPL-2.0-or-later
"""
Debian's mirrors for a guest in a network namespace that has no way out: an HTTP proxy that listens in the
namespace and asks from the host's own network, by the host's own proxy settings.
"""

from __future__ import annotations

import http.server
import shutil
import socket
import threading
import urllib.error
import urllib.request

from . import net

PORT = 3142
URL = f"http://{net.HOST4}:{PORT}"

# What apt asks with, and what it needs to know of an answer.
ASKED = ("Range", "If-Range", "If-Modified-Since", "Cache-Control")
ANSWERED = ("Content-Type", "Content-Length", "Content-Range", "Last-Modified")


class Mirror(http.server.ThreadingHTTPServer):
    """Serves a guest's apt until close()."""

    daemon_threads = True

    def __init__(self, network: net.NetnsNet) -> None:
        super().__init__((net.HOST4, PORT), _Request, bind_and_activate=False)
        self.socket.close()
        self.socket = net.socket_in(network.endpoint(0))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_activate()
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Serve nothing any more."""
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Request(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        headers = {name: self.headers[name] for name in ASKED if name in self.headers}
        try:
            answer = urllib.request.urlopen(urllib.request.Request(self.path, headers=headers), timeout=60)
        except urllib.error.HTTPError as error:
            answer = error  # "not modified" and "not found" are answers, too
        except OSError as error:
            self.send_error(502, str(error))
            return
        with answer:
            self.send_response(answer.status)
            for name in ANSWERED:
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            if "Content-Length" not in answer.headers:  # its end is the connection's
                self.close_connection = True
                self.send_header("Connection", "close")
            self.end_headers()
            shutil.copyfileobj(answer, self.wfile)

    def log_message(self, format: str, *args: object) -> None:
        """apt says itself what failed."""
