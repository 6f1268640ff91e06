# SPDX-License-Identifier: GPL-2.0-or-later
"""CRIU's own test programs as passengers: see README.md."""
