/* SPDX-License-Identifier: GPL-2.0-or-later */

/* systemd-shutdown(8) runs what is in system-shutdown/ after everything is killed and unmounted, right
 * before the kexec or reboot. */

#include "flow/flow.h"

int main(void) {
        return flow_last();
}
