/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* IP addresses, as packets carry them. */

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
