# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab: Debian machines under QEMU, their networks, and real ssh clients."""
