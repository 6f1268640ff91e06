/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The journal: "report_event sealed", or with the tree, "report_event refused pid-4000001". */

#include "report/event.h"
#include "tests/fakes/fake.h"

void report_event(const Event *event) {
        static const char *const names[EVENT_KINDS_] = {
                        [EVENT_SAVE_BEGUN] = "begun",        [EVENT_TREE_SAVED] = "saved",
                        [EVENT_TREE_REFUSED] = "refused",    [EVENT_SEALED] = "sealed",
                        [EVENT_JUMP_LOADED] = "loaded",      [EVENT_JUMP_FAILED] = "jump-failed",
                        [EVENT_CLAIMED] = "claimed",         [EVENT_HOLD_MISSING] = "hold-missing",
                        [EVENT_TREE_CARRIED] = "carried",    [EVENT_TREE_FAILED] = "failed",
                        [EVENT_TREE_LOST] = "lost",          [EVENT_SAVE_STOPPED] = "stopped",
                        [EVENT_ALL_CARRIED] = "all-carried", [EVENT_TREE_UNSEALED] = "unsealed"};

        (void)fake_call("report_event", "%s%s%s", names[event->kind], event->tree ? " " : "",
                        event->tree ? event->tree : "");
}
