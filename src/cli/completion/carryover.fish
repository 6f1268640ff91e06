# SPDX-License-Identifier: GPL-2.0-or-later
# fish reads this when `carryover` is completed for the first time.
carryover completion fish 2>/dev/null | source
