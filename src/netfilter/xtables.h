/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inside this room: rules of iptables' table `raw`, of both families. */

#include <libiptc/libiptc.h>
#include <stdbool.h>
#include <stdint.h>

#define XT_TABLE "raw"

typedef struct XtPorts {
        uint16_t low, high;
} XtPorts;

#define XT_ANY_PORT ((XtPorts){0, UINT16_MAX})

/* A rule in neither family's words. */
typedef struct XtRule {
        const uint8_t *source, *destination; /* NULL: any */
        uint8_t protocol;                    /* 0: any, and the ports do not count; else TCP or UDP */
        XtPorts source_ports, destination_ports;
        bool only_new; /* of TCP: the first packet of a connection */
        uint32_t mark; /* only packets with this mark; 0: any */
        const char *target;
} XtRule;

/* libiptc's two twins behind one face. The handles are of one type, the entries are not. */
typedef struct XtFamily {
        const char *name;       /* for people */
        const char *names_path; /* tables that exist in this network namespace; no file: no module */
        struct xtc_handle *(*init)(const char *table);
        void (*free)(struct xtc_handle *h);
        int (*commit)(struct xtc_handle *h);
        int (*is_chain)(const char *chain, struct xtc_handle *h);
        const char *(*first_chain)(struct xtc_handle *h);
        const char *(*next_chain)(struct xtc_handle *h);
        int (*create_chain)(const xt_chainlabel chain, struct xtc_handle *h);
        int (*flush)(const xt_chainlabel chain, struct xtc_handle *h);
        int (*delete_chain)(const xt_chainlabel chain, struct xtc_handle *h);
        int (*delete_rule)(const xt_chainlabel chain, unsigned number, struct xtc_handle *h);
        const char *(*strerror)(int error);
        /* The target of each rule, in order: rule NULL begins, *rule NULL has ended. */
        const char *(*walk)(const char *chain, const void **rule, struct xtc_handle *h);
        int (*add)(const char *chain, const XtRule *rule, bool first, struct xtc_handle *h);
} XtFamily;

extern const XtFamily xt_families[2]; /* IPv4, IPv6 */

/* libiptc's failure as a negative errno. 0 in errno means that kernel and library speak different
 * versions. */
int xt_failure(const XtFamily *f, const char *what);

/* The lock of the iptables tools; -1 if it cannot be had in time, and then we go on without. */
int xt_lock_tools(void);

/* Opens the table. -EOPNOTSUPP where the kernel does not have it. */
int xt_table_open(const XtFamily *f, struct xtc_handle **ret);

/* 1 if the table exists already in this namespace, 0 if not: reading it then would create it. */
int xt_table_exists(const XtFamily *f);
