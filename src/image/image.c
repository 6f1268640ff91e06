/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Reading and correcting images. A file in which nothing changes is not written. Where one correction
 * touches two files, the one that says "done" comes last, so that a second run after a crash finds the rest
 * of the work.
 */

#include "image/image.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "image/internal.h"
#include "model/model.h"

#include "criu-image.pb-c.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TTY_TYPE_PTY 1u /* other types are not made anew by CRIU */

typedef struct Numbers {
        uint32_t *value;
        size_t n;
} Numbers;

static void numbers_done(Numbers *numbers) {
        free(numbers->value);
}

static int compare_numbers(const void *a, const void *b) {
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return (x > y) - (x < y);
}

/* Sorted, each once; never NULL. */
static int numbers_finish(Numbers *numbers, uint32_t **ret, size_t *ret_n) {
        size_t n = 0;

        if (!numbers->value && !(numbers->value = malloc(sizeof *numbers->value)))
                return -ENOMEM;
        qsort(numbers->value, numbers->n, sizeof *numbers->value, compare_numbers);
        for (size_t i = 0; i < numbers->n; i++)
                if (n == 0 || numbers->value[n - 1] != numbers->value[i])
                        numbers->value[n++] = numbers->value[i];
        *ret_n = n;
        *ret = TAKE(numbers->value);
        return 0;
}

static int add_id(Numbers *numbers, uint32_t id) {
        if (id > PID_MAX)
                return -EBADMSG;
        if (id == 0)
                return 0; /* a group or session outside of the PID namespace */
        return model_append(numbers->value, numbers->n, id);
}

/* The first thread is the process itself, and CRIU neither sets (of a zombie) nor reads its number there. */
static int add_ids(const ProtobufCMessage *message, void *userdata) {
        const ImgPstree *p = (const ImgPstree *)message;
        const uint32_t ids[] = {p->pid, p->pgid, p->sid};
        int r = p->pid == 0 ? -EBADMSG : 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTS(ids); i++)
                r = add_id(userdata, ids[i]);
        for (size_t i = 1; r >= 0 && i < p->n_threads; i++)
                r = add_id(userdata, p->threads[i]);
        return r;
}

static int add_process(const ProtobufCMessage *message, void *userdata) {
        return add_id(userdata, ((const ImgPstree *)message)->pid);
}

static int pstree_numbers(int images_fd, int (*each)(const ProtobufCMessage *message, void *userdata),
                          uint32_t **ret, size_t *ret_n) {
        _cleanup_(numbers_done) Numbers numbers = {0};
        int r;

        r = image_each_message(images_fd, "pstree.img", IMAGE_PSTREE, &img_pstree__descriptor, each,
                               &numbers);
        if (r == -ENOENT)
                return err_say(r, "image pstree.img is missing");
        if (r < 0)
                return err_pass(r);
        return numbers_finish(&numbers, ret, ret_n);
}

int image_pids(int images_fd, uint32_t **ret, size_t *ret_n) {
        return pstree_numbers(images_fd, add_ids, ret, ret_n);
}

int image_processes(int images_fd, uint32_t **ret, size_t *ret_n) {
        return pstree_numbers(images_fd, add_process, ret, ret_n);
}

static int add_open(const ProtobufCMessage *message, void *userdata) {
        Numbers *numbers = userdata;

        return model_append(numbers->value, numbers->n, ((const ImgFdinfo *)message)->id);
}

static int add_table(int images_fd, const char *name, void *userdata) {
        return image_each_message(images_fd, name, IMAGE_FDINFO, &img_fdinfo__descriptor, add_open,
                                  userdata);
}

int image_open_files(int images_fd, uint32_t **ret, size_t *ret_n) {
        _cleanup_(numbers_done) Numbers numbers = {0};
        int r = image_each(images_fd, "fdinfo-", ".img", add_table, &numbers);

        return r < 0 ? err_pass(r) : numbers_finish(&numbers, ret, ret_n);
}

bool image_has_number(const uint32_t *sorted, size_t n, uint32_t number) {
        return bsearch(&number, sorted, n, sizeof number, compare_numbers);
}

/* CRIU writes the root first. */
int image_root(int images_fd, uint32_t *ret_pid, uint32_t *ret_sid) {
        _cleanup_(image_message_freep) ProtobufCMessage *message = NULL;
        const ImgPstree *root;
        int r;

        r = image_first_message(images_fd, "pstree.img", IMAGE_PSTREE, &img_pstree__descriptor, &message);
        if (r < 0)
                return err_pass(r);
        root = (const ImgPstree *)message;
        if (root->pid == 0 || root->pid > PID_MAX || root->sid > PID_MAX)
                return err_say(-EBADMSG, "image pstree.img is damaged: a number is out of range");
        *ret_pid = root->pid;
        *ret_sid = root->sid;
        return 0;
}

typedef struct Move {
        uint32_t from, to;
        char from_path[32];
        char *to_path;
} Move;

static int move_path(ProtobufCMessage *message, const void *userdata) {
        ImgFile *file = (ImgFile *)message;
        const Move *move = userdata;
        char *name;

        if (!file->reg || strcmp(file->reg->name, move->from_path) != 0)
                return 0;
        name = strdup(move->to_path);
        if (!name)
                return -ENOMEM;
        free(file->reg->name);
        file->reg->name = name;
        return 1;
}

static int move_index(ProtobufCMessage *message, const void *userdata) {
        ImgTtyInfo *info = (ImgTtyInfo *)message;
        const Move *move = userdata;

        if (info->type != TTY_TYPE_PTY || !info->pty || info->pty->index != move->from)
                return 0;
        info->pty->index = move->to;
        return 1;
}

/* Finds how many ends have the old and the new index. */
static int count_ends(const ProtobufCMessage *message, void *userdata) {
        const ImgTtyInfo *info = (const ImgTtyInfo *)message;
        struct {
                uint32_t from, to;
                size_t n_from, n_to;
        } *count = userdata;

        if (info->type == TTY_TYPE_PTY && info->pty) {
                count->n_from += info->pty->index == count->from;
                count->n_to += info->pty->index == count->to;
        }
        return 0;
}

int image_move_pty(int images_fd, uint32_t from, uint32_t to) {
        struct {
                uint32_t from, to;
                size_t n_from, n_to;
        } count = {.from = from, .to = to};
        char to_path[32];
        Move move = {.from = from, .to = to, .to_path = to_path};
        int r;

        if (from > IMAGE_PTY_MAX || to > IMAGE_PTY_MAX)
                return err_say(-EINVAL, "terminal pts/%u does not exist", from > IMAGE_PTY_MAX ? from : to);
        snprintf(move.from_path, sizeof move.from_path, "/dev/pts/%u", from);
        snprintf(to_path, sizeof to_path, "/dev/pts/%u", to);

        r = image_each_message(images_fd, "tty-info.img", IMAGE_TTY_INFO, &img_tty_info__descriptor,
                               count_ends, &count);
        if (r < 0 && r != -ENOENT)
                return err_pass(r);
        if (count.n_from == 0)
                return err_say(-ENOENT, "the images do not contain terminal pts/%u", from);
        if (from == to)
                return 0;
        if (count.n_to > 0)
                return err_say(-EEXIST, "the images already contain terminal pts/%u", to);

        r = image_rewrite_durably(images_fd, "files.img", IMAGE_FILES, &img_file__descriptor, move_path,
                                  &move);
        if (r < 0 && r != -ENOENT)
                return err_pass(r);
        r = image_rewrite_durably(images_fd, "tty-info.img", IMAGE_TTY_INFO, &img_tty_info__descriptor,
                                  move_index, &move);
        return r < 0 ? err_pass(r) : 0;
}

typedef struct Watches {
        int (*each)(const char *path, uint64_t ino, void *userdata);
        void *userdata;
} Watches;

static int give_watches(const ProtobufCMessage *message, void *userdata) {
        const ImgInotify *ify = ((const ImgFile *)message)->ify;
        const Watches *watches = userdata;
        int r = 0;

        for (size_t i = 0; r >= 0 && ify && i < ify->n_wd; i++)
                if (ify->wd[i]->f_handle->path)
                        r = watches->each(ify->wd[i]->f_handle->path, ify->wd[i]->i_ino, watches->userdata);
        return r;
}

int image_watches(int images_fd, int (*each)(const char *path, uint64_t ino, void *userdata),
                  void *userdata) {
        Watches watches = {each, userdata};

        return image_each_message(images_fd, "files.img", IMAGE_FILES, &img_file__descriptor, give_watches,
                                  &watches);
}

/* Whether it had to be changed. */
static bool fix_stream(ImgTcpStream *stream) {
        bool changed = false;

        if (!(stream->opt_mask & TCPI_OPT_WSCALE)) {
                stream->opt_mask |= TCPI_OPT_WSCALE;
                stream->snd_wscale = 0;
                stream->has_rcv_wscale = true;
                stream->rcv_wscale = 0;
                changed = true;
        }
        if (stream->has_timestamp && stream->timestamp & 1) {
                stream->timestamp &= ~UINT32_C(1);
                changed = true;
        }
        return changed;
}

int image_change_stream(int images_fd, const char *name, bool (*change)(ImgTcpStream *stream)) {
        _cleanup_(image_message_freep) ProtobufCMessage *message = NULL;
        _cleanup_(image_writer_done) ImageWriter writer = {0};
        _cleanup_(image_close) Image image = {0};
        const ImgTcpStream *stream;
        int r;

        r = image_open(images_fd, name, &image);
        if (r < 0)
                return r;
        r = image_expect(&image, IMAGE_TCP_STREAM);
        if (r >= 0)
                r = image_next_message(&image, &img_tcp_stream__descriptor, &message);
        if (r > 0)
                return image_bad(&image, "it is empty");
        if (r < 0)
                return err_pass(r);
        stream = (const ImgTcpStream *)message;
        if (image_left(&image) != (uint64_t)stream->inq_len + stream->outq_len)
                return image_bad(&image, "its queues do not have the recorded length");
        if (!change((ImgTcpStream *)message))
                return 0;
        r = image_put_head(&writer, IMAGE_TCP_STREAM);
        if (r >= 0)
                r = image_put_message(&writer, message);
        if (r >= 0)
                r = image_put_rest(&writer, &image);
        if (r >= 0)
                r = file_replace_early(images_fd, name, writer.data, writer.size);
        return r < 0 ? err_pass(r) : 1;
}

static int fix_tcp_file(int images_fd, const char *name, void *userdata) {
        int *changed = userdata, r = image_change_stream(images_fd, name, fix_stream);

        if (r < 0)
                return r;
        *changed += r;
        return 0;
}

int image_fix_tcp(int images_fd) {
        int changed = 0, r;

        r = image_each(images_fd, "tcp-stream-", ".img", fix_tcp_file, &changed);
        return r < 0 ? err_pass(r) : changed;
}

static int add_size(int images_fd, const char *name, void *userdata) {
        uint64_t *bytes = userdata;
        struct stat st;

        if (fstatat(images_fd, name, &st, AT_SYMLINK_NOFOLLOW) >= 0)
                *bytes += (uint64_t)st.st_blocks * 512;
        return 0;
}

uint64_t images_bytes(int images_fd) {
        ErrRecord kept = err_keep();
        uint64_t bytes = 0;

        (void)image_each(images_fd, "", "", add_size, &bytes);
        err_put_back(&kept);
        return bytes;
}
