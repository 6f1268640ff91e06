/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "model/connections.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <string.h>

/* What comes to a held port is nobody's in the next boot, and the kernel gives the same ports to whoever
 * asks a question there (DNS, NTP): of its 28,232 one user has less than a hundredth, and all together less
 * than a twentieth. Root's trees are not counted: he may hold what he likes. */
#define PORTS_USER 256u
#define PORTS_ALL  1024u

void hold_set_done(HoldSet *set) {
        free(set->connections);
        free(set->ports);
        *set = (HoldSet){0};
}

bool hold_set_is_empty(const HoldSet *set) {
        return set->n_connections == 0 && set->n_ports == 0;
}

static bool is_pending(const Tree *tree) {
        return !tree->outcome || tree->outcome->state == OUTCOME__STATE__PENDING;
}

static int add(HoldSet *set, Connection **items, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (model_append(set->connections, set->n_connections, items[i]) < 0)
                        return -ENOMEM;
        return 0;
}

static bool was_left(const Tree *tree) {
        return tree->outcome && tree->outcome->state == OUTCOME__STATE__LEFT;
}

/* How many of this tree's ports may be held, beside those of the trees before it. It is the same at the save
 * and while one tree after the other comes back. */
static size_t ports_granted(const Ticket *t, size_t at, const size_t *granted) {
        const Tree *tree = t->trees[at];
        size_t user = 0, all = 0, room;

        if (was_left(tree))
                return 0;
        if (tree->uid == 0)
                return tree->n_ports;
        for (size_t i = 0; i < at; i++) {
                if (t->trees[i]->uid == 0)
                        continue;
                all += granted[i];
                if (t->trees[i]->uid == tree->uid)
                        user += granted[i];
        }
        room = PORTS_USER - user < PORTS_ALL - all ? PORTS_USER - user : PORTS_ALL - all;
        return tree->n_ports < room ? tree->n_ports : room;
}

static int add_tree(HoldSet *set, const Tree *tree, size_t n_ports) {
        int r = add(set, tree->connections, tree->n_connections);

        if (r >= 0)
                r = add(set, tree->wires, tree->n_wires);
        for (size_t i = 0; r >= 0 && i < n_ports; i++)
                r = model_append(set->ports, set->n_ports, tree->ports[i]);
        return r;
}

int hold_set_of(const Ticket *ticket, HoldSet *ret) {
        _cleanup_(freep) size_t *granted = calloc(ticket->n_trees ?: 1, sizeof *granted);
        _cleanup_(hold_set_done) HoldSet set = {0};
        int r = granted ? 0 : -ENOMEM;

        for (size_t i = 0; r >= 0 && i < ticket->n_trees; i++) {
                granted[i] = ports_granted(ticket, i, granted);
                if (is_pending(ticket->trees[i]))
                        r = add_tree(&set, ticket->trees[i], granted[i]);
        }
        if (r < 0)
                return r;
        *ret = TAKE(set);
        return 0;
}

HoldSet hold_set_of_early(const Early *early) {
        return (HoldSet){
                        .connections = early->connections,
                        .n_connections = early->n_connections,
                        .ports = early->ports,
                        .n_ports = early->n_ports,
        };
}

uint32_t early_highest_pid(const Ticket *ticket) {
        uint32_t highest = 0;

        for (size_t i = 0; i < ticket->n_trees; i++)
                for (size_t j = 0; j < ticket->trees[i]->n_ids; j++)
                        if (ticket->trees[i]->ids[j] > highest)
                                highest = ticket->trees[i]->ids[j];
        return highest;
}

static int early_hold(Early *early, const HoldSet *set) {
        for (size_t i = 0; i < set->n_connections; i++) {
                Connection *copy = model_copy(set->connections[i]);

                if (!copy || model_append(early->connections, early->n_connections, copy) < 0) {
                        model_free(copy);
                        return -ENOMEM;
                }
        }
        for (size_t i = 0; i < set->n_ports; i++) {
                Port *copy = model_copy(set->ports[i]);

                if (!copy || model_append(early->ports, early->n_ports, copy) < 0) {
                        model_free(copy);
                        return -ENOMEM;
                }
        }
        return 0;
}

int early_of(const Ticket *ticket, Early **ret) {
        _cleanup_(hold_set_done) HoldSet all = {0};
        _cleanup_(early_freep) Early *early = model_new(Early, early__init);
        int r;

        if (!early)
                return -ENOMEM;
        r = hold_set_of(ticket, &all);
        if (r >= 0)
                r = early_hold(early, &all);
        if (r < 0)
                return err_pass(r);
        early->max_pid = early_highest_pid(ticket);
        if (model_set_string(&early->ticket_id, ticket->id) < 0 ||
            model_set_string(&early->hold_backend, ticket->hold_backend) < 0)
                return -ENOMEM;
        *ret = TAKE(early);
        return 0;
}

int early_set_key(Early *early, const uint8_t key[static BOX_KEY]) {
        early->has_store_key = true;
        return model_set_bytes(&early->store_key, key, BOX_KEY);
}

void early_forget_key(Early *early) {
        if (early->store_key.data)
                explicit_bzero(early->store_key.data, early->store_key.len);
        free(early->store_key.data);
        early->store_key = (ProtobufCBinaryData){0};
        early->has_store_key = false;
}

static bool same_bytes(ProtobufCBinaryData a, ProtobufCBinaryData b) {
        return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static bool same_connection(const Connection *a, const Connection *b) {
        return a->local_port == b->local_port && a->remote_port == b->remote_port &&
               same_bytes(a->local, b->local) && same_bytes(a->remote, b->remote);
}

static bool is_held(const Early *early, const Connection *c) {
        for (size_t i = 0; i < early->n_connections; i++)
                if (same_connection(early->connections[i], c))
                        return true;
        return false;
}

static bool is_held_port(const Early *early, const Port *p) {
        for (size_t i = 0; i < early->n_ports; i++)
                if (early->ports[i]->protocol == p->protocol && early->ports[i]->port == p->port &&
                    same_bytes(early->ports[i]->local, p->local))
                        return true;
        return false;
}

bool early_covers(const Early *loaded, const Early *needed) {
        if (loaded->max_pid < needed->max_pid)
                return false;
        for (size_t i = 0; i < needed->n_connections; i++)
                if (!is_held(loaded, needed->connections[i]))
                        return false;
        for (size_t i = 0; i < needed->n_ports; i++)
                if (!is_held_port(loaded, needed->ports[i]))
                        return false;
        return true;
}
