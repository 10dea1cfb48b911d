/* Reading a policy when memory ends: each allocation fails in its turn, and each time the result is
 * HG_ERR_NO_MEMORY (or what it would have been without that allocation), without a leak.
 *
 * The linker puts the functions below in the place of the library's malloc(), calloc(), realloc() and
 * fopen(); cJSON, which is a shared library, is told to use them too. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <herdgate/policy.h>

#include "tests/policy/corpus_file.h"

/* The linker's names for the two sides of a wrapped function.
 * NOLINTBEGIN(readability-identifier-naming) */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *at, size_t size);
void __real_free(void *at);
FILE *__real_fopen(const char *path, const char *mode);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *at, size_t size);
void __wrap_free(void *at);
FILE *__wrap_fopen(const char *path, const char *mode);

static long asked;    /* allocations so far */
static long fail_at;  /* this one fails; 0: none */
static bool for_ever; /* and so do all after it */
static long live;     /* allocated and not freed */

static bool is_refused(void)
{
    asked++;
    return fail_at > 0 && (asked == fail_at || (for_ever && asked > fail_at));
}

static void *counted(void *at)
{
    live += at != NULL;
    return at;
}

void *__wrap_malloc(size_t size)
{
    return is_refused() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return is_refused() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *at, size_t size)
{
    if (is_refused())
        return NULL;
    void *moved = __real_realloc(at, size);
    live += !at && moved;
    return moved;
}

void __wrap_free(void *at)
{
    live -= at != NULL;
    __real_free(at);
}

FILE *__wrap_fopen(const char *path, const char *mode)
{
    if (!is_refused())
        return __real_fopen(path, mode);
    errno = ENOMEM;
    return NULL;
}

/* NOLINTEND(readability-identifier-naming) */

typedef hg_status (*read_fn)(hg_policy **out, const struct corpus_file *file, struct hg_error *err);

static hg_status parse(hg_policy **out, const struct corpus_file *file, struct hg_error *err)
{
    return hg_policy_parse(out, file->text, file->length, file->path, err);
}

static hg_status load(hg_policy **out, const struct corpus_file *file, struct hg_error *err)
{
    return hg_policy_load(out, file->path, err);
}

/* Read with the failure that is set; true: an allocation did fail. */
static bool try_once(read_fn read, const struct corpus_file *file, hg_status expected)
{
    struct hg_error err = HG_ERROR_INIT;
    hg_policy *policy = (hg_policy *)&err;
    long before = live;
    asked = 0;
    hg_status status = read(&policy, file, &err);
    bool failed = fail_at > 0 && asked >= fail_at;
    CHECK(status == (failed ? HG_ERR_NO_MEMORY : expected));
    CHECK(err.type == status);
    CHECK((policy != NULL) == (status == HG_OK));
    CHECK(status == HG_OK || err.message[0]);
    hg_policy_drop(policy);
    CHECK(live == before);
    return failed;
}

static void fail_each_in_turn(read_fn read, const char *name, hg_status expected)
{
    struct corpus_file file;
    long number = 0;
    corpus_read(&file, name);
    for (int both = 0; both < 2; both++) {
        for_ever = both;
        number = 0;
        do
            fail_at = ++number;
        while (try_once(read, &file, expected));
    }
    fail_at = 0;
    (void)try_once(read, &file, expected);
    CHECK(number > 3);
    printf("%s: %ld allocations\n", name, number - 1);
}

int main(void)
{
    cJSON_Hooks hooks = { .malloc_fn = __wrap_malloc, .free_fn = __wrap_free };
    cJSON_InitHooks(&hooks);
    setenv("HERDGATE_CORPUS_PASSWORD", "open sesame", 1);
    fail_each_in_turn(parse, "good/every-key.json", HG_OK);
    fail_each_in_turn(load, "good/every-key.json", HG_OK);
    fail_each_in_turn(parse, "good/own-classes.json", HG_OK);
    fail_each_in_turn(parse, "good/class-errors.json", HG_OK);
    fail_each_in_turn(parse, "bad/class-error-recovery-unknown.json", HG_ERR_VALIDATION);
    fail_each_in_turn(load, "bad/error-misspelt.json", HG_ERR_VALIDATION);
    fail_each_in_turn(parse, "bad/command-twice.json", HG_ERR_VALIDATION);
    fail_each_in_turn(load, "bad/password-file-missing.json", HG_ERR_VALIDATION);
    return 0;
}
