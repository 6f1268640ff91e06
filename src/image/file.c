/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Every length is compared with what is left of the file before it is used for anything. The walk over an
 * entry's protobuf needs no schema, so it also finds damage in the types that we know nothing of. */

#include "image/internal.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"

#include <dirent.h>
#include <endian.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMMON_MAGIC  0x54564319u
#define SERVICE_MAGIC 0x55105940u

/* The largest entries are the VMAs of one process (mm) and seccomp filters: 65530 maps of about 100
 * bytes. */
#define ENTRY_MAX (64u << 20)

/* A file that is rewritten is held in memory. files.img of 65536 descriptors is below this. */
#define WRITER_MAX (256u << 20)

int image_open(int images_fd, const char *name, Image *ret) {
        Image image = {0};
        struct stat st;
        int fd;

        fd = openat(images_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0 && errno == ENOENT)
                return -ENOENT;
        if (fd < 0)
                return err_born(-errno, "cannot open image %s", name);
        image.file = fdopen(fd, "re");
        if (!image.file) {
                fd_close(fd);
                return err_born(-errno, "cannot open image %s", name);
        }
        snprintf(image.name, sizeof image.name, "%s", name);
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
                fclose(image.file);
                return err_say(-EBADMSG, "image %s is not a regular file", name);
        }
        image.size = (uint64_t)st.st_size;
        *ret = image;
        return 0;
}

void image_close(Image *image) {
        if (image->file)
                fclose(image->file);
        free(image->entry);
        *image = (Image){0};
}

static int read_bytes(Image *image, void *data, size_t size) {
        if (size > image_left(image))
                return image_bad(image, "it is truncated");
        if (size > 0 && fread(data, 1, size, image->file) != size)
                return ferror(image->file) ? err_born(-EIO, "cannot read image %s", image->name)
                                           : image_bad(image, "its size changed");
        image->position += size;
        return 0;
}

static int read_u32(Image *image, uint32_t *ret) {
        uint32_t value;
        int r = read_bytes(image, &value, sizeof value);

        if (r < 0)
                return r;
        *ret = le32toh(value);
        return 0;
}

static int read_common(Image *image) {
        uint32_t magic;
        int r = read_u32(image, &magic);

        if (r < 0)
                return r;
        if (magic != COMMON_MAGIC && magic != SERVICE_MAGIC)
                return image_bad(image, "it has no image header");
        return 0;
}

int image_expect(Image *image, uint32_t magic) {
        uint32_t found;
        int r = magic == IMAGE_INVENTORY ? 0 : read_common(image);

        if (r >= 0)
                r = read_u32(image, &found);
        if (r < 0)
                return err_pass(r);
        if (found != magic)
                return image_bad(image, "its type does not match its name");
        return 0;
}

int image_expect_any(Image *image) {
        uint32_t ignored;
        int r = read_common(image);

        if (r >= 0)
                r = read_u32(image, &ignored);
        return r < 0 ? err_pass(r) : 0;
}

static bool walk_varint(const uint8_t **p, const uint8_t *end, uint64_t *ret) {
        uint64_t value = 0;

        for (unsigned shift = 0; *p < end && shift < 64; shift += 7) {
                uint8_t byte = *(*p)++;

                value |= (uint64_t)(byte & 0x7f) << shift;
                if (!(byte & 0x80)) {
                        *ret = value;
                        return true;
                }
        }
        return false;
}

/* Fields follow one another up to exactly the end. What is inside of nested messages is not looked at. */
static bool is_protobuf(const uint8_t *p, size_t size) {
        const uint8_t *end = p + size;

        while (p < end) {
                uint64_t key, length;

                if (!walk_varint(&p, end, &key) || key >> 3 == 0 || key >> 3 > (UINT64_C(1) << 29) - 1)
                        return false;
                switch (key & 7) {
                case 0:
                        if (!walk_varint(&p, end, &length))
                                return false;
                        continue;
                case 1:
                        length = 8;
                        break;
                case 2:
                        if (!walk_varint(&p, end, &length))
                                return false;
                        break;
                case 5:
                        length = 4;
                        break;
                default:
                        return false;
                }
                if (length > (uint64_t)(end - p))
                        return false;
                p += length;
        }
        return true;
}

int image_next(Image *image) {
        uint32_t size;
        int r;

        if (image_left(image) == 0)
                return 1;
        r = read_u32(image, &size);
        if (r < 0)
                return err_pass(r);
        if (size > ENTRY_MAX)
                return image_bad(image, "an entry is too long");
        if (size > image_left(image))
                return image_bad(image, "it is truncated");
        if (size > image->entry_room) {
                uint8_t *bigger = realloc(image->entry, size);

                if (!bigger)
                        return -ENOMEM;
                image->entry = bigger;
                image->entry_room = size;
        }
        r = read_bytes(image, image->entry, size);
        if (r < 0)
                return err_pass(r);
        image->entry_size = size;
        if (size > 0 && !is_protobuf(image->entry, size))
                return image_bad(image, "an entry is invalid");
        return 0;
}

int image_decode(const Image *image, const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret) {
        ProtobufCMessage *message = protobuf_c_message_unpack(type, NULL, image->entry_size, image->entry);

        if (!message)
                return image_bad(image, "an entry lacks a required field");
        *ret = message;
        return 0;
}

int image_next_message(Image *image, const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret) {
        int r = image_next(image);

        return r != 0 ? r : image_decode(image, type, ret);
}

int image_first_message(int images_fd, const char *name, uint32_t magic,
                        const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret) {
        _cleanup_(image_close) Image image = {0};
        int r;

        r = image_open(images_fd, name, &image);
        if (r == -ENOENT)
                return err_say(r, "image %s is missing", name);
        if (r >= 0)
                r = image_expect(&image, magic);
        if (r >= 0)
                r = image_next_message(&image, type, ret);
        if (r > 0)
                return image_bad(&image, "it is empty");
        return r < 0 ? err_pass(r) : 0;
}

int image_walk(int images_fd, const char *name, uint32_t magic, const ProtobufCMessageDescriptor *type,
               int (*each)(Image *image, ProtobufCMessage *message, void *userdata), void *userdata) {
        _cleanup_(image_close) Image image = {0};
        int r;

        r = image_open(images_fd, name, &image);
        if (r < 0)
                return r;
        r = image_expect(&image, magic);
        while (r >= 0) {
                _cleanup_(image_message_freep) ProtobufCMessage *message = NULL;

                r = image_next_message(&image, type, &message);
                if (r > 0)
                        return 0;
                if (r >= 0)
                        r = each(&image, message, userdata);
        }
        return err_pass(r);
}

typedef struct Reader {
        int (*each)(const ProtobufCMessage *message, void *userdata);
        void *userdata;
} Reader;

static int read_message(Image *image, ProtobufCMessage *message, void *userdata) {
        const Reader *reader = userdata;
        int r = reader->each(message, reader->userdata);

        return r == -EBADMSG ? image_bad(image, "a number is out of range") : r;
}

int image_each_message(int images_fd, const char *name, uint32_t magic,
                       const ProtobufCMessageDescriptor *type,
                       int (*each)(const ProtobufCMessage *message, void *userdata), void *userdata) {
        return image_walk(images_fd, name, magic, type, read_message, &(Reader){each, userdata});
}

int image_skip(Image *image, uint64_t size) {
        if (size > image_left(image))
                return image_bad(image, "it is truncated");
        if (size > 0 && fseeko(image->file, (off_t)size, SEEK_CUR) < 0)
                return err_born(-errno, "cannot read image %s", image->name);
        image->position += size;
        return 0;
}

int image_each(int images_fd, const char *prefix, const char *suffix,
               int (*each)(int images_fd, const char *name, void *userdata), void *userdata) {
        _cleanup_(closedirp) DIR *directory = NULL;
        struct dirent *entry;
        int fd;

        fd = openat(images_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return err_born(-errno, "cannot open the image directory");
        directory = fdopendir(fd);
        if (!directory) {
                fd_close(fd);
                return err_born(-errno, "cannot open the image directory");
        }
        for (;;) {
                int r;

                errno = 0;
                entry = readdir(directory);
                if (!entry)
                        return errno ? err_born(-errno, "cannot read the image directory") : 0;
                if (!starts_with(entry->d_name, prefix) || !ends_with(entry->d_name, suffix))
                        continue;
                r = each(images_fd, entry->d_name, userdata);
                if (r < 0)
                        return err_pass(r);
        }
}

void image_writer_done(ImageWriter *writer) {
        free(writer->data);
        *writer = (ImageWriter){0};
}

int image_put(ImageWriter *writer, const void *data, size_t size) {
        if (size > WRITER_MAX - writer->size)
                return err_say(-EFBIG, "the image is too large to rewrite");
        if (size > writer->room - writer->size) {
                size_t room = (writer->size + size) * 2;
                uint8_t *bigger = realloc(writer->data, room);

                if (!bigger)
                        return -ENOMEM;
                writer->data = bigger;
                writer->room = room;
        }
        if (size > 0)
                memcpy(writer->data + writer->size, data, size);
        writer->size += size;
        return 0;
}

static int put_u32(ImageWriter *writer, uint32_t value) {
        value = htole32(value);
        return image_put(writer, &value, sizeof value);
}

int image_put_head(ImageWriter *writer, uint32_t magic) {
        int r = magic == IMAGE_INVENTORY ? 0 : put_u32(writer, COMMON_MAGIC);

        return r < 0 ? r : put_u32(writer, magic);
}

int image_put_entry(ImageWriter *writer, const void *data, size_t size) {
        int r = put_u32(writer, (uint32_t)size);

        return r < 0 ? r : image_put(writer, data, size);
}

int image_put_message(ImageWriter *writer, const ProtobufCMessage *message) {
        size_t size = protobuf_c_message_get_packed_size(message);
        _cleanup_(freep) uint8_t *bytes = malloc(size ? size : 1);

        if (!bytes)
                return -ENOMEM;
        protobuf_c_message_pack(message, bytes);
        return image_put_entry(writer, bytes, size);
}

int image_put_rest(ImageWriter *writer, Image *image) {
        uint8_t buffer[16384];

        while (image_left(image) > 0) {
                size_t n = image_left(image) < sizeof buffer ? (size_t)image_left(image) : sizeof buffer;
                int r = read_bytes(image, buffer, n);

                if (r >= 0)
                        r = image_put(writer, buffer, n);
                if (r < 0)
                        return err_pass(r);
        }
        return 0;
}

/* By file_replace() or file_replace_early(). */
typedef int (*Replace)(int dir_fd, const char *name, const void *data, size_t size);

static int rewrite(int images_fd, const char *name, uint32_t magic, const ProtobufCMessageDescriptor *type,
                   ImageChange change, const void *userdata, Replace replace) {
        _cleanup_(image_writer_done) ImageWriter writer = {0};
        _cleanup_(image_close) Image image = {0};
        int r, changed = 0;

        r = image_open(images_fd, name, &image);
        if (r < 0)
                return r;
        r = image_expect(&image, magic);
        if (r >= 0)
                r = image_put_head(&writer, magic);
        while (r >= 0) {
                _cleanup_(image_message_freep) ProtobufCMessage *message = NULL;

                r = image_next_message(&image, type, &message);
                if (r > 0)
                        break;
                if (r >= 0)
                        r = change(message, userdata);
                if (r > 0) {
                        changed++;
                        r = image_put_message(&writer, message);
                } else if (r == 0) {
                        r = image_put_entry(&writer, image.entry, image.entry_size);
                }
        }
        if (r >= 0 && changed > 0)
                r = replace(images_fd, name, writer.data, writer.size);
        return r < 0 ? err_pass(r) : changed;
}

int image_rewrite(int images_fd, const char *name, uint32_t magic, const ProtobufCMessageDescriptor *type,
                  ImageChange change, const void *userdata) {
        return err_pass(rewrite(images_fd, name, magic, type, change, userdata, file_replace_early));
}

int image_rewrite_durably(int images_fd, const char *name, uint32_t magic,
                          const ProtobufCMessageDescriptor *type, ImageChange change, const void *userdata) {
        return err_pass(rewrite(images_fd, name, magic, type, change, userdata, file_replace));
}
