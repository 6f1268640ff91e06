/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What the fuzzers share. The readers under test open their files by the paths that they have in real life,
 * and some of them write and remove what the input names; so each input is read in a cell: a root directory
 * in memory, empty for each input, in mount and network namespaces of the fuzzer's own. Root only;
 * without it the program ends as a skipped test does.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The fuzzer's own, one in each program. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* A promise of the code under test that this input breaks: ends the program, which is a finding. */
#define EXPECT(promise) ((promise) ? (void)0 : fuzz_broken(#promise, __FILE__, __LINE__))
void fuzz_broken(const char *promise, const char *file, int line) __attribute__((noreturn));

/* An input of several files: its bytes, with separators in between that are no part of them. So bytes that
 * are put in or taken out in one file leave the others as they are. */
typedef struct Part {
        const uint8_t *data;
        size_t size;
} Part;

/* Takes the first part off. False: there is none left. */
bool part_next(Part *rest, const char *separator, Part *ret);
/* Takes the first byte off, 0 if there is none left. */
uint8_t part_byte(Part *part);
/* The same up to `stop`, which goes too, as a string; at most what fits. */
void part_word(Part *part, char stop, char *ret, size_t size);

/* An empty root directory; with the real /proc in it for code that reaches files by /proc/self/fd. Relative
 * paths still mean what they did outside, so that a finding is written where the engine was told. */
void cell_enter(bool with_proc);
/* A file (root's, 0600) with its directories. One whose path cannot be made is left out. */
void cell_put(const char *path, const void *data, size_t size);
void cell_put_part(const char *path, Part part);
/* Everything in the cell is gone. No descriptor may have been left open. */
void cell_leave(void);

/* Nothing in it but printable ASCII and line breaks: fit for anybody's terminal. */
bool is_printable(const char *text, size_t size);
