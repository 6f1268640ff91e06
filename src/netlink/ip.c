/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "netlink/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

bool ip_from(ProtobufCBinaryData data, IpAddress *ret) {
        static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
        IpAddress a = {0};

        if (data.len == 4) {
                a.family = AF_INET;
                a.length = 4;
                memcpy(a.bytes, data.data, 4);
        } else if (data.len == 16 && memcmp(data.data, mapped, sizeof mapped) == 0) {
                a.family = AF_INET;
                a.length = 4;
                memcpy(a.bytes, data.data + 12, 4);
        } else if (data.len == 16) {
                a.family = AF_INET6;
                a.length = 16;
                memcpy(a.bytes, data.data, 16);
        } else
                return false;
        *ret = a;
        return true;
}

bool ip_equal(const IpAddress *a, const IpAddress *b) {
        return a->family == b->family && memcmp(a->bytes, b->bytes, a->length) == 0;
}

bool ip_is_loopback(const IpAddress *a) {
        if (a->family == AF_INET)
                return a->bytes[0] == 127;
        return memcmp(a->bytes, &in6addr_loopback, 16) == 0;
}

const char *ip_text(const IpAddress *a, char buffer[static 46]) {
        return inet_ntop(a->family, a->bytes, buffer, 46) ? buffer : "?";
}
