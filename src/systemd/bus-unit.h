/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inside this room: all properties of a unit by one call. */

typedef struct Bus Bus;
typedef struct sd_bus_message sd_bus_message;

/* The answer to GetAll, an "a{sv}"; the caller unrefs it. */
int bus_unit_properties(Bus *bus, const char *unit, const char *interface, sd_bus_message **ret);
