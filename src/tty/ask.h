/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A question to whoever typed the command. */

/* What was typed before the question shows is no answer to it, and what is typed behind the answer's line is
 * left to the shell. Answer 1: "y" or "yes". 0: anything else, also the end of the input. -ENOTTY: standard
 * input or output is no terminal. */
int terminal_ask(const char *question);
