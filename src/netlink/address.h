/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The addresses that this machine has. */

#include "netlink/ip.h"

#include <stddef.h>
#include <stdint.h>

/* One address of this machine. */
typedef struct OwnAddress {
        IpAddress address;
        int index;
        uint32_t flags; /* IFA_F_* */
} OwnAddress;

/* Caller frees. */
int address_own_list(OwnAddress **ret, size_t *ret_n);
/* NULL: it is another machine's. */
const OwnAddress *address_own_find(const OwnAddress *own, size_t n, const IpAddress *a);
