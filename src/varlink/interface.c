/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What GetInterfaceDescription() answers. tests/style/check-varlink compares ours with the methods, and with
 * the fields of the JSON that they answer with. A field that --json leaves out, or that is null there, has a
 * question mark. */

#include "varlink/methods.h"

#include "base/cleanup.h"

#include <string.h>

static const char service[] =
                "# The Varlink Service Interface is provided by every varlink service. It\n"
                "# describes the service and the interfaces it implements.\n"
                "interface org.varlink.service\n\n"
                "method GetInfo() -> (\n"
                "  vendor: string,\n"
                "  product: string,\n"
                "  version: string,\n"
                "  url: string,\n"
                "  interfaces: []string\n"
                ")\n\n"
                "method GetInterfaceDescription(interface: string) -> (description: string)\n\n"
                "error InterfaceNotFound(interface: string)\n\n"
                "error MethodNotFound(method: string)\n\n"
                "error MethodNotImplemented(method: string)\n\n"
                "error InvalidParameter(parameter: string)\n\n"
                "error PermissionDenied()\n\n"
                "error ExpectedMore()\n";

/* Twice the same. */
#define STATUS_FIELDS                                                                                       \
        "  version: ?string,\n"                                                                             \
        "  id: ?string,\n"                                                                                  \
        "  verdict: ?string,\n"                                                                             \
        "  stopped: ?string,\n"                                                                             \
        "  old: ?Kernel,\n"                                                                                 \
        "  new: ?Kernel,\n"                                                                                 \
        "  action: ?string,\n"                                                                              \
        "  sealed_usec: ?int,\n"                                                                            \
        "  claimed_usec: ?int,\n"                                                                           \
        "  done_usec: ?int,\n"                                                                              \
        "  gap_usec: ?int,\n"                                                                               \
        "  trees: ?[]Tree,\n"                                                                               \
        "  not_kept: ?[]Ended,\n"                                                                           \
        "  steps: ?[]Step,\n"                                                                               \
        "  phase: string,\n"                                                                                \
        "  hold: bool,\n"                                                                                   \
        "  held_connections: int,\n"                                                                        \
        "  kept: int,\n"                                                                                    \
        "  gone: int,\n"                                                                                    \
        "  scheduled: ?Scheduled\n"

#define INTERACTIVE "allowInteractiveAuthentication: ?bool"

static const char ours[] =
                "# Carries running sessions over a change of kernel. The methods are the verbs of\n"
                "# carryover(1), and answer what these print with --json, where the fields are\n"
                "# explained. root may call all of them. Others may, on /run/io.carryover, if polkit\n"
                "# lets them: io.carryover.keep is the action for Keep, Drop and DropAll,\n"
                "# io.carryover.reboot for Reboot, and io.carryover.inspect for all others. polkit\n"
                "# may ask them for a password only in a call that allows it.\n"
                "interface io.carryover\n\n"
                "type Note (level: ?string, what: string, text: string, remedy: ?string)\n\n"
                "type Verdict (level: string, notes: []Note)\n\n"
                "type Candidate (\n"
                "  name: string,\n"
                "  target: string,\n"
                "  comm: string,\n"
                "  uid: int,\n"
                "  user: string,\n"
                "  session: ?string,\n"
                "  root_pid: int,\n"
                "  processes: int,\n"
                "  connections: int,\n"
                "  terminals: int,\n"
                "  why: ?string,\n"
                "  state: string,\n"
                "  level: ?string,\n"
                "  notes: ?[]Note\n"
                ")\n\n"
                "type Gone (target: string, why: string, state: string)\n\n"
                "type Kept (trees: []Candidate, machine: ?Verdict, gone: []Gone)\n\n"
                "type Thing (\n"
                "  kind: string,\n"
                "  what: string,\n"
                "  user: ?string,\n"
                "  uid: ?int,\n"
                "  pid: ?int,\n"
                "  processes: int,\n"
                "  kept_processes: int,\n"
                "  fate: string,\n"
                "  why: ?string,\n"
                "  target: ?string\n"
                ")\n\n"
                "type Kernel (kernel: string, boot_id: ?string)\n\n"
                "type Tree (\n"
                "  name: string,\n"
                "  target: string,\n"
                "  comm: string,\n"
                "  uid: int,\n"
                "  root_pid: int,\n"
                "  processes: int,\n"
                "  connections: int,\n"
                "  image_bytes: ?int,\n"
                "  state: string,\n"
                "  reason: ?string,\n"
                "  mode: ?string,\n"
                "  new_root_pid: ?int,\n"
                "  gap_usec: ?int,\n"
                "  images: ?string,\n"
                "  notes: []Note\n"
                ")\n\n"
                "type Ended (what: string, user: string, fate: string, why: ?string)\n\n"
                "type Step (\n"
                "  name: string,\n"
                "  tree: ?string,\n"
                "  realtime_usec: int,\n"
                "  monotonic_usec: int,\n"
                "  duration_usec: int,\n"
                "  after_jump: bool\n"
                ")\n\n"
                "type Scheduled (action: string, realtime_usec: int)\n\n"
                "type Report (\n"
                "  version: string,\n"
                "  id: string,\n"
                "  verdict: string,\n"
                "  stopped: ?string,\n"
                "  old: Kernel,\n"
                "  new: ?Kernel,\n"
                "  action: string,\n"
                "  sealed_usec: ?int,\n"
                "  claimed_usec: ?int,\n"
                "  done_usec: ?int,\n"
                "  gap_usec: ?int,\n"
                "  trees: []Tree,\n"
                "  not_kept: []Ended,\n"
                "  steps: []Step\n"
                ")\n\n"
                "# As carryover check; the default is the login session of the caller.\n"
                "method Check(target: ?string, " INTERACTIVE ") -> (\n"
                "  trees: []Candidate,\n"
                "  machine: ?Verdict,\n"
                "  gone: []Gone\n"
                ")\n\n"
                "# As carryover check --all.\n"
                "method CheckAll(" INTERACTIVE ") -> (\n"
                "  things: []Thing,\n"
                "  starts_anew: []string,\n"
                "  carried: int,\n"
                "  with_losses: int,\n"
                "  lost: int,\n"
                "  image_bytes: ?int,\n"
                "  room_bytes: ?int,\n"
                "  gap_usec: ?int,\n"
                "  machine: ?Verdict\n"
                ")\n\n"
                "# As carryover keep; the default is the login session of the caller. A note\n"
                "# \"modules\" of machine: some kernel modules could not be loaded; a save may fail.\n"
                "method Keep(target: ?string, " INTERACTIVE ") -> (\n"
                "  trees: []Candidate,\n"
                "  machine: ?Verdict,\n"
                "  gone: []Gone\n"
                ")\n\n"
                "# As carryover drop.\n"
                "method Drop(target: string, " INTERACTIVE ") -> ()\n\n"
                "# As carryover drop --all.\n"
                "method DropAll(" INTERACTIVE ") -> ()\n\n"
                "# As carryover list.\n"
                "method List(" INTERACTIVE ") -> (\n"
                "  trees: []Candidate,\n"
                "  machine: ?Verdict,\n"
                "  gone: []Gone\n"
                ")\n\n"
                "# As carryover reboot, which also keeps the login session of the caller: refuses\n"
                "# what can be refused, loads the kernel (the default is the newest) and asks for\n"
                "# the shutdown. The answer is given when that has begun; new is null with\n"
                "# no_kexec. The connection is closed by the shutdown, before anything is saved: a\n"
                "# caller who is carried along reads an end of file, opens a connection in the new\n"
                "# kernel (or in this one, if the save was stopped), and calls Status.\n"
                "method Reboot(\n"
                "  kernel: ?string,\n"
                "  no_kexec: ?bool,\n"
                "  force: ?bool,\n"
                "  yes: ?bool,\n"
                "  ignore_inhibitors: ?bool,\n"
                "  " INTERACTIVE "\n"
                ") -> (new: ?Kernel, keeps: Kept)\n\n"
                "# As carryover status. Before the first save there is only what stands now.\n"
                "method Status(tree: ?string, " INTERACTIVE ") -> (\n" STATUS_FIELDS ")\n\n"
                "# As Status, at once and after each change in the store and the keep list. The\n"
                "# call must allow more than one reply.\n"
                "method Subscribe(" INTERACTIVE ") -> (\n" STATUS_FIELDS ")\n\n"
                "# As carryover history, the newest first.\n"
                "method History(" INTERACTIVE ") -> (reports: []Report)\n\n"
                "# polkit asks for a password, and allowInteractiveAuthentication is not set, or\n"
                "# there is no agent of polkit that could ask.\n"
                "error InteractiveAuthenticationRequired()\n\n"
                "# The sentence that the command prints; or nobody but root may call this, since\n"
                "# polkit does not answer.\n"
                "error Failed(message: string)\n\n"
                "# What would be kept cannot be carried, and why.\n"
                "error Refused(message: string)\n\n"
                "# What would be dropped is not on the keep list.\n"
                "error NotKept()\n\n"
                "# Reboot: nothing is kept, and the caller is in no login session.\n"
                "error NothingKept(message: string)\n\n"
                "# Reboot: somebody inhibits a shutdown, who and why.\n"
                "error Inhibited(message: string)\n\n"
                "# Reboot: what CheckAll shows as lost or with losses would end, and yes is not\n"
                "# set.\n"
                "error WouldEnd(message: string)\n\n"
                "# Reboot: a reboot or a shutdown is in progress.\n"
                "error Busy(message: string)\n";

const char *interface_text(const char *name) {
        static const struct {
                const char *name, *text;
        } interfaces[] = {{"io.carryover", ours}, {"org.varlink.service", service}};

        for (size_t i = 0; i < ELEMENTS(interfaces); i++)
                if (strcmp(interfaces[i].name, name) == 0)
                        return interfaces[i].text;
        return NULL;
}
