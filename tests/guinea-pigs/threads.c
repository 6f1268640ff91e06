/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Threads with values of their own, their names and numbers; they sleep on a condition variable, one in the
 * kernel's clock, and one never sleeps. */

#include "pig.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <time.h>

#define WAITERS 4

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t all_there;
static bool go;
static atomic_bool stop;
static atomic_ulong turns;

static _Thread_local long mine;
static _Thread_local char my_name[16];

static void be(long number, const char *kind) {
        mine = number;
        snprintf(my_name, sizeof my_name, "%s-%ld", kind, number);
        CHECK(prctl(PR_SET_NAME, my_name) == 0);
        pthread_barrier_wait(&all_there);
}

static void still_me(long number, pid_t tid) {
        char name[16];

        CHECK(mine == number && gettid() == tid);
        CHECK(prctl(PR_GET_NAME, name) == 0 && strcmp(name, my_name) == 0);
}

static void *waiter(void *number) {
        pid_t tid = gettid();

        be((long)number, "waiter");
        CHECK(pthread_mutex_lock(&lock) == 0);
        while (!go)
                CHECK(pthread_cond_wait(&changed, &lock) == 0);
        CHECK(pthread_mutex_unlock(&lock) == 0);
        still_me((long)number, tid);
        return number;
}

static void *sleeper(void *number) {
        struct timespec nap = {.tv_nsec = 50000000};
        pid_t tid = gettid();

        be((long)number, "sleeper");
        while (!stop)
                (void)nanosleep(&nap, NULL);
        still_me((long)number, tid);
        return number;
}

static void *runner(void *number) {
        pid_t tid = gettid();

        be((long)number, "runner");
        while (!stop)
                turns++;
        still_me((long)number, tid);
        return number;
}

int main(void) {
        pthread_t thread[WAITERS + 2];
        unsigned long before;
        void *result;

        pig_begin();
        CHECK(pthread_barrier_init(&all_there, NULL, WAITERS + 3) == 0);
        for (long i = 0; i < WAITERS; i++)
                CHECK(pthread_create(&thread[i], NULL, waiter, (void *)i) == 0);
        CHECK(pthread_create(&thread[WAITERS], NULL, sleeper, (void *)(long)WAITERS) == 0);
        CHECK(pthread_create(&thread[WAITERS + 1], NULL, runner, (void *)(long)(WAITERS + 1)) == 0);
        mine = 99;
        pthread_barrier_wait(&all_there);

        pig_wait();

        CHECK(mine == 99 && gettid() == getpid());
        for (before = turns; turns == before;) /* the runner runs */
                ;
        CHECK(pthread_mutex_lock(&lock) == 0);
        go = true;
        CHECK(pthread_cond_broadcast(&changed) == 0 && pthread_mutex_unlock(&lock) == 0);
        stop = true;
        for (long i = 0; i < WAITERS + 2; i++)
                CHECK(pthread_join(thread[i], &result) == 0 && (long)result == i);
        pig_pass();
}
