/* The samples of commands, run twice on a real server: what is said to be a read leaves every key as it
 * was, a second run of what is said to be a write leaves what the first one left, and of what must not
 * run twice it makes a difference, in a key or in the answer. So an error in the table or in a sample
 * shows, on whichever side. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "tests/policy/command_samples.h"
#include "tests/tools/check.h"
#include "tools/common/private_server.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

enum { DATABASES = 2 }; /* that samples write to */

static redisContext *server;
static unsigned wrong;

static redisReply *command(int argc, const char **argv, const size_t *lengths)
{
    redisReply *reply = redisCommandArgv(server, argc, argv, lengths);
    CHECK(reply);
    return reply;
}

static redisReply *line(const char *text)
{
    struct words w;
    split(&w, text);
    return command(w.argc, w.argv, w.lengths);
}

static void prepare(const char *sample)
{
    static const char many[] =
        "for i = 1, 400 do redis.call('XADD', 'long', i .. '-1', 'f', 'v') end";
    const char *eval[] = { "EVAL", many, "0" };
    freeReplyObject(line("FLUSHALL"));
    for (size_t i = 0; i < COUNT_OF(sample_keys); i++) {
        redisReply *reply = line(sample_keys[i]);
        CHECK(reply->type != REDIS_REPLY_ERROR);
        freeReplyObject(reply);
    }
    if (strstr(sample, "long"))
        freeReplyObject(command(3, eval, NULL));
}

static uint64_t mix(uint64_t hash, const void *bytes, size_t length)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ at[i]) * UINT64_C(1099511628211);
    return hash;
}

static const uint64_t seed = UINT64_C(14695981039346656037);

/* One command about a key. */
static redisReply *ask(const char *name, const redisReply *key)
{
    const char *argv[] = { name, key->str };
    const size_t lengths[] = { strlen(name), key->len };
    return command(2, argv, lengths);
}

/* Whether a field of a hash expires; no for a server that knows no such thing. */
static bool field_expires(const redisReply *key, const redisReply *field)
{
    const char *argv[] = { "HPTTL", key->str, "FIELDS", "1", field->str };
    const size_t lengths[] = { 5, key->len, 6, 1, field->len };
    redisReply *reply = command(5, argv, lengths);
    const bool expires = reply->elements == 1 && reply->element[0]->integer > 0;
    freeReplyObject(reply);
    return expires;
}

/* Of a set's members or a hash's fields, in any order: it may change while a table grows. */
static uint64_t state_of_members(const redisReply *key, const redisReply *members, bool is_hash)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < members->elements; i += is_hash ? 2 : 1) {
        uint64_t hash = mix(seed, members->element[i]->str, members->element[i]->len);
        if (is_hash) {
            const redisReply *value = members->element[i + 1];
            const bool expires = field_expires(key, members->element[i]);
            hash = mix(mix(hash, value->str, value->len), &expires, sizeof expires);
        }
        sum += hash;
    }
    return sum;
}

/* Of one key: its name, its value (as the server writes it to disk, if its order is its own), and
 * whether it expires, but not when: the second run of a relative expiry is some milliseconds later. */
static uint64_t state_of_key(const redisReply *key)
{
    redisReply *type = ask("TYPE", key), *ttl = ask("PTTL", key);
    const bool is_hash = strcmp(type->str, "hash") == 0, expires = ttl->integer > 0;
    const bool is_set = strcmp(type->str, "set") == 0;
    redisReply *value = ask(is_hash ? "HGETALL" : is_set ? "SMEMBERS" : "DUMP", key);
    CHECK(value->type == (is_hash || is_set ? REDIS_REPLY_ARRAY : REDIS_REPLY_STRING));
    const uint64_t members = state_of_members(key, value, is_hash);
    uint64_t hash = mix(mix(seed, key->str, key->len), &expires, sizeof expires);
    hash = mix(mix(hash, value->str, value->len), &members, sizeof members);
    freeReplyObject(type);
    freeReplyObject(ttl);
    freeReplyObject(value);
    return hash;
}

/* Of all keys of all databases, in whatever order they are listed. */
static uint64_t state(void)
{
    uint64_t sum = 0;
    for (int database = DATABASES - 1; database >= 0; database--) {
        char select[32];
        snprintf(select, sizeof select, "SELECT %d", database);
        freeReplyObject(line(select));
        redisReply *keys = line("KEYS *");
        for (size_t i = 0; i < keys->elements; i++)
            sum += state_of_key(keys->element[i]) * (uint64_t)(database * 2 + 1);
        freeReplyObject(keys);
    }
    return sum;
}

static bool same_answer(const redisReply *one, const redisReply *other)
{
    if (one->type != other->type || one->integer != other->integer ||
        one->elements != other->elements || one->len != other->len ||
        (one->len > 0 && memcmp(one->str, other->str, one->len) != 0))
        return false;
    for (size_t i = 0; i < one->elements; i++)
        if (!same_answer(one->element[i], other->element[i]))
            return false;
    return true;
}

static void complain(const struct command_sample *sample, const char *what,
                     const redisReply *answer)
{
    printf("%s: %s%s%s\n", sample->line, what, answer ? ": " : "",
           answer && answer->str ? answer->str : "");
    wrong++;
}

static void judge_write(const struct command_sample *sample, const redisReply *first,
                        const redisReply *second, bool same_state)
{
    if (first->type == REDIS_REPLY_ERROR)
        complain(sample, "a sample of a write that the server refuses shows nothing", first);
    if (!same_state)
        complain(sample, "a second run leaves something else than the first", NULL);
    if ((second->type == REDIS_REPLY_ERROR) != (sample->note == REFUSED_AGAIN))
        complain(sample, "the answer to the second run", second);
}

static bool is_unknown_here(const struct command_sample *sample, const redisReply *answer)
{
    return sample->note == NEWER && answer->type == REDIS_REPLY_ERROR;
}

static void run_twice(const struct command_sample *sample)
{
    prepare(sample->line);
    const uint64_t before = state();
    redisReply *first = line(sample->line);
    const uint64_t between = state();
    redisReply *second = line(sample->line);
    const bool same_state = state() == between;
    if (is_unknown_here(sample, first))
        printf("%s: not known to this server\n", sample->line);
    else if (sample->kind == HGI_CLASS_READ && sample->note != CACHES && before != between)
        complain(sample, "a read that changes a key", NULL);
    else if (sample->kind == HGI_CLASS_WRITE)
        judge_write(sample, first, second, same_state);
    else if (sample->kind == HGI_CLASS_WRITE_ONCE && sample->note != DOUBT && same_state &&
             same_answer(first, second))
        complain(sample, "a second run makes no difference", first);
    freeReplyObject(first);
    freeReplyObject(second);
}

int main(void)
{
    struct hgi_private_server *private_server;
    struct hgi_problem problem;
    unsigned runs = 0;
    if (!hgi_private_server_start(&private_server, NULL, &problem)) {
        fprintf(stderr, "%s\n", problem.text);
        return 1;
    }
    server = redisConnectUnix(hgi_private_server_socket(private_server));
    CHECK(server && !server->err);
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        if (samples[i].note == NOT_RUN)
            continue;
        run_twice(&samples[i]);
        runs++;
    }
    redisFree(server);
    hgi_private_server_free(private_server);
    printf("%u commands run twice: %u are not what the table says\n", runs, wrong);
    return wrong > 0;
}
