/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "report/config.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "report/text.h"
#include "json/node.h"

#define COLUMNS 32 /* of a setting; the place of a longer one stands right behind it */

static void line_show(FILE *out, const ConfigLine *line) {
        _cleanup_(freep) char *setting = text_format("%s=%s", line->name, line->value);
        _cleanup_(freep) char *clean = setting ? text_printable(setting) : NULL;
        _cleanup_(freep) char *path = line->path ? text_printable(line->path) : NULL;

        if (!clean)
                return;
        if (path)
                fprintf(out, "%-*s # %s:%u\n", COLUMNS, clean, path, line->number);
        else
                fprintf(out, "%-*s # default\n", COLUMNS, clean);
}

void report_config(FILE *out, const ConfigLine *lines, size_t n) {
        for (size_t i = 0; i < n; i++)
                line_show(out, lines + i);
}

int report_config_json(FILE *out, const ConfigLine *lines, size_t n, bool pretty) {
        Node array = node_array();

        for (size_t i = 0; i < n; i++) {
                Node o = node_object();

                node_text(&o, "name", lines[i].name);
                node_text(&o, "value", lines[i].value);
                node_text(&o, "file", lines[i].path);
                node_number(&o, "line", lines[i].path, lines[i].number);
                node_append(&array, &o);
        }
        return node_write(out, &array, pretty);
}
