/* cJSON's parser behind one lock.
 *
 * cJSON keeps the place of its last error in a global that every parse writes, also one that goes well:
 * two threads that parse race. So all parsing of the library passes here; the error's place comes from
 * the call's own out parameter and never from cJSON_GetErrorPtr(). A fork waits for the lock, so that
 * a child never finds it held by a thread that it does not have.
 */
#include "policy/json.h"

#include <pthread.h>
#include <string.h>

#include <cjson/cJSON.h>

/* Guards cJSON's global place of the last error, nothing of ours. */
static pthread_mutex_t parser = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_guard = PTHREAD_ONCE_INIT;

static void lock_parser(void)
{
    pthread_mutex_lock(&parser);
}

static void unlock_parser(void)
{
    pthread_mutex_unlock(&parser);
}

static void guard_forks(void)
{
    pthread_atfork(lock_parser, unlock_parser, unlock_parser);
}

struct cJSON *hgi_json_parse(const char *text, size_t length, size_t *error_offset)
{
    size_t ignored;
    size_t *offset = error_offset ? error_offset : &ignored;
    const char *zero = memchr(text, '\0', length);
    *offset = 0;
    if (zero) { /* white space to cJSON */
        *offset = (size_t)(zero - text);
        return NULL;
    }
    pthread_once(&fork_guard, guard_forks);
    const char *end = text;
    lock_parser();
    /* The terminator is part of what it may read: some versions look one byte too far. */
    struct cJSON *tree = cJSON_ParseWithLengthOpts(text, length + 1, &end, 1);
    unlock_parser();
    if (!tree)
        *offset = (size_t)(end - text) < length ? (size_t)(end - text) : length;
    return tree;
}
