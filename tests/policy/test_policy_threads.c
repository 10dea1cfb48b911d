/* Many threads read policies at once, each its own, and share one: a plain program, for
 * ThreadSanitizer. cJSON writes a global on every parse, and no sanitizer looks into that library: so
 * its allocator is one that counts without any care, which only the library's lock makes right. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <herdgate/policy.h>

#include "tests/policy/corpus_file.h"

enum { THREADS = 8, ROUNDS = 400, FILES = 4 };

static const struct {
    const char *name;
    hg_status status;
    const char *says;
} expected[FILES] = {
    { "good/every-key.json", HG_OK, "" },
    { "good/contract-example.json", HG_OK, "" },
    { "bad/misspelt-key.json", HG_ERR_VALIDATION,
      "misspelt-key.json:3:5: /breaker/failure_treshold" },
    { "bad/trailing-text.json", HG_ERR_VALIDATION, "trailing-text.json:1:4: " },
};

static struct corpus_file files[FILES];
static pthread_barrier_t barrier;
static hg_policy *shared;
static atomic_uint read_well;
static unsigned long allocations; /* of cJSON: written in its parser, on any thread */

static void *allocate(size_t size)
{
    allocations++;
    return malloc(size);
}

static void read_one(unsigned index, bool from_disk)
{
    struct hg_error err = HG_ERROR_INIT;
    hg_policy *policy;
    hg_status status = from_disk ? hg_policy_load(&policy, files[index].path, &err)
                                 : hg_policy_parse(&policy, files[index].text, files[index].length,
                                                   files[index].path, &err);
    CHECK(status == expected[index].status);
    CHECK((policy != NULL) == (status == HG_OK));
    CHECK(strstr(err.message, expected[index].says));
    hg_policy_drop(policy);
    atomic_fetch_add_explicit(&read_well, 1, memory_order_relaxed); /* a count, read after joins */
}

static void *read_many(void *arg)
{
    unsigned self = *(unsigned *)arg;
    (void)pthread_barrier_wait(&barrier);
    for (unsigned i = 0; i < ROUNDS; i++) {
        hg_policy *mine = hg_policy_retain(shared);
        struct hg_retry retry = HG_RETRY_INIT;
        read_one((i + self) % FILES, i % 5 == 0);
        CHECK(hg_policy_retry(mine, "orders", &retry, NULL) == HG_OK);
        CHECK(retry.max_attempts == 2);
        hg_policy_drop(mine);
    }
    hg_policy_drop(shared); /* each thread has a right of its own; the last one frees it */
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    unsigned numbers[THREADS];
    cJSON_Hooks hooks = { .malloc_fn = allocate, .free_fn = free };
    cJSON_InitHooks(&hooks);
    setenv("HERDGATE_CORPUS_PASSWORD", "open sesame", 1);
    for (unsigned i = 0; i < FILES; i++)
        corpus_read(&files[i], expected[i].name);
    for (unsigned i = 0; i < FILES; i++)
        read_one(i, false);
    unsigned long each_once = allocations;
    CHECK(each_once > FILES);
    CHECK(hg_policy_load(&shared, files[0].path, NULL) == HG_OK);
    allocations = 0;
    for (unsigned i = 1; i < THREADS; i++)
        CHECK(hg_policy_retain(shared) == shared);
    CHECK(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
    for (unsigned i = 0; i < THREADS; i++) {
        numbers[i] = i;
        CHECK(pthread_create(&threads[i], NULL, read_many, &numbers[i]) == 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(pthread_barrier_destroy(&barrier) == 0);
    CHECK(atomic_load(&read_well) == THREADS * ROUNDS + FILES);
    CHECK(allocations == each_once * (THREADS * ROUNDS / FILES));
    printf("%u threads, %u policies read\n", (unsigned)THREADS, atomic_load(&read_well));
    return 0;
}
