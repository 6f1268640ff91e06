/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Samples are made here, entry by entry, as CRIU 3.17.1 up to 4.2.1 write them; then they are cut at every
 * length and altered at every byte. A cut between two entries of a file that has nothing but entries cannot
 * be seen by any reader; all others must be. */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "image/image.h"
#include "image/internal.h"
#include "model/model.h"
#include "tests/unit/syncs.h"

#include "criu-image.pb-c.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define COMMON     0x54564319u
#define INVENTORY  0x58313116u
#define PSTREE     0x50273030u
#define FILES      0x56303138u
#define CORE       0x55053847u
#define TTY_INFO   0x59453036u
#define TCP_STREAM 0x51465506u
#define PAGEMAP    0x56084025u
#define PIPES_DATA 0x56453709u
#define GHOST_FILE 0x52583605u
#define SK_QUEUES  0x56264026u

#define MASTER_RDEV 0x502u  /* 5:2 */
#define SLAVE_RDEV  0x8803u /* 136:3 */

/* A field that no schema of ours knows: number 1000, bytes "lossless". */
static const uint8_t unknown[] = {0xc2, 0x3e, 8, 'l', 'o', 's', 's', 'l', 'e', 's', 's'};

typedef struct Bytes {
        uint8_t data[65536];
        size_t n;
        size_t boundary[64]; /* where an entry ends */
        size_t n_boundaries;
} Bytes;

static Bytes bytes;

static void put(const void *data, size_t n) {
        assert_true(n <= sizeof bytes.data - bytes.n);
        memcpy(bytes.data + bytes.n, data, n);
        bytes.n += n;
}

static void put_u32(uint32_t value) {
        put(&value, sizeof value);
}

static void boundary(void) {
        bytes.boundary[bytes.n_boundaries++] = bytes.n;
}

static void begin(uint32_t magic) {
        bytes.n = bytes.n_boundaries = 0;
        if (magic != INVENTORY)
                put_u32(COMMON);
        put_u32(magic);
        boundary();
}

static void put_entry(const void *message) {
        const ProtobufCMessage *m = message;
        size_t n = protobuf_c_message_get_packed_size(m);
        uint8_t packed[4096];

        assert_true(n <= sizeof packed);
        protobuf_c_message_pack(m, packed);
        put_u32((uint32_t)(n + sizeof unknown));
        put(packed, n);
        put(unknown, sizeof unknown);
        boundary();
}

static void end(int fd, const char *name) {
        assert_int_equal(file_replace(fd, name, bytes.data, bytes.n), 0);
}

static void make_pstree(int fd) {
        uint32_t threads[] = {100, 107};
        uint32_t zombie[] = {734160288}; /* as seen: CRIU leaves what was in its memory */
        ImgPstree root = IMG_PSTREE__INIT, child = IMG_PSTREE__INIT;

        root.pid = root.pgid = root.sid = 100;
        root.n_threads = 2;
        root.threads = threads;
        child.pid = 103;
        child.ppid = 100;
        child.pgid = 102; /* a leader that is dead */
        child.sid = 100;
        child.n_threads = 1;
        child.threads = zombie;
        begin(PSTREE);
        put_entry(&root);
        put_entry(&child);
        end(fd, "pstree.img");
}

static void make_core(int fd, const char *name) {
        ImgFile any = IMG_FILE__INIT; /* the checks know no more of a core than that it is protobuf */

        begin(CORE);
        put_entry(&any);
        end(fd, name);
}

static void put_socket(uint32_t family, uint32_t state, uint32_t ino, uint32_t *local, uint32_t *remote) {
        ImgInetSocket inet = IMG_INET_SOCKET__INIT;
        ImgFile file = IMG_FILE__INIT;

        file.type = 4;
        file.id = ino;
        file.inet = &inet;
        inet.ino = ino;
        inet.family = family;
        inet.proto = IPPROTO_TCP;
        inet.state = state;
        inet.local_port = 22;
        inet.remote_port = 40000 + ino;
        inet.n_local = inet.n_remote = family == AF_INET ? 1 : 4;
        inet.local = local;
        inet.remote = remote;
        put_entry(&file);
}

/* A connection, a listener, and a connection whose peer has nothing more to say. */
static void put_sockets(void) {
        uint32_t v4[2] = {htonl(0xc0000201), htonl(0xc0000202)}, any[1] = {0},
                 v6[2][4] = {{htonl(0x20010db8), 0, 0, htonl(1)}, {htonl(0x20010db8), 0, 0, htonl(2)}};

        put_socket(AF_INET6, TCP_ESTABLISHED, 0x1f, v6[0], v6[1]);
        put_socket(AF_INET, TCP_ESTABLISHED, 0x1f, v4, v4 + 1);
        put_socket(AF_INET, TCP_LISTEN, 0x20, any, any);
        put_socket(AF_INET, TCP_CLOSE_WAIT, 0x21, v4, v4 + 1);
}

static void make_files(int fd) {
        ImgRegFile reg = IMG_REG_FILE__INIT;
        ImgFile file = IMG_FILE__INIT;

        begin(FILES);
        file.type = 1;
        file.id = 1;
        reg.id = 1;
        reg.name = (char *)"/dev/pts/3";
        file.reg = &reg;
        put_entry(&file);
        file.id = reg.id = 2;
        reg.name = (char *)"/dev/pts/33";
        put_entry(&file);
        file.reg = NULL;
        file.type = 2;
        file.id = 3;
        put_entry(&file);
        put_sockets();
        end(fd, "files.img");
}

static void make_tty(int fd) {
        ImgTtyPty pty = IMG_TTY_PTY__INIT;
        ImgTtyInfo info = IMG_TTY_INFO__INIT;

        begin(TTY_INFO);
        info.pty = &pty;
        info.type = 1;
        info.id = 1;
        info.rdev = MASTER_RDEV;
        pty.index = 3;
        put_entry(&info);
        info.id = 2;
        info.rdev = SLAVE_RDEV;
        info.sid = 100;
        put_entry(&info);
        info.id = 3;
        info.sid = 0;
        info.rdev = MASTER_RDEV;
        pty.index = 0;
        put_entry(&info);
        info.id = 4;
        info.type = 5; /* external: its master is elsewhere */
        pty.index = 9;
        put_entry(&info);
        end(fd, "tty-info.img");
}

static void make_tcp(int fd, const char *name, uint32_t mask, uint32_t timestamp) {
        ImgTcpStream s = IMG_TCP_STREAM__INIT;

        s.inq_len = 5;
        s.inq_seq = 0xfffffffe;
        s.outq_seq = 17;
        s.outq_len = 3;
        s.has_unsq_len = true;
        s.unsq_len = 1;
        s.opt_mask = mask;
        if (mask & TCPI_OPT_WSCALE) {
                s.snd_wscale = s.rcv_wscale = 7;
                s.has_rcv_wscale = true;
        }
        if (mask & TCPI_OPT_TIMESTAMPS) {
                s.has_timestamp = true;
                s.timestamp = timestamp;
        }
        begin(TCP_STREAM);
        put_entry(&s);
        bytes.n_boundaries = 0; /* the queues must follow */
        put("inputout", 8);
        end(fd, name);
}

/* One run as 3.17.1 writes it, one as 4.x does, one that is in a parent. */
static void make_pages(int fd) {
        size_t size = 3 * (size_t)sysconf(_SC_PAGESIZE);
        _cleanup_(freep) char *pages = calloc(1, size);
        ImgPagemapHead head = IMG_PAGEMAP_HEAD__INIT;
        ImgPagemap run = IMG_PAGEMAP__INIT;

        assert_non_null(pages);
        head.pages_id = 1;
        begin(PAGEMAP);
        put_entry(&head);
        run.vaddr = 0x1000;
        run.compat_nr_pages = 2;
        put_entry(&run);
        run.has_flags = run.has_nr_pages = true;
        run.flags = 4;
        run.compat_nr_pages = 0;
        run.nr_pages = 1;
        put_entry(&run);
        bytes.n_boundaries = 0; /* pages of a lost run are missed */
        boundary();
        run.flags = 1; /* except of one that is in the parent */
        run.nr_pages = 12;
        put_entry(&run);
        end(fd, "pagemap-100.img");
        assert_int_equal(file_replace(fd, "pages-1.img", pages, size), 0);
}

static void make_queues(int fd) {
        ImgPipeData pipe = IMG_PIPE_DATA__INIT;
        ImgPacket packet = IMG_PACKET__INIT;

        begin(PIPES_DATA);
        pipe.pipe_id = 77;
        pipe.bytes = 4;
        put_entry(&pipe);
        bytes.n_boundaries--;
        put("data", 4);
        boundary();
        end(fd, "pipes-data.img");
        begin(SK_QUEUES);
        packet.id_for = 5;
        packet.length = 6;
        put_entry(&packet);
        put("packet", 6);
        end(fd, "sk-queues.img");
}

static void make_scm(int fd) {
        ImgScm rights = IMG_SCM__INIT, *scm[] = {&rights};
        ImgPacket packet = IMG_PACKET__INIT;

        rights.type = 1;
        packet.scm = scm;
        packet.n_scm = 1;
        begin(SK_QUEUES);
        put_entry(&packet);
        end(fd, "sk-queues.img");
}

static void make_ghosts(int fd) {
        ImgGhost ghost = IMG_GHOST__INIT;
        ImgGhostChunk chunk = IMG_GHOST_CHUNK__INIT;

        ghost.mode = S_IFREG | 0644;
        begin(GHOST_FILE);
        put_entry(&ghost);
        put("contents", 8);
        end(fd, "ghost-file-2.img");
        ghost.has_chunks = ghost.chunks = true;
        begin(GHOST_FILE);
        put_entry(&ghost);
        chunk.len = 4;
        put_entry(&chunk);
        bytes.n_boundaries--;
        put("some", 4);
        boundary();
        end(fd, "ghost-file-1a.img");
}

static void make_images(int fd) {
        ImgFile any = IMG_FILE__INIT;

        begin(INVENTORY);
        put_entry(&any);
        end(fd, "inventory.img");
        make_pstree(fd);
        make_core(fd, "core-100.img");
        make_core(fd, "core-103.img");
        make_core(fd, "core-107.img");
        make_files(fd);
        make_tty(fd);
        make_tcp(fd, "tcp-stream-1f.img", TCPI_OPT_TIMESTAMPS | TCPI_OPT_WSCALE, 1000);
        make_pages(fd);
        make_queues(fd);
        make_ghosts(fd);
        begin(0x12345678); /* of a CRIU that is not written yet */
        put_entry(&any);
        end(fd, "novelty.img");
}

static char path[32];
static int dir;

static int set_up(void **state) {
        strcpy(path, "/tmp/carryover-test-XXXXXX");
        if (!mkdtemp(path))
                return -1;
        dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        make_images(dir);
        return 0;
}

static int tear_down(void **state) {
        close(dir);
        return file_remove_tree(AT_FDCWD, path);
}

static void test_verify(void **state) {
        assert_int_equal(image_verify(dir), 0);
}

static void test_missing(void **state) {
        static const char *const names[] = {"inventory.img", "pstree.img",   "files.img",
                                            "core-107.img",  "core-103.img", "pages-1.img"};

        for (size_t i = 0; i < ELEMENTS(names); i++) {
                assert_int_equal(renameat(dir, names[i], dir, "aside"), 0);
                assert_int_equal(image_verify(dir), -EBADMSG);
                assert_non_null(strstr(err_text(-EBADMSG), names[i]));
                assert_int_equal(renameat(dir, "aside", dir, names[i]), 0);
        }
        assert_int_equal(image_verify(dir), 0);
}

static void test_wrong_type(void **state) {
        make_core(dir, "tty-info.img");
        assert_int_equal(image_verify(dir), -EBADMSG);
        make_tty(dir);
        assert_int_equal(symlinkat("core-100.img", dir, "core-200.img"), 0);
        assert_true(image_verify(dir) < 0);
}

static void test_pages(void **state) {
        _cleanup_(closep) int fd = openat(dir, "pages-1.img", O_RDWR | O_CLOEXEC);

        assert_int_equal(ftruncate(fd, 2 * sysconf(_SC_PAGESIZE)), 0);
        assert_int_equal(image_verify(dir), -EBADMSG);
        assert_int_equal(ftruncate(fd, 3 * sysconf(_SC_PAGESIZE) + 1), 0);
        assert_int_equal(image_verify(dir), -EBADMSG);
        assert_int_equal(ftruncate(fd, 3 * sysconf(_SC_PAGESIZE)), 0);
        assert_int_equal(image_verify(dir), 0);
}

static void test_pids(void **state) {
        static const uint32_t expected[] = {100, 102, 103, 107};
        _cleanup_(freep) uint32_t *pids = NULL;
        size_t n;

        assert_int_equal(image_pids(dir, &pids, &n), 0);
        assert_int_equal(n, ELEMENTS(expected));
        assert_memory_equal(pids, expected, sizeof expected);
}

static void test_processes(void **state) {
        _cleanup_(freep) uint32_t *pids = NULL;
        size_t n;

        assert_int_equal(image_processes(dir, &pids, &n), 0);
        assert_true(image_has_number(pids, n, 100));
        assert_false(image_has_number(pids, n, 102)); /* a group */
        assert_false(image_has_number(pids, 0, 100));
}

static void test_root(void **state) {
        uint32_t pid, sid;

        assert_int_equal(image_root(dir, &pid, &sid), 0);
        assert_int_equal(pid, 100);
        assert_int_equal(sid, 100);
        begin(PSTREE);
        end(dir, "pstree.img");
        assert_int_equal(image_root(dir, &pid, &sid), -EBADMSG);
}

static void test_pids_out_of_range(void **state) {
        ImgPstree p = IMG_PSTREE__INIT;
        uint32_t *pids;
        size_t n;

        p.pid = 4194305;
        begin(PSTREE);
        put_entry(&p);
        end(dir, "pstree.img");
        assert_int_equal(image_pids(dir, &pids, &n), -EBADMSG);
        p.pid = 0;
        begin(PSTREE);
        put_entry(&p);
        end(dir, "pstree.img");
        assert_int_equal(image_pids(dir, &pids, &n), -EBADMSG);
}

static void masters_are(uint32_t a, uint32_t b) {
        _cleanup_(freep) ImageTerminal *terminals = NULL;
        size_t n;

        assert_int_equal(image_terminals(dir, &terminals, &n), 0);
        assert_int_equal(n, 2);
        assert_int_equal(terminals[0].index, a);
        assert_int_equal(terminals[1].index, b);
}

static size_t occurrences(const char *name, const char *what, size_t size) {
        _cleanup_(freep) char *data = NULL;
        size_t n, found = 0;

        assert_int_equal(file_slurp(dir, name, 1u << 20, &data, &n), 0);
        for (size_t i = 0; i + size <= n; i++)
                found += memcmp(data + i, what, size) == 0;
        return found;
}

static void test_move_pty(void **state) {
        masters_are(3, 0);
        assert_int_equal(image_move_pty(dir, 9, 10), -ENOENT); /* external */
        assert_int_equal(image_move_pty(dir, 3, 0), -EEXIST);
        syncs = 0;
        assert_int_equal(image_move_pty(dir, 3, 17), 0);
        assert_int_equal(syncs, 4); /* of a restore: two files and their directory */
        masters_are(17, 0);
        assert_int_equal(occurrences("files.img", "/dev/pts/17", 11), 1);
        assert_int_equal(occurrences("files.img", "/dev/pts/3", 10), 1); /* of 33 */
        assert_int_equal(occurrences("files.img", "/dev/pts/33", 11), 1);
        assert_int_equal(occurrences("files.img", "lossless", 8), 7);
        assert_int_equal(occurrences("tty-info.img", "lossless", 8), 4);
        assert_int_equal(image_move_pty(dir, 3, 17), -ENOENT);
        assert_int_equal(image_verify(dir), 0);
}

/* Each master, once, with the leader whose terminal its slave is. */
static void test_terminals(void **state) {
        _cleanup_(freep) ImageTerminal *terminals = NULL;
        size_t n;

        assert_int_equal(image_terminals(dir, &terminals, &n), 0);
        assert_int_equal(n, 2);
        assert_int_equal(terminals[0].index, 3);
        assert_int_equal(terminals[0].leader, 100);
        assert_int_equal(terminals[1].index, 0);
        assert_int_equal(terminals[1].leader, 0);
}

/* A crash after the first of the two files: the second run does the rest. */
static void test_move_pty_again(void **state) {
        assert_int_equal(image_move_pty(dir, 3, 17), 0);
        make_tty(dir);
        assert_int_equal(image_move_pty(dir, 3, 17), 0);
        masters_are(17, 0);
        assert_int_equal(occurrences("files.img", "/dev/pts/17", 11), 1);
}

/* A session on pts/3 in which a foreground program has /dev/tty open, declared external at the dump. */
static void make_ctty(int fd, uint32_t sid) {
        ImgTtyPty pty = IMG_TTY_PTY__INIT;
        ImgTtyInfo info = IMG_TTY_INFO__INIT;
        ImgTtyFile tty = IMG_TTY_FILE__INIT;
        ImgFown fown = IMG_FOWN__INIT;
        ImgFile file = IMG_FILE__INIT;

        begin(TTY_INFO);
        info.id = 2;
        info.type = 1;
        info.rdev = SLAVE_RDEV;
        info.sid = 100;
        info.pty = &pty;
        pty.index = 3;
        put_entry(&info);
        info.id = 5;
        info.type = 5;
        info.rdev = 0x500; /* 5:0 */
        info.sid = sid;
        info.pty = NULL;
        put_entry(&info);
        end(fd, "tty-info.img");

        begin(FILES);
        file.type = 11;
        file.id = tty.id = 41;
        file.tty = &tty;
        tty.fown = &fown;
        tty.tty_info_id = 5;
        put_entry(&file);
        end(fd, "files.img");
}

static void test_fix_ctty(void **state) {
        assert_int_equal(image_fix_terminals(dir), 0); /* nothing of the kind */
        make_ctty(dir, 100);
        assert_int_equal(image_fix_terminals(dir), 1);
        assert_int_equal(occurrences("files.img", "/dev/pts/3", 10), 1);
        assert_int_equal(occurrences("files.img", "lossless", 8), 1);
        assert_int_equal(image_verify(dir), 0);
        assert_int_equal(image_fix_terminals(dir), 0);
        assert_int_equal(occurrences("files.img", "/dev/pts/3", 10), 1);
}

static void test_fix_ctty_without_terminal(void **state) {
        make_ctty(dir, 77);
        assert_int_equal(image_fix_terminals(dir), -ENOENT);
        assert_int_equal(occurrences("files.img", "/dev/pts", 8), 0);
}

static void test_impossible_terminal(void **state) {
        _cleanup_(freep) ImageTerminal *terminals = NULL;
        ImgTtyInfo info = IMG_TTY_INFO__INIT;
        ImgTtyPty pty = IMG_TTY_PTY__INIT;
        size_t n;

        begin(TTY_INFO);
        info.pty = &pty;
        info.type = 1;
        info.id = 1;
        info.rdev = MASTER_RDEV;
        pty.index = IMAGE_PTY_MAX;
        put_entry(&info);
        end(dir, "tty-info.img");
        assert_int_equal(image_terminals(dir, &terminals, &n), 0);
        assert_int_equal(n, 1);
        begin(TTY_INFO);
        pty.index = IMAGE_PTY_MAX + 1;
        put_entry(&info);
        end(dir, "tty-info.img");
        assert_int_equal(image_terminals(dir, &(ImageTerminal *){NULL}, &n), -EBADMSG);
}

static void test_no_tty(void **state) {
        _cleanup_(freep) ImageTerminal *terminals = NULL;
        size_t n = 7;

        assert_int_equal(unlinkat(dir, "tty-info.img", 0), 0);
        assert_int_equal(image_terminals(dir, &terminals, &n), 0);
        assert_int_equal(n, 0);
        assert_int_equal(image_move_pty(dir, 3, 4), -ENOENT);
}

static ImgTcpStream *tcp_of(const char *name) {
        _cleanup_(freep) char *data = NULL;
        ImgTcpStream *stream;
        uint32_t length;
        size_t n;

        assert_int_equal(file_slurp(dir, name, 65536, &data, &n), 0);
        memcpy(&length, data + 8, 4);
        stream = img_tcp_stream__unpack(NULL, length, (uint8_t *)data + 12);
        assert_non_null(stream);
        assert_int_equal(n, 12 + length + 8);
        assert_memory_equal(data + 12 + length, "inputout", 8);
        return stream;
}

static void test_fix_tcp(void **state) {
        ImgTcpStream *s;

        assert_int_equal(image_fix_tcp(dir), 0);
        make_tcp(dir, "tcp-stream-1f.img", TCPI_OPT_TIMESTAMPS | TCPI_OPT_WSCALE, 1001);
        make_tcp(dir, "tcp-stream-20.img", 0, 0);
        make_tcp(dir, "tcp-stream-21.img", TCPI_OPT_SACK | TCPI_OPT_WSCALE, 0);
        assert_int_equal(image_fix_tcp(dir), 2);
        assert_int_equal(image_fix_tcp(dir), 0);

        s = tcp_of("tcp-stream-1f.img");
        assert_int_equal(s->timestamp, 1000);
        assert_int_equal(s->snd_wscale, 7);
        model_free(s);
        s = tcp_of("tcp-stream-20.img");
        assert_int_equal(s->opt_mask, TCPI_OPT_WSCALE);
        assert_true(s->has_rcv_wscale);
        assert_int_equal(s->rcv_wscale, 0);
        assert_false(s->has_timestamp);
        model_free(s);
        assert_int_equal(occurrences("tcp-stream-20.img", "lossless", 8), 1);
        assert_int_equal(image_verify(dir), 0);
}

static void test_streams(void **state) {
        static const uint8_t v4[16] = {[10] = 0xff, 0xff, 192, 0, 2, 2},
                             v6[16] = {0x20, 1, 0xd, 0xb8, [15] = 2};
        _cleanup_(freep) PeerStream *streams = NULL, *noted = NULL;
        Tree tree = TREE__INIT;
        size_t n, n_noted;

        assert_int_equal(image_streams(dir, &streams, &n), 0);
        assert_int_equal(n, 2);
        assert_memory_equal(streams[0].remote, v6, 16);
        assert_memory_equal(streams[1].remote, v4, 16);
        assert_int_equal(streams[1].local[15], 1);
        assert_int_equal(streams[1].local_port, 22);
        assert_int_equal(streams[1].remote_port, 40031);
        assert_int_equal(streams[1].received, 0xfffffffe);
        assert_int_equal(streams[1].sent, 16); /* of three bytes in the queue one was never sent */
        assert_int_equal(streams[1].acked, 14);

        assert_int_equal(image_streams_noted(&tree, &noted, &n_noted), 1);
        assert_int_equal(image_streams_note(dir, &tree), 0);
        assert_int_equal(image_streams_note(dir, &tree), 0); /* another look */
        assert_int_equal(image_streams_noted(&tree, &noted, &n_noted), 0);
        assert_int_equal(n_noted, n);
        assert_memory_equal(noted, streams, n * sizeof *streams);
        tree.traces->streams[0]->remote_port = 65536;
        free(TAKE(noted));
        assert_int_equal(image_streams_noted(&tree, &noted, &n_noted), -EBADMSG);
        model_free(tree.traces);

        assert_int_equal(unlinkat(dir, "tcp-stream-1f.img", 0), 0);
        assert_int_equal(image_streams(dir, &streams, &n), -EBADMSG);
}

/* An address of another family's size, and a port that there is not. */
static void test_streams_out_of_range(void **state) {
        uint32_t address[4] = {0};
        ImgInetSocket inet = IMG_INET_SOCKET__INIT;
        ImgFile file = IMG_FILE__INIT;
        PeerStream *streams;
        size_t n;

        file.inet = &inet;
        inet.family = AF_INET;
        inet.proto = IPPROTO_TCP;
        inet.state = TCP_ESTABLISHED;
        inet.ino = 0x1f;
        inet.local = inet.remote = address;
        for (int i = 0; i < 3; i++) {
                inet.n_local = i == 0 ? 4 : 1;
                inet.n_remote = i == 1 ? 0 : 1;
                inet.remote_port = i == 2 ? 65536 : 1;
                begin(FILES);
                put_entry(&file);
                end(dir, "files.img");
                assert_int_equal(image_streams(dir, &streams, &n), -EBADMSG);
        }
}

/* Everything that reads images, over whatever lies there. */
static int read_all(void) {
        _cleanup_(freep) ImageTerminal *terminals = NULL;
        _cleanup_(freep) uint32_t *pids = NULL;
        _cleanup_(freep) PeerStream *streams = NULL;
        int r = image_verify(dir);
        size_t n;

        (void)image_streams(dir, &streams, &n);
        (void)image_pids(dir, &pids, &n);
        (void)image_terminals(dir, &terminals, &n);
        (void)image_move_pty(dir, 3, 3); /* reads, and changes nothing */
        return r;
}

static bool is_boundary(size_t n) {
        for (size_t i = 0; i < bytes.n_boundaries; i++)
                if (bytes.boundary[i] == n)
                        return true;
        return false;
}

static void write_plain(const char *name, const void *data, size_t n) {
        _cleanup_(closep) int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(fd_write_all(fd, data, n), 0);
}

/* `bytes` holds the file that was made last. */
static void mistreat(const char *name) {
        static const uint8_t flips[] = {0x01, 0x80, 0xff};
        Bytes whole = bytes;

        for (size_t n = 0; n < whole.n; n++) {
                write_plain(name, whole.data, n);
                if (!is_boundary(n) && read_all() != -EBADMSG)
                        fail_msg("%s cut to %zu of %zu bytes is taken for whole", name, n, whole.n);
                (void)image_fix_tcp(dir);
        }
        for (size_t i = 0; i < whole.n; i++)
                for (size_t f = 0; f < ELEMENTS(flips); f++) {
                        whole.data[i] ^= flips[f];
                        write_plain(name, whole.data, whole.n);
                        if (read_all() == 0 && i < 8)
                                fail_msg("%s with byte %zu altered is taken for whole", name, i);
                        whole.data[i] ^= flips[f];
                }
        write_plain(name, whole.data, whole.n);
        assert_int_equal(image_verify(dir), 0);
}

static void test_mistreat(void **state) {
        make_pstree(dir);
        mistreat("pstree.img");
        make_files(dir);
        mistreat("files.img");
        make_tty(dir);
        mistreat("tty-info.img");
        make_tcp(dir, "tcp-stream-1f.img", TCPI_OPT_TIMESTAMPS | TCPI_OPT_WSCALE, 1000);
        mistreat("tcp-stream-1f.img");
        make_core(dir, "core-103.img");
        mistreat("core-103.img");
}

static void test_mistreat_data(void **state) {
        make_pages(dir);
        mistreat("pagemap-100.img");
        make_queues(dir); /* the last of them is sk-queues */
        bytes.boundary[0] = 8;
        bytes.n_boundaries = 1;
        mistreat("sk-queues.img");
        make_scm(dir);
        assert_int_equal(image_verify(dir), -EPERM);
        assert_non_null(strstr(err_text(-EPERM), "unread messages that carry open files"));
        make_queues(dir);
        make_ghosts(dir);
        mistreat("ghost-file-1a.img");
}

static void test_empty(void **state) {
        _cleanup_(closep) int fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        uint32_t *pids;
        size_t n;

        assert_int_equal(image_verify(fd), -EBADMSG);
        assert_int_equal(image_pids(fd, &pids, &n), -ENOENT);
        assert_int_equal(image_fix_tcp(fd), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_verify, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_missing, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_wrong_type, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_pages, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_pids, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_processes, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_root, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_pids_out_of_range, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_move_pty, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_move_pty_again, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_terminals, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_fix_ctty, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_fix_ctty_without_terminal, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_impossible_terminal, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_no_tty, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_fix_tcp, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_streams, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_streams_out_of_range, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_mistreat, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_mistreat_data, set_up, tear_down),
                        cmocka_unit_test(test_empty),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
