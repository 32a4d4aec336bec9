/* A pool of POSIX threads; elsewhere the calling thread does all tasks, with the same results. */
#define _POSIX_C_SOURCE 200809L
#include "threads.h"
#include <stdlib.h>
#include <time.h>

#if defined(__GNUC__) && !defined(_WIN32)
#include <pthread.h>

#define SPINS 600                         /* some 15 us of looking before a thread goes to sleep */

/* `ticket`: a job's number in the upper half, how many of its tasks nobody has begun in the lower. Who lowers it owns
   the last of these tasks; a thread that was asleep through a whole job cannot take a task of it. */
struct npgru_pool {
    uint64_t ticket;
    npgru_work work;
    void *context;
    int32_t n_unfinished;                 /* tasks of the job that are not done */
    int32_t n_asleep, caller_asleep, n_started, stop;
    pthread_mutex_t mutex;
    pthread_cond_t new_job, job_done;
    int32_t n_workers;                    /* threads besides the caller */
    pthread_t workers[];
};

static void pause_a_little(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static uint64_t ticket_of(npgru_pool *pool)
{
    return __atomic_load_n(&pool->ticket, __ATOMIC_SEQ_CST);
}

/* Do tasks while there are any. What is read between the two looks at the ticket belongs to the job of that number:
   another job comes only when all tasks of this one are done. */
static void do_tasks(npgru_pool *pool, int32_t worker)
{
    for (;;) {
        uint64_t ticket = ticket_of(pool);
        const npgru_work work = __atomic_load_n(&pool->work, __ATOMIC_RELAXED);
        void *context = __atomic_load_n(&pool->context, __ATOMIC_RELAXED);
        const int32_t n_left = (int32_t)(ticket & 0xffffffffu);
        if (n_left == 0) return;
        if (!__atomic_compare_exchange_n(&pool->ticket, &ticket, ticket - 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            continue;
        work(context, n_left - 1, worker);
        if (__atomic_sub_fetch(&pool->n_unfinished, 1, __ATOMIC_SEQ_CST) == 0
            && __atomic_load_n(&pool->caller_asleep, __ATOMIC_SEQ_CST)) {
            pthread_mutex_lock(&pool->mutex);
            pthread_cond_signal(&pool->job_done);
            pthread_mutex_unlock(&pool->mutex);
        }
    }
}

/* Look for a job with another number than `seen`: for a while awake, then asleep. Returns its number. */
static uint64_t wait_for_job(npgru_pool *pool, uint64_t seen)
{
    for (int i = 0; i < SPINS; i++) {
        if (ticket_of(pool) >> 32 != seen) return ticket_of(pool) >> 32;
        pause_a_little();
    }
    pthread_mutex_lock(&pool->mutex);
    __atomic_add_fetch(&pool->n_asleep, 1, __ATOMIC_SEQ_CST);
    while (ticket_of(pool) >> 32 == seen) pthread_cond_wait(&pool->new_job, &pool->mutex);
    __atomic_sub_fetch(&pool->n_asleep, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&pool->mutex);
    return ticket_of(pool) >> 32;
}

static void *worker_main(void *pool_pointer)
{
    npgru_pool *pool = pool_pointer;
    const int32_t worker = __atomic_add_fetch(&pool->n_started, 1, __ATOMIC_SEQ_CST);
    uint64_t seen = 0;
    for (;;) {
        seen = wait_for_job(pool, seen);
        if (__atomic_load_n(&pool->stop, __ATOMIC_SEQ_CST)) return NULL;
        do_tasks(pool, worker);
    }
}

/* Write the job, then its number; wake whoever sleeps. */
static void publish(npgru_pool *pool, npgru_work work, void *context, int32_t n_tasks)
{
    const uint64_t number = (ticket_of(pool) >> 32) + 1;
    __atomic_store_n(&pool->work, work, __ATOMIC_SEQ_CST);
    __atomic_store_n(&pool->context, context, __ATOMIC_SEQ_CST);
    __atomic_store_n(&pool->n_unfinished, n_tasks, __ATOMIC_SEQ_CST);
    __atomic_store_n(&pool->ticket, number << 32 | (uint32_t)n_tasks, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&pool->n_asleep, __ATOMIC_SEQ_CST)) {
        pthread_mutex_lock(&pool->mutex);
        pthread_cond_broadcast(&pool->new_job);
        pthread_mutex_unlock(&pool->mutex);
    }
}

static void wait_until_done(npgru_pool *pool)
{
    for (int i = 0; i < SPINS; i++) {
        if (__atomic_load_n(&pool->n_unfinished, __ATOMIC_SEQ_CST) == 0) return;
        pause_a_little();
    }
    pthread_mutex_lock(&pool->mutex);
    __atomic_store_n(&pool->caller_asleep, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&pool->n_unfinished, __ATOMIC_SEQ_CST)) pthread_cond_wait(&pool->job_done, &pool->mutex);
    __atomic_store_n(&pool->caller_asleep, 0, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&pool->mutex);
}

void npgru_pool_run(npgru_pool *pool, npgru_work work, void *context, int32_t n_tasks)
{
    if (pool->n_workers == 0) {
        for (int32_t task = 0; task < n_tasks; task++) work(context, task, 0);
        return;
    }
    publish(pool, work, context, n_tasks);
    do_tasks(pool, 0);
    wait_until_done(pool);
}

npgru_pool *npgru_pool_create(int32_t n_threads)
{
    npgru_pool *pool = calloc(1, sizeof *pool + sizeof(pthread_t) * (size_t)n_threads);
    if (!pool) return NULL;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->new_job, NULL);
    pthread_cond_init(&pool->job_done, NULL);
    while (pool->n_workers < n_threads - 1
           && pthread_create(&pool->workers[pool->n_workers], NULL, worker_main, pool) == 0)
        pool->n_workers++;
    return pool;
}

void npgru_pool_destroy(npgru_pool *pool)
{
    if (!pool) return;
    __atomic_store_n(&pool->stop, 1, __ATOMIC_SEQ_CST);
    publish(pool, NULL, NULL, 0);
    for (int32_t i = 0; i < pool->n_workers; i++) pthread_join(pool->workers[i], NULL);
    pthread_cond_destroy(&pool->job_done);
    pthread_cond_destroy(&pool->new_job);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

#else

struct npgru_pool { int32_t n_threads; };

npgru_pool *npgru_pool_create(int32_t n_threads)
{
    npgru_pool *pool = malloc(sizeof *pool);
    if (pool) pool->n_threads = n_threads;
    return pool;
}

void npgru_pool_destroy(npgru_pool *pool)
{
    free(pool);
}

void npgru_pool_run(npgru_pool *pool, npgru_work work, void *context, int32_t n_tasks)
{
    (void)pool;
    for (int32_t task = 0; task < n_tasks; task++) work(context, task, 0);
}

#endif

double npgru_seconds(void)
{
#ifdef CLOCK_MONOTONIC
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
#else
    return 0;
#endif
}
