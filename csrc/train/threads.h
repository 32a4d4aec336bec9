/* Threads that share the tasks of one job after another. */
#ifndef NPGRU_THREADS_H
#define NPGRU_THREADS_H

#include <stdint.h>

typedef struct npgru_pool npgru_pool;

/* worker: 0 for the calling thread, below n_threads for all; no two tasks run on one worker at a time. */
typedef void (*npgru_work)(void *context, int32_t task, int32_t worker);

/* NULL if there is not enough memory; fewer threads than asked where the system gives no more. */
npgru_pool *npgru_pool_create(int32_t n_threads);
void npgru_pool_destroy(npgru_pool *pool);

/* work(context, task, worker) for every task below n_tasks, in any order; returns when all are done. */
void npgru_pool_run(npgru_pool *pool, npgru_work work, void *context, int32_t n_tasks);

/* A clock that never goes back, in seconds; 0 where there is none. */
double npgru_seconds(void);

#endif
