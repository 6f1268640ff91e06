/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "varlink/call.h"
#include "varlink/wire.h"

/*
 * A call that is answered once more after each change, for as long as the peer has its end open and says
 * nothing: method_call() with the answer as it is now, and only if it differs from the one before. An error
 * is the last answer.
 */
int subscribe(const Wire *wire, const Call *call);
