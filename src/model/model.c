/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "model/model.h"

#include "base/err.h"
#include "base/text.h"

#include <stdarg.h>
#include <string.h>

void model_free(void *message) {
        if (message)
                protobuf_c_message_free_unpacked(message, NULL);
}

int model_set_string(char **field, const char *value) {
        char *copy = NULL;

        if (value) {
                copy = strdup(value);
                if (!copy)
                        return -ENOMEM;
        }
        if (*field != protobuf_c_empty_string)
                free(*field);
        *field = copy;
        return 0;
}

int model_set_bytes(ProtobufCBinaryData *field, const void *data, size_t size) {
        uint8_t *copy = malloc(size ?: 1);

        if (!copy)
                return -ENOMEM;
        if (size)
                memcpy(copy, data, size);
        free(field->data);
        *field = (ProtobufCBinaryData){.len = size, .data = copy};
        return 0;
}

void *model_copy(const void *message) {
        const ProtobufCMessage *m = message;
        size_t size = protobuf_c_message_get_packed_size(m);
        _cleanup_(freep) uint8_t *bytes = malloc(size ?: 1);

        if (!bytes)
                return NULL;
        protobuf_c_message_pack(m, bytes);
        return protobuf_c_message_unpack(m->descriptor, NULL, size, bytes);
}

int tree_degrade(Tree *tree, const char *what, const char *remedy, const char *format, ...) {
        Note *note = model_new(Note, note__init);
        va_list ap;
        int r;

        if (!note)
                return -ENOMEM;
        va_start(ap, format);
        r = vasprintf(&note->text, format, ap);
        va_end(ap);
        if (r < 0)
                note->text = NULL;
        note->what = strdup(what);
        note->remedy = remedy ? strdup(remedy) : NULL;
        r = note->text && note->what ? model_append(tree->degraded, tree->n_degraded, note) : -ENOMEM;
        if (r < 0)
                model_free(note);
        return r;
}

uint32_t tree_own_root(const Tree *tree) {
        return tree->has_init_pid ? tree->own_root_pid : tree->root_pid;
}

Tree *ticket_find(const Ticket *ticket, const char *name) {
        for (size_t i = 0; i < ticket->n_trees; i++)
                if (strcmp(ticket->trees[i]->name, name) == 0)
                        return ticket->trees[i];
        return NULL;
}

bool model_is_session_fifo(const char *path) {
        static const char directory[] = "/run/systemd/sessions/";

        return starts_with(path, directory) && ends_with(path, ".ref") &&
               name_is_safe(path + strlen(directory));
}

static bool has_master(const Tree *tree, const char *path) {
        for (size_t i = 0; i < tree->n_ptys; i++) {
                char own[32];

                snprintf(own, sizeof own, "/dev/pts/%u", tree->ptys[i]);
                if (strcmp(own, path) == 0)
                        return true;
        }
        return false;
}

static bool is_terminal(const External *e) {
        return e->kind == EXTERNAL__KIND__TTY && e->path;
}

bool ticket_waits(const Ticket *ticket, size_t tree, size_t other) {
        const Tree *t = ticket->trees[tree], *o = ticket->trees[other];
        bool shares = false, needs_nobody = true;

        for (size_t i = 0; i < t->n_externals; i++)
                shares |= is_terminal(t->externals[i]) && has_master(o, t->externals[i]->path);
        for (size_t i = 0; i < o->n_externals; i++)
                needs_nobody &= !is_terminal(o->externals[i]);
        return tree != other && shares && (needs_nobody || other < tree);
}
