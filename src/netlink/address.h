/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* IP addresses, and which of them this machine has. */

#include "model/model.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct IpAddress {
        uint8_t family; /* AF_INET, AF_INET6 */
        uint8_t length; /* 4, 16 */
        uint8_t bytes[16];
} IpAddress;

/* False for anything that is not 4 or 16 bytes. */
bool ip_from(ProtobufCBinaryData data, IpAddress *ret);
bool ip_equal(const IpAddress *a, const IpAddress *b);
bool ip_is_loopback(const IpAddress *a);
const char *ip_text(const IpAddress *a, char buffer[static 46]);

/* One address of this machine. */
typedef struct OwnAddress {
        IpAddress address;
        int index;
        uint32_t flags; /* IFA_F_* */
} OwnAddress;

/* Caller frees. */
int own_addresses(OwnAddress **ret, size_t *ret_n);
/* NULL: it is another machine's. */
const OwnAddress *own_address_find(const OwnAddress *own, size_t n, const IpAddress *a);
