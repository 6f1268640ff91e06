# SPDX-License-Identifier: GPL-2.0-or-later
"""Lets Ansible find the collection by its name, where it lies in the tree. Must come before Ansible is imported."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

COLLECTION = Path(__file__).resolve().parents[2] / "packaging" / "ansible"

home = Path(tempfile.mkdtemp(prefix="ansible-test-"))
atexit.register(shutil.rmtree, home)
place = home / "ansible_collections" / "carryover"
place.mkdir(parents=True)
(place / "node").symlink_to(COLLECTION)
os.environ |= {"ANSIBLE_HOME": str(home), "ANSIBLE_COLLECTIONS_PATHS": str(home)}
sys.dont_write_bytecode = True

from ansible.plugins import loader  # noqa: E402

if hasattr(loader, "init_plugin_loader"):  # since 2.15 not by the import itself
    loader.init_plugin_loader()
