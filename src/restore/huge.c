/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A boot has no huge pages that nobody configured. They are added to the pool as early as the trees are
 * known: a quarter of the memory in pieces of 2 MiB is there as long as the boot is young. What the pool was
 * is noted before it is changed, and anew if somebody else has changed it: whoever sets it has meant it.
 */

#include "restore/huge.h"

#include "base/clock.h"
#include "base/err.h"
#include "kernel/hugepages.h"
#include "restore/restore.h"
#include "store/run.h"

#include <inttypes.h>
#include <pthread.h>

/* The boot waits while the kernel moves memory to get whole pieces: so long in all, and so many at once. */
#define MAKE_USEC (10 * USEC_PER_SEC)
#define AT_ONCE   64

static struct {
        pthread_mutex_t lock;
        uint64_t wanted; /* by trees that have not been tried yet */
        uint64_t base;   /* pages that there were when the pool was noted */
        uint64_t spent;  /* time, on making them */
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t pages_of(const Tree *tree) {
        return tree->has_huge_bytes ? tree->huge_bytes / HUGE_PAGE : 0;
}

/* How many the kernel shall have, those beyond the pool, too: else it would make a part of it of these. */
static uint64_t target(const HugePool *pool) {
        uint64_t now = pool->pages + pool->surplus, most = all.base + hugepages_share(),
                 missing = all.wanted - pool->free, room = most > now ? most - now : 0;

        return now + (missing < room ? missing : room);
}

/* Ends early where the kernel has no more, or the time is up. Answer 1: there are more than were asked for,
 * so somebody else has set the pool meanwhile. */
static int make(HugePool *pool, uint64_t pages) {
        const uint64_t begun = now_monotonic();
        uint64_t step, taken = 0;
        int r;

        do {
                step = pool->pages + pool->surplus + AT_ONCE;
                step = step < pages ? step : pages;
                r = hugepages_set(step);
                if (r >= 0)
                        r = hugepages_look(pool);
                taken = now_monotonic() - begun;
        } while (r >= 0 && pool->pages == step && step < pages && all.spent + taken < MAKE_USEC);
        all.spent += taken;
        return r < 0 ? err_pass(r) : pool->pages > step;
}

static int add(RunHuge *note, HugePool *pool) {
        const uint64_t pages = target(pool);
        int r;

        if (pages <= pool->pages + pool->surplus || all.spent >= MAKE_USEC)
                return 0;
        note->made = RUN_HUGE_ADDING;
        r = run_huge_write(note);
        if (r >= 0)
                r = make(pool, pages);
        if (r == 1)
                note->own = pool->pages;
        note->made = pool->pages;
        return r < 0 ? err_pass(r) : run_huge_write(note);
}

/* Fills what the pool goes back to. If adding pages to it did not come to its end, its size tells nothing of
 * who has set it. */
static int look_up(const HugePool *pool, RunHuge *ret) {
        int r = run_huge_read(ret);

        if (r < 0)
                return err_pass(r);
        if (r == 0 && (ret->made == RUN_HUGE_ADDING || ret->made == pool->pages))
                return 0;
        *ret = (RunHuge){.own = pool->pages};
        all.base = pool->pages + pool->surplus;
        return 0;
}

/* As many as are wanted; ret_free: as there are. */
static int provide(uint64_t *ret_free) {
        RunHuge note;
        HugePool pool;
        int r = hugepages_look(&pool);

        if (r < 0)
                return err_pass(r);
        *ret_free = pool.free;
        if (pool.free >= all.wanted)
                return 0;
        r = look_up(&pool, &note);
        if (r >= 0)
                r = add(&note, &pool);
        *ret_free = pool.free;
        return r < 0 ? err_pass(r) : 0;
}

int restore_huge_begin(const Ticket *ticket) {
        uint64_t free = 0;
        int r = 0;

        pthread_mutex_lock(&all.lock);
        all.wanted = all.spent = 0;
        for (size_t i = 0; i < ticket->n_trees; i++) /* of the bytes' sizes no such sum is too large */
                if (ticket->trees[i]->outcome->state == OUTCOME__STATE__PENDING)
                        all.wanted += pages_of(ticket->trees[i]);
        if (all.wanted > 0)
                r = provide(&free);
        if (r >= 0 && free < all.wanted)
                r = err_say(-ENOSPC, "only %" PRIu64 " of %" PRIu64 " huge pages could be made", free,
                            all.wanted);
        pthread_mutex_unlock(&all.lock);
        return r < 0 ? err_pass(r) : 0;
}

uint64_t huge_begin(const Tree *tree) {
        const uint64_t pages = pages_of(tree);
        ErrRecord kept = err_keep();
        uint64_t free = 0;

        if (pages == 0)
                return 0;
        pthread_mutex_lock(&all.lock);
        (void)provide(&free);
        pthread_mutex_unlock(&all.lock);
        err_put_back(&kept);
        return free < pages ? pages - free : 0;
}

void huge_end(const Tree *tree) {
        const uint64_t pages = pages_of(tree);

        pthread_mutex_lock(&all.lock);
        all.wanted -= pages < all.wanted ? pages : all.wanted;
        pthread_mutex_unlock(&all.lock);
}

/* But for one that somebody has set. */
static int put_back(const RunHuge *note) {
        HugePool pool;
        int r = hugepages_look(&pool);

        if (r >= 0 && pool.pages != note->own && (note->made == RUN_HUGE_ADDING || note->made == pool.pages))
                r = hugepages_set(note->own);
        return r < 0 ? err_pass(r) : run_huge_remove();
}

int restore_huge_end(void) {
        RunHuge note;
        int r;

        pthread_mutex_lock(&all.lock);
        r = run_huge_read(&note);
        if (r == -EBADMSG)
                (void)run_huge_remove();
        if (r == 0)
                r = put_back(&note);
        pthread_mutex_unlock(&all.lock);
        return r < 0 ? err_pass(r) : 0;
}
