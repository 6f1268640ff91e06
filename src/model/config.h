/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* /etc/carryover/carryover.conf and carryover.conf.d/ as data; config_load() is in files/config.h. Defaults
 * in brackets. */

#include <stdbool.h>
#include <stdint.h>

typedef enum PidMode { PID_MODE_AUTO, PID_MODE_HOST, PID_MODE_NAMESPACE } PidMode;
typedef enum HoldBackend { HOLD_AUTO, HOLD_IPTABLES, HOLD_NFTABLES } HoldBackend;

/* Bytes, or a part of a file system. */
typedef struct Amount {
        uint64_t bytes;
        unsigned percent; /* if not 0, of the file system */
} Amount;

typedef struct Config {
        char store[256];       /* Store= [/var/lib/carryover] */
        bool keep_ssh;         /* KeepSshSessions= [no]: every ssh session is kept at a shutdown */
        bool send_failed;      /* SendReports= [always]: only those of what was not wholly carried */
        bool keep_images;      /* KeepImages= [no]: images stay in the store after a restore */
        bool encrypt;          /* Encrypt= [no]: images in the store, with a key that only a kexec carries */
        PidMode pid_mode;      /* PidMode= [auto] */
        HoldBackend hold;      /* Hold= [auto] */
        uint64_t settle_usec;  /* SettleTimeoutSec= [20s]: how long the save waits for other stop jobs */
        uint64_t criu_usec;    /* CriuTimeoutSec= [120s]: deadline of each CRIU call */
        uint64_t network_usec; /* NetworkTimeoutSec= [120s]: how long a tree waits for its addresses and
                                  routes */
        uint64_t mount_usec; /* MountTimeoutSec= [120s]: how long a tree waits for the mounts that its files
                                lie on, and for its AppArmor profiles */
        bool tcp_close;      /* TcpClose= [no]: a tree whose addresses or routes do not come is restored with
                                its connections closed */
        Amount max_use;      /* MaxUse= [90%]: of the store's file system, with what failed */
        Amount max_use_per_user; /* MaxUsePerUser= [50%] */
        uint64_t max_processes;  /* MaxProcesses= [4096]: of one tree */
        uint64_t max_files;      /* MaxFiles= [65536]: of one tree */
        char metrics[256];       /* MetricsDirectory= [/var/lib/prometheus/node-exporter] */
        bool notify;             /* Notify= [yes]: people are told on their terminals */
        char criu[256];          /* Criu= [criu]: the executable, looked up in the usual places */
        bool partial;            /* not all of it could be read: config_load_anyway() */
} Config;

const char *hold_backend_text(HoldBackend backend);         /* "iptables", "nftables", "auto" */
int hold_backend_parse(const char *text, HoldBackend *ret); /* -EINVAL */

/* Of a message that another version may have written: HOLD_AUTO for one that is not known here. */
HoldBackend hold_backend_of(const char *text);
