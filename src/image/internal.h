/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The bytes of one CRIU image file. Inside this room. An image is
 *
 *         u32 LE    0x54564319, in front of every type but the inventory (0x55105940: service files)
 *         u32 LE    magic of the type
 *         entries   u32 LE length, then so many bytes of protobuf; some types have bare bytes between
 *
 * Nothing is read beyond the size that the file had when it was opened.
 */

#include "base/cleanup.h"

#include "criu-image.pb-c.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define IMAGE_INVENTORY   0x58313116u
#define IMAGE_PSTREE      0x50273030u
#define IMAGE_CORE        0x55053847u
#define IMAGE_FILES       0x56303138u
#define IMAGE_FDINFO      0x56213732u
#define IMAGE_MM          0x57492820u
#define IMAGE_MEMFD       0x48453499u
#define IMAGE_TTY_INFO    0x59453036u
#define IMAGE_TCP_STREAM  0x51465506u
#define IMAGE_PAGEMAP     0x56084025u
#define IMAGE_GHOST_FILE  0x52583605u
#define IMAGE_REMAP_FPATH 0x59133954u

typedef struct Image {
        char name[256];
        FILE *file;
        uint64_t size, position;
        uint8_t *entry; /* the last one read */
        size_t entry_size, entry_room;
} Image;

/* -ENOENT without a sentence if there is no such file: the caller knows whether that matters. */
int image_open(int images_fd, const char *name, Image *ret);
void image_close(Image *image);

/* Reads the head and expects this type. The inventory has no common magic. */
int image_expect(Image *image, uint32_t magic);
/* The same for a type that is not known: any magic. */
int image_expect_any(Image *image);

/* The next entry, into image->entry, checked to be a sound protobuf message. Answer 1 at the end of the
 * file. */
int image_next(Image *image);

/* The same, decoded. Free with protobuf_c_message_free_unpacked(). */
int image_next_message(Image *image, const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret);
int image_decode(const Image *image, const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret);

/* The first entry of an image, decoded; -ENOENT, with its sentence, if there is no such image. */
int image_first_message(int images_fd, const char *name, uint32_t magic,
                        const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret);

/* Gives each entry of an image to each(), decoded, and as it is in image->entry. -ENOENT without a sentence
 * if there is no such image. */
int image_walk(int images_fd, const char *name, uint32_t magic, const ProtobufCMessageDescriptor *type,
               int (*each)(Image *image, ProtobufCMessage *message, void *userdata), void *userdata);

/* The same for who only reads the messages. -EBADMSG of each() means that a number is out of range, and gets
 * its sentence here. */
int image_each_message(int images_fd, const char *name, uint32_t magic,
                       const ProtobufCMessageDescriptor *type,
                       int (*each)(const ProtobufCMessage *message, void *userdata), void *userdata);

/* Passes over bare bytes. */
int image_skip(Image *image, uint64_t size);

static inline uint64_t image_left(const Image *image) {
        return image->size - image->position;
}

/* -EBADMSG with a sentence about this file. */
#define image_bad(image, why) err_say(-EBADMSG, "image %s is damaged: %s", (image)->name, (why))

/* Calls each(name) for every name in the directory that begins and ends so; stops at the first error. */
int image_each(int images_fd, const char *prefix, const char *suffix,
               int (*each)(int images_fd, const char *name, void *userdata), void *userdata);

/* An address of a socket, as 16 bytes (IPv4: mapped); false if there is none of that family and size. */
bool image_address(const ImgInetSocket *socket, const uint32_t *words, size_t n, uint8_t ret[static 16]);

/* What change() makes of one tcp-stream-*.img, written anew in one step with its queues as they are: 1 if it
 * says so. -ENOENT without a sentence if there is no such image. */
int image_change_stream(int images_fd, const char *name, bool (*change)(ImgTcpStream *stream));

/* A changed image, built in memory. */
typedef struct ImageWriter {
        uint8_t *data;
        size_t size, room;
} ImageWriter;

void image_writer_done(ImageWriter *writer);
int image_put(ImageWriter *writer, const void *data, size_t size);
int image_put_head(ImageWriter *writer, uint32_t magic);
int image_put_entry(ImageWriter *writer, const void *data, size_t size);
int image_put_message(ImageWriter *writer, const ProtobufCMessage *message);
/* All that is left in the image, as it is. */
int image_put_rest(ImageWriter *writer, Image *image);

/* The identities in files.img of all open files, sorted; caller frees *ret. */
int image_open_files(int images_fd, uint32_t **ret, size_t *ret_n);

/* What becomes of an entry: 1 if it is changed, 0 if not. */
typedef int (*ImageChange)(ProtobufCMessage *message, const void *userdata);

/* Writes the image anew, in one step, with what change() makes of each entry. Returns how many were changed;
 * 0 leaves the file alone. -ENOENT as in image_each_message(). The first is for a save, which syncs all
 * images once (sync_tree()) before anything hangs on them. A restore has no such moment. */
int image_rewrite(int images_fd, const char *name, uint32_t magic, const ProtobufCMessageDescriptor *type,
                  ImageChange change, const void *userdata);
int image_rewrite_durably(int images_fd, const char *name, uint32_t magic,
                          const ProtobufCMessageDescriptor *type, ImageChange change, const void *userdata);

static inline void image_message_freep(ProtobufCMessage **p) {
        if (*p)
                protobuf_c_message_free_unpacked(*p, NULL);
}
