# SPDX-License-Identifier: GPL-2.0-or-later
"""The manual of carryover.node.reboot, which is an action plugin: all of it runs on the controller."""

DOCUMENTATION = """
module: reboot
short_description: Reboot a host through carryover
description:
  - Reboots a host by C(carryover reboot), which carries running sessions into the next kernel.
  - The session of Ansible's own connection is one of them. The task returns over the connection over which it began. If that connection
    is lost, the host is looked for by new ones.
  - Fails with the report of C(carryover status --json) unless everything that was to be carried was.
  - Needs root on the host, as by C(become).
version_added: 0.1.0
options:
  accept_losses:
    description:
      - Whether to go on if the reboot ends something that nobody keeps, or carries something with losses (C(--yes)).
      - If not, the host is not rebooted, and the task fails with the list. A kept session that does not come back fails the task
        in any case.
    type: bool
    default: false
  kernel:
    description: The kernel to start; the newest installed one if not given (C(--kernel=)).
    type: str
  kexec:
    description: Whether to jump by kexec; else through the firmware and the boot loader (C(--no-kexec)).
    type: bool
    default: true
  reboot_timeout:
    description:
      - Seconds of silence after which ssh gives the host up, and seconds after which a host that lost its connection is given up.
      - It must be longer than the gap. A ServerAliveInterval in ssh_args goes before it.
    type: int
    default: 600
attributes:
  check_mode:
    support: full
    description: In check mode all checks are made, and the host is not rebooted.
author:
  - The carryover project
"""

EXAMPLES = """
- name: Reboot into the newest kernel, and keep everybody's session
  carryover.node.reboot:
  become: true

- name: Rehearse it in the same kernel
  carryover.node.reboot:
    kernel: "{{ ansible_kernel }}"
  become: true
"""

RETURN = """
rebooted:
  description: Whether another boot runs now.
  returned: after a reboot was tried
  type: bool
connection_kept:
  description: Whether the task came back over the connection over which it began.
  returned: after a reboot was tried
  type: bool
losses:
  description: What the reboot was going to end or carry with losses.
  returned: after the check
  type: list
  elements: str
report:
  description: What C(carryover status --json) says; see carryover(1).
  returned: after a reboot was tried
  type: dict
elapsed:
  description: Seconds that it took.
  returned: after a reboot was tried
  type: float
"""
