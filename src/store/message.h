/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One message of model/codec.h in one file, replaced as a whole and durably. Inside this room. */

#include "model/codec.h"
#include "model/model.h"

int store_message_write(int dir_fd, const char *name, CodecKind kind, const ProtobufCMessage *message);
/* Also where the disk is full by now: files/space.h. */
int store_message_note(int dir_fd, const char *name, CodecKind kind, const ProtobufCMessage *message);
/* `where` names the directory for people. Answer 1: there is no such file. */
int store_message_read(int dir_fd, const char *where, const char *name, CodecKind kind,
                       ProtobufCMessage **ret);
