# SPDX-License-Identifier: GPL-2.0-or-later
# bash reads this when `carryover` is completed for the first time.
eval "$(carryover completion bash 2>/dev/null)"
