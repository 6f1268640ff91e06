/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What crosses the jump. The first byte says which message follows; the frame with its digest is put around
 * it here, or no byte behind it would ever be looked at; with 8 in it, the rest is a file as it is, frame
 * and all. Each is read where it lies in real life, and what decodes goes through everything that is made of
 * it without a process or a packet.
 */

#include "fuzz.h"

/* For what it writes into logind's files; the rest of it talks to PID 1. */
#include "../../src/restore/login.c"

#include "model/codec.h"
#include "model/connections.h"
#include "model/timeline.h"
#include "netfilter/conntrack.h"
#include "netfilter/hold.h"
#include "netfilter/internal.h"
#include "report/metrics.h"
#include "report/report.h"
#include "report/trees.h"
#include "restore/outside.h"
#include "restore/restore.h"
#include "select/select.h"

#include <json-c/json.h>

#define TREES 4u /* looked at one by one; a longer list finds nothing new */

/* Frames. */

static void put_framed(const char *path, CodecKind kind, Part payload) {
        struct __attribute__((packed)) {
                char magic[8];
                uint32_t format, kind;
                uint64_t length;
        } head = {.format = CODEC_FORMAT, .kind = kind, .length = payload.size};
        size_t size = sizeof head + payload.size;
        _cleanup_(freep) uint8_t *bytes = malloc(size + CODEC_DIGEST);

        EXPECT(bytes);
        memcpy(head.magic, "CRRYOVER", sizeof head.magic);
        memcpy(bytes, &head, sizeof head);
        if (payload.size > 0)
                memcpy(bytes + sizeof head, payload.data, payload.size);
        digest_bytes(bytes, size, bytes + size);
        cell_put(path, bytes, size + CODEC_DIGEST);
}

static void put(const char *path, CodecKind kind, bool whole, Part payload) {
        if (whole)
                cell_put_part(path, payload);
        else
                put_framed(path, kind, payload);
}

/* A report, as people and as programs read it. */

typedef struct Memory {
        FILE *file;
        char *text;
        size_t size;
} Memory;

static void memory_begin(Memory *m) {
        m->file = open_memstream(&m->text, &m->size);
        EXPECT(m->file);
}

static void expect_printable(Memory *m) {
        EXPECT(fclose(m->file) == 0);
        EXPECT(is_printable(m->text, m->size));
        free(m->text);
}

static void expect_json(Memory *m) {
        struct json_object *o;

        EXPECT(fclose(m->file) == 0);
        o = json_tokener_parse(m->text);
        EXPECT(o);
        EXPECT(strchr(m->text, '\n') == m->text + m->size - 1);
        json_object_put(o);
        free(m->text);
}

static void show(const Ticket *ticket) {
        const ReportNow now = {.phase = PHASE_SEALED, .held = 1};
        const ReportMeasures measures = {.store_bytes = 1};
        const ReportStyle style = {0};
        Candidates candidates = {.n = ticket->n_trees, .given = true};
        Memory m;

        candidates.items = calloc(candidates.n + 1, sizeof *candidates.items);
        EXPECT(candidates.items);
        for (size_t i = 0; i < candidates.n; i++)
                candidates.items[i].tree = ticket->trees[i];
        memory_begin(&m);
        report_answer(m.file, ticket, false);
        report_details(m.file, ticket, true, false);
        report_steps(m.file, ticket, false);
        for (size_t i = 0; i < ticket->n_trees; i++)
                report_tree(m.file, candidates.items + i, style);
        EXPECT(report_metrics(m.file, ticket, &now, &measures) == 0);
        EXPECT(report_svg(m.file, ticket) == (ticket->n_steps > 0 ? 0 : -ENODATA));
        expect_printable(&m);
        memory_begin(&m);
        EXPECT(report_json(m.file, ticket, &now, false) >= 0);
        expect_json(&m);
        memory_begin(&m);
        EXPECT(report_trees_json(m.file, &candidates, false) >= 0);
        expect_json(&m);
        free(candidates.items);
}

/* Connections. */

static void hold(const HoldSet *set) {
        _cleanup_(hold_list_done) HoldList list = {0};
        _cleanup_(freep) char *text = NULL;

        if (hold_list_make(set, &list) < 0)
                return;
        EXPECT(list.v4.n_pairs + list.v6.n_pairs <= set->n_connections);
        EXPECT(list.v4.n_ports <= set->n_ports && list.v6.n_ports <= set->n_ports);
        EXPECT(hold_nftables_text(HOLD_NFT_TABLE, NFT_SHARED, &list, &text) >= 0);
}

static void expect_same(const void *message) {
        const ProtobufCMessage *m = message;
        void *copy = model_copy(m);

        EXPECT(copy);
        EXPECT(protobuf_c_message_get_packed_size(copy) == protobuf_c_message_get_packed_size(m));
        model_free(copy);
}

static void connections(const Ticket *ticket) {
        _cleanup_(hold_set_done) HoldSet all = {0};
        _cleanup_(early_freep) Early *early = NULL;

        EXPECT(hold_set_of(ticket, &all) >= 0);
        hold(&all);
        EXPECT(early_of(ticket, &early) >= 0);
        EXPECT(early->n_connections == all.n_connections && early->n_ports == all.n_ports &&
               early->max_pid == early_highest_pid(ticket));
        EXPECT(early_covers(early, early));
        expect_same(early);
}

/* Trees. */

static void expect_no_circle(const Ticket *ticket) {
        for (size_t i = 0; i < ticket->n_trees && i < TREES; i++)
                for (size_t k = 0; k < ticket->n_trees && k < TREES; k++)
                        EXPECT(!ticket_waits(ticket, i, k) || !ticket_waits(ticket, k, i));
}

static size_t lines_with(const char *text, const char *key) {
        size_t n = 0;

        for (const char *line = text; line; line = strchr(line, '\n')) {
                line += *line == '\n';
                n += starts_with(line, key);
        }
        return n;
}

/* Lines that a session's record must have once, whatever logind, or somebody in its place, had written. */
static void login(Tree *tree) {
        _cleanup_(freep) char *text = NULL;

        if (!tree->session || !tree->session->state_file)
                return;
        EXPECT(session_text(tree, &text) >= 0);
        EXPECT(lines_with(text, "LEADER=") == 1 && lines_with(text, "SCOPE=") == 1);
        EXPECT(lines_with(text, "TTY=") == (terminal_of(tree->session) ? 1 : 0));
        (void)user_put_back(tree);
        (void)logind_put_back(tree);
        (void)utmp_put_back(tree);
}

static void outside(const Tree *tree) {
        _cleanup_(pty_reserve_freep) PtyReserve *ptys = NULL;
        RestoreJob job = {0};
        Outside opened = {0};

        EXPECT(pty_reserve(NULL, 0, &ptys) >= 0);
        job.ptys = ptys;
        if (outside_open(&job, tree, &opened) >= 0)
                outside_close(&opened);
}

static void each_tree(Ticket *ticket) {
        for (size_t i = 0; i < ticket->n_trees && i < TREES; i++) {
                Tree *tree = ticket->trees[i];

                EXPECT(ticket_find(ticket, tree->name));
                if (!tree->outcome)
                        tree->outcome = model_new(Outcome, outcome__init);
                EXPECT(tree->outcome);
                login(tree);
                outside(tree);
                (void)restore_waits_for(tree);
        }
}

static void jump(Ticket *ticket) {
        Timeline timeline = {.lock = PTHREAD_MUTEX_INITIALIZER, .ticket = ticket, .after_jump = true};
        size_t before = ticket->n_steps;

        timeline_note_jump(&timeline);
        EXPECT(ticket->n_steps == before || ticket->n_steps == before + 2);
}

static void use_ticket(const Store *store, Ticket *ticket) {
        expect_same(ticket);
        show(ticket);
        connections(ticket);
        expect_no_circle(ticket);
        if (ticket->n_conntrack > 0)
                (void)conntrack_restore(ticket);
        (void)restore_compare_cpu(ticket);
        jump(ticket);
        each_tree(ticket);
        show(ticket);
        /* What was believed once is believed again. */
        EXPECT(store_report_write(store, ticket) >= 0);
        EXPECT(store_seal(store, ticket, NULL) >= 0);
}

/* Where each kind is read. */

static void read_ticket(const Store *store) {
        _cleanup_(ticket_freep) Ticket *ticket = NULL;
        bool ours;
        int r;

        r = store_ticket(store, &ticket);
        EXPECT(r != 1);
        EXPECT(store_bad(store) == (r == -EBADMSG));
        if (r < 0)
                return;
        EXPECT(store_claim(store, ticket) >= 0);
        model_free(TAKE(ticket));
        EXPECT(store_claimed(store, &ticket, &ours) == 0 && ours);
        use_ticket(store, ticket);
}

static void read_tree(const Store *store) {
        _cleanup_(tree_freep) Tree *tree = NULL;
        int r = store_tree_outcome(store, "ticket", "t", &tree);

        EXPECT(r != 1);
        if (r == 0)
                EXPECT(strcmp(tree->name, "t") == 0 && tree->outcome);
}

/* carryover-early has no other way to it than this one. */
static void read_early(bool whole, Part payload) {
        _cleanup_(early_freep) Early *early = NULL;
        _cleanup_(freep) char *bytes = NULL;
        HoldBackend backend;
        HoldSet set;
        size_t size;

        put("/early", CODEC_EARLY, whole, payload);
        if (file_slurp(AT_FDCWD, "/early", 16u << 20, &bytes, &size) < 0 ||
            codec_decode(CODEC_EARLY, "/early", bytes, size, (ProtobufCMessage **)&early) < 0)
                return;
        set = hold_set_of_early(early);
        hold(&set);
        (void)hold_backend_parse(early->hold_backend, &backend);
        EXPECT(early_covers(early, early));
}

static void read_request(void) {
        _cleanup_(request_freep) Request *request = NULL;

        if (run_request_read(&request) != 0)
                return;
        expect_same(request);
        if (request->loaded)
                EXPECT(early_covers(request->loaded, request->loaded));
        if (request->target)
                (void)select_check(request->target);
}

static void read_keep(void) {
        SnapProcess processes[] = {{.pid = 1, .state = 'S'},
                                   {.pid = 77, .ppid = 1, .state = 'S', .start = 5}};
        Snapshot s = {.processes = processes, .n_processes = 2, .sorted = true};
        const SelectWorld world = {.all = &s};
        _cleanup_(verdict_done) Verdict problems = {0};
        _cleanup_(keep_freep) Keep *keep = NULL;
        _cleanup_(candidates_done) Candidates found = {0};

        if (run_keep_read(&keep) != 0)
                return;
        for (size_t i = 0; i < keep->n_targets; i++)
                (void)select_check(keep->targets[i]);
        if (select_kept(&world, keep, true, &found, &problems) < 0)
                return;
        EXPECT(found.n <= 1);
        for (size_t i = 0; i < problems.n_notes; i++)
                EXPECT(!strchr(problems.notes[i].text, '\n'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const Config config = {.store = "/store"};
        Part payload = {data, size};
        uint8_t which = part_byte(&payload), kind = which & 7;
        bool whole = which & 8;
        Store store;

        cell_enter(false);
        cell_put("/proc/cpuinfo", "flags\t\t: fpu sse2 avx\n", 22);
        cell_put("/run/utmp", "", 0);
        EXPECT(store_open(&config, &store) >= 0);
        EXPECT(make_dirs("/run/carryover", 0700) >= 0 && make_dirs("/store/save/t", 0700) >= 0);
        switch (kind) {
        case CODEC_EARLY:
                read_early(whole, payload);
                break;
        case CODEC_REQUEST:
                put("/run/carryover/request", CODEC_REQUEST, whole, payload);
                read_request();
                break;
        case CODEC_KEEP:
                put("/run/carryover/keep", CODEC_KEEP, whole, payload);
                read_keep();
                break;
        case CODEC_TREE:
                put("/store/save/t/done", CODEC_TREE, whole, payload);
                read_tree(&store);
                break;
        default:
                put("/store/ticket", CODEC_TICKET, whole, payload);
                read_ticket(&store);
        }
        store_close(&store);
        cell_leave();
        return 0;
}
