/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Who asks for too much is left behind, not everybody: first the largest trees of users who are beyond their
 * own share, then, while all together do not fit, those of the user who asks for most. Among what remains
 * the rest is divided, as what a tree may still grow by. Huge pages are not divided.
 */

#include "preflight/preflight.h"

#include "preflight/bytes.h"

#include <inttypes.h>

static uint64_t smaller(uint64_t a, uint64_t b) {
        return a < b ? a : b;
}

typedef struct Sum {
        StoreShare needs;
        size_t trees;
} Sum;

/* Of what a tree is too large. */
typedef uint64_t Measure(const StoreShare *share);

static uint64_t bytes_of(const StoreShare *share) {
        return share->bytes;
}

static uint64_t huge_of(const StoreShare *share) {
        return share->huge;
}

static bool is_refused(const Candidate *c) {
        return c->verdict.level == VERDICT_REFUSED;
}

/* Of what one user's trees need, or (NULL) all. */
static Sum sum_of(const Candidate *claims, size_t n, const uint32_t *uid) {
        Sum sum = {0};

        for (size_t i = 0; i < n; i++)
                if (!is_refused(claims + i) && (!uid || claims[i].tree->uid == *uid)) {
                        sum.needs.bytes = plus(sum.needs.bytes, claims[i].needs.bytes);
                        sum.needs.names = plus(sum.needs.names, claims[i].needs.names);
                        sum.needs.huge = plus(sum.needs.huge, claims[i].needs.huge);
                        sum.trees++;
                }
        return sum;
}

/* The largest tree of the user who asks for most; *ret is his sum. NULL: there is none left. */
static Candidate *greediest(Candidate *claims, size_t n, Measure *of, uint64_t *ret) {
        Candidate *found = NULL;

        *ret = 0;
        for (size_t i = 0; i < n; i++) {
                const Sum sum = sum_of(claims, n, &claims[i].tree->uid);
                uint64_t asked = of(&sum.needs);

                if (is_refused(claims + i) || (found && asked < *ret) ||
                    (found && asked == *ret && of(&claims[i].needs) <= of(&found->needs)))
                        continue;
                found = claims + i;
                *ret = asked;
        }
        return found;
}

static size_t users(const Candidate *claims, size_t n) {
        size_t count = 0;

        for (size_t i = 0; i < n; i++) {
                bool first = !is_refused(claims + i);

                for (size_t k = 0; first && k < i; k++)
                        first = is_refused(claims + k) || claims[k].tree->uid != claims[i].tree->uid;
                count += first;
        }
        return count;
}

static void divide(const PreflightFacts *facts, uint64_t room, Candidate *claims, size_t n) {
        uint64_t spare = room - sum_of(claims, n, NULL).needs.bytes;
        size_t n_users = users(claims, n);
        uint64_t share = n_users > 0 ? spare / n_users : 0;

        for (size_t i = 0; i < n; i++) {
                Sum own = sum_of(claims, n, &claims[i].tree->uid);

                if (own.trees == 0 || is_refused(claims + i))
                        continue;
                claims[i].limit.bytes =
                                plus(claims[i].needs.bytes,
                                     smaller(facts->max_use_per_user - own.needs.bytes, share) / own.trees);
                claims[i].limit.names = facts->max_files ? claims[i].needs.names + (facts->max_files -
                                                                                    own.needs.names) /
                                                                                                   own.trees
                                                         : UINT64_MAX;
        }
}

static int refuse_user(const PreflightFacts *facts, Candidate *claim, uint64_t most) {
        return verdict_add(&claim->verdict, VERDICT_REFUSED, "user-limit",
                           "keep fewer sessions of this user, or raise MaxUsePerUser=",
                           "the trees of user %" PRIu32 " need about %" PRIu64
                           " MiB in the store; the limit for each user is %" PRIu64 " MiB",
                           claim->tree->uid, (most + MIB - 1) / MIB, facts->max_use_per_user / MIB);
}

static int refuse_space(uint64_t room, Verdict *v) {
        return verdict_add(v, VERDICT_REFUSED, "space-all",
                           "free space in the store, set Store= to a larger file system, or raise MaxUse=",
                           "the store has room for %" PRIu64 " MiB; the images of all kept trees need more",
                           room / MIB);
}

static int refuse_memory(uint64_t room, Verdict *v) {
        return verdict_add(v, VERDICT_REFUSED, "memory-all",
                           "stop programs that use memory, or set Encrypt=no",
                           "%" PRIu64 " MiB of memory are available for encrypting images; the images of "
                           "all kept trees need more",
                           room / MIB);
}

/* Of the users with too many names the tree that has most. */
static Candidate *busiest(const PreflightFacts *facts, Candidate *claims, size_t n) {
        Candidate *found = NULL;

        for (size_t i = 0; facts->max_files && i < n; i++)
                if (!is_refused(claims + i) && (!found || claims[i].needs.names > found->needs.names) &&
                    sum_of(claims, n, &claims[i].tree->uid).needs.names > facts->max_files)
                        found = claims + i;
        return found;
}

/* They are put back one after the other while the boot waits, everybody's. */
static int limit_names(const PreflightFacts *facts, Candidate *claims, size_t n) {
        Candidate *claim;
        int r = 0;

        while (r >= 0 && (claim = busiest(facts, claims, n))) {
                r = verdict_add(&claim->verdict, VERDICT_REFUSED, "user-names",
                                "keep fewer sessions of this user, or raise MaxFiles=",
                                "the trees of user %" PRIu32 " use more than %" PRIu64
                                " files and directories in memory or below /tmp (MaxFiles=)",
                                claim->tree->uid, facts->max_files);
        }
        return r;
}

int preflight_limits(const PreflightFacts *facts, Candidate *claims, size_t n) {
        uint64_t room = smaller(facts->store_free, facts->max_use), most;
        bool memory = facts->encrypt && !facts->wrong[FACT_ENCRYPT] && facts->memory_free < room;
        Candidate *claim;
        int r;

        if (facts->wrong[FACT_STORE])
                return 0;
        r = limit_names(facts, claims, n);
        if (memory) /* the images are there first, all at once */
                room = facts->memory_free;
        while (r >= 0 && (claim = greediest(claims, n, bytes_of, &most))) {
                bool beyond = most > facts->max_use_per_user;

                if (!beyond && sum_of(claims, n, NULL).needs.bytes <= room)
                        break;
                r = beyond   ? refuse_user(facts, claim, most)
                    : memory ? refuse_memory(room, &claim->verdict)
                             : refuse_space(room, &claim->verdict);
        }
        if (r >= 0)
                divide(facts, room, claims, n);
        return r;
}

int preflight_huge(const Snapshot *s, Candidate *claims, size_t n) {
        Candidate *claim;
        uint64_t most;
        int r = 0;

        while (r >= 0 && !s->huge_by_boot && sum_of(claims, n, NULL).needs.huge > s->huge_most &&
               (claim = greediest(claims, n, huge_of, &most)))
                r = verdict_add(&claim->verdict, VERDICT_REFUSED, "huge-pages-all",
                                "set vm.nr_hugepages in /etc/sysctl.d, or stop programs that use huge pages",
                                "at most a quarter of the memory (%" PRIu64
                                " MiB) can be restored in huge pages if the boot does not create them; all "
                                "kept trees use more",
                                s->huge_most / MIB);
        return r;
}
