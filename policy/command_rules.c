/* What a command's arguments change in what is known of it.
 *
 * The table says what a command is in its plain form; a rule looks at the options and mends that:
 * SET is a `write`, SET with NX is not. tools/commands/idempotency.tsv gives the reason for each.
 *
 * Invariant: a doubt is settled on the safe side, which is WRITE_ONCE. What the server would refuse
 * (options that do not exist, numbers that are none) may be judged either way: it changes nothing.
 */
#include "policy/command_rules.h"

#include <assert.h>
#include <string.h>

#include "policy/waits.h"

typedef void rule_fn(const struct hgi_arguments *a, struct hgi_command_facts *facts);

bool hgi_argument_is(const struct hgi_arguments *a, int index, const char *word)
{
    if (index >= a->argc || hgi_argument_length(a, index) != strlen(word))
        return false;
    for (size_t i = 0; word[i]; i++) {
        char c = a->argv[index][i];
        if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        if (c != word[i])
            return false;
    }
    return true;
}

static bool is_any(const struct hgi_arguments *a, int index, const char *const *words)
{
    for (; *words; words++)
        if (hgi_argument_is(a, index, *words))
            return true;
    return false;
}

/* The first of `words` from `from` on, before the word `end` (NULL: to the last argument); or 0. */
static int find_any(const struct hgi_arguments *a, int from, const char *const *words,
                    const char *end)
{
    for (int i = from; i < a->argc && !(end && hgi_argument_is(a, i, end)); i++)
        if (is_any(a, i, words))
            return i;
    return 0;
}

static bool same_argument(const struct hgi_arguments *a, int one, int other)
{
    size_t length = hgi_argument_length(a, one);
    return length == hgi_argument_length(a, other) &&
           memcmp(a->argv[one], a->argv[other], length) == 0;
}

/* A signed number in decimal. False: it is none, or not one that matters here. */
static bool read_integer(const struct hgi_arguments *a, int index, long *out)
{
    if (index >= a->argc)
        return false;
    const char *text = a->argv[index];
    size_t length = hgi_argument_length(a, index), at = 0;
    bool negative = length > 0 && text[0] == '-';
    long value = 0;
    at = negative ? 1 : 0;
    if (at == length || length > 15)
        return false;
    for (; at < length; at++) {
        if (text[at] < '0' || text[at] > '9')
            return false;
        value = value * 10 + (text[at] - '0');
    }
    *out = negative ? -value : value;
    return true;
}

/* How long it waits by an argument that is a time; none if it is missing. */
static int64_t read_wait(const struct hgi_arguments *a, int index,
                         int64_t (*read)(const char *text, size_t length))
{
    return index >= 1 && index < a->argc ? read(a->argv[index], hgi_argument_length(a, index)) : 0;
}

static void block_last_seconds(const struct hgi_arguments *a, struct hgi_command_facts *facts)
{
    facts->block_ns = read_wait(a, a->argc - 1, hgi_wait_seconds);
}

static void block_first_seconds(const struct hgi_arguments *a, struct hgi_command_facts *facts)
{
    facts->block_ns = read_wait(a, 1, hgi_wait_seconds);
}

static void block_last_milliseconds(const struct hgi_arguments *a, struct hgi_command_facts *facts)
{
    facts->block_ns = read_wait(a, a->argc - 1, hgi_wait_milliseconds);
}

/* SET key value [options]: who gives a condition, or asks for the old value, asks who won. */
static void set(const struct hgi_arguments *a, struct hgi_command_facts *facts)
{
    static const char *const asks[] = { "NX", "GET", "IFEQ", "IFNE", "IFDEQ", "IFDNE", NULL };
    if (find_any(a, 3, asks, NULL))
        facts->kind = HGI_CLASS_WRITE_ONCE;
}

static const char *const conditions[] = { "NX", "GT", "LT", "FNX", NULL };

/* EXPIRE key time [options] */
static void expire(const struct hgi_arguments *a, struct hgi_command_facts *facts)
{
    if (find_any(a, 3, conditions, NULL))
        facts->kind = HGI_CLASS_WRITE_ONCE;
}

/* HEXPIRE key time [options] FIELDS ..., HSETEX key [options] FIELDS ... */
static void hash_options(const struct hgi_arguments *a, struct hgi_command_facts *facts)
{
    if (find_any(a, 2, conditions, "FIELDS"))
        facts->kind = HGI_CLASS_WRITE_ONCE;
}

static void getex(const struct hgi_arguments *a, struct hgi_command_facts *facts)
{
    if (a->argc == 2)
        facts->kind = HGI_CLASS_READ;
}

static void hgetex(const struct hgi_arguments *a, struct hgi_command_facts *facts)
{
    if (hgi_argument_is(a, 2, "FIELDS"))
        facts->kind = HGI_CLASS_READ;
}

/* ZADD key [options] score member ..., GEOADD key [options] longitude latitude member ...: the
 * options end before the first number. */
static void zadd(const struct hgi_arguments *a, struct hgi_command_facts *facts)
{
    static const char *const options[] = { "NX", "XX", "GT", "LT", "CH", "INCR", NULL };
    for (int i = 2; is_any(a, i, options); i++)
        if (hgi_argument_is(a, i, "NX") || hgi_argument_is(a, i, "INCR"))
            facts->kind = HGI_CLASS_WRITE_ONCE;
}

/* COPY source destination ... [REPLACE], RESTORE key ttl payload [REPLACE], FUNCTION LOAD [REPLACE]
 * code, FUNCTION RESTORE payload [FLUSH|REPLACE]: with it the second run does what the first did.
 * The keys before it and the payload behind it are not looked at. */
static void replace(const struct hgi_arguments *a, struct hgi_command_facts *facts)
{
    static const char *const over[] = { "REPLACE", "FLUSH", NULL };
    int from = hgi_argument_is(a, 0, "COPY") ? 3 : 4;
    bool found;
    if (hgi_argument_is(a, 0, "FUNCTION") && hgi_argument_is(a, 1, "LOAD"))
        found = a->argc == 4 && hgi_argument_is(a, 2, "REPLACE");
    else if (hgi_argument_is(a, 0, "FUNCTION"))
        found = a->argc == 4 && is_any(a, 3, over);
    else
        found = find_any(a, from, over, NULL) != 0;
    if (found)
        facts->kind = HGI_CLASS_WRITE;
}

/* LREM key count element: count 0 removes all there are. */
static void lrem(const struct hgi_arguments *a, struct hgi_command_facts *facts)
{
    long count;
    if (read_integer(a, 2, &count) && count == 0)
        facts->kind = HGI_CLASS_WRITE;
}

/* LTRIM key start stop: the same twice if it keeps the first n, the last n, or nothing. */
static void ltrim(const struct hgi_arguments *a, struct hgi_command_facts *facts)
{
    long start, stop;
    if (!read_integer(a, 2, &start) || !read_integer(a, 3, &stop))
        return;
    bool keeps_first = start == 0 && stop >= 0;
    bool keeps_last = stop == -1 && start <= 0;
    bool keeps_nothing = start > stop && (start < 0) == (stop < 0);
    if (keeps_first || keeps_last || keeps_nothing)
        facts->kind = HGI_CLASS_WRITE;
}

/* The destination is argv[at]. If it is among the arguments behind it, it may be its own source:
 * the second run starts from what the first one made: ZUNIONSTORE sum 2 sum today. */
static void store_at(const struct hgi_arguments *a, int at, struct hgi_command_facts *facts)
{
    for (int i = at + 1; i < a->argc; i++)
        if (same_argument(a, at, i))
            facts->kind = HGI_CLASS_WRITE_ONCE;
}

static void store_at_1(const struct hgi_arguments *a, struct hgi_command_facts *facts)
{
    store_at(a, 1, facts);
}

static void store_at_2(const struct hgi_arguments *a, struct hgi_command_facts *facts)
{
    store_at(a, 2, facts);
}

/* It writes into argv[destination], from argv[1]. */
static void stores_into(const struct hgi_arguments *a, int destination,
                        struct hgi_command_facts *facts)
{
    if (destination >= a->argc)
        return;
    bool once = same_argument(a, 1, destination) || facts->kind == HGI_CLASS_WRITE_ONCE;
    facts->kind = once ? HGI_CLASS_WRITE_ONCE : HGI_CLASS_WRITE;
}

/* A key of this pattern, weight_* or user_*->age, can be argv[destination]: what stands before the star
 * is enough of a doubt. Without a star it names no key. */
static bool can_name(const struct hgi_arguments *a, int pattern, int destination)
{
    if (pattern >= a->argc || destination >= a->argc)
        return false;
    const char *text = a->argv[pattern];
    const char *star = memchr(text, '*', hgi_argument_length(a, pattern));
    size_t before = star ? (size_t)(star - text) : 0;
    return star && hgi_argument_length(a, destination) >= before &&
           memcmp(a->argv[destination], text, before) == 0;
}

/* SORT key [BY pattern] [LIMIT offset count] [GET pattern ...] [STORE destination] ...
 * What is sorted, and what it is sorted by, may be what the first run stored. */
static void sort(const struct hgi_arguments *a, struct hgi_command_facts *facts)
{
    int destination = 0;
    for (int i = 2; i < a->argc; i++) {
        if (hgi_argument_is(a, i, "STORE"))
            stores_into(a, destination = ++i, facts);
        else if (hgi_argument_is(a, i, "BY") || hgi_argument_is(a, i, "GET"))
            i += 1;
        else if (hgi_argument_is(a, i, "LIMIT"))
            i += 2;
    }
    for (int i = 2; i < a->argc && destination > 0; i++)
        if ((hgi_argument_is(a, i, "BY") || hgi_argument_is(a, i, "GET")) &&
            can_name(a, i + 1, destination))
            facts->kind = HGI_CLASS_WRITE_ONCE;
}

static void georadius_options(const struct hgi_arguments *a, int from,
                              struct hgi_command_facts *facts)
{
    for (int i = from; i < a->argc; i++) {
        if (hgi_argument_is(a, i, "STORE") || hgi_argument_is(a, i, "STOREDIST"))
            stores_into(a, ++i, facts);
        else if (hgi_argument_is(a, i, "COUNT"))
            i += 1;
    }
}

/* GEORADIUS key longitude latitude radius unit [options] */
static void georadius(const struct hgi_arguments *a, struct hgi_command_facts *facts)
{
    georadius_options(a, 6, facts);
}

/* GEORADIUSBYMEMBER key member radius unit [options] */
static void georadiusbymember(const struct hgi_arguments *a, struct hgi_command_facts *facts)
{
    georadius_options(a, 5, facts);
}

/* BITFIELD key [GET type offset | SET type offset value | INCRBY type offset n | OVERFLOW x] ... */
static void bitfield(const struct hgi_arguments *a, struct hgi_command_facts *facts)
{
    enum hgi_class_kind kind = HGI_CLASS_READ;
    for (int i = 2; i < a->argc;) {
        if (hgi_argument_is(a, i, "GET")) {
            i += 3;
        } else if (hgi_argument_is(a, i, "OVERFLOW")) {
            i += 2;
        } else if (hgi_argument_is(a, i, "SET")) {
            i += 4;
            if (kind == HGI_CLASS_READ)
                kind = HGI_CLASS_WRITE;
        } else { /* INCRBY, or what is not known */
            i += 4;
            kind = HGI_CLASS_WRITE_ONCE;
        }
    }
    facts->kind = kind;
}

/* A whole ID, 1526919030474-55 or 1526919030474: nothing of it is left to the server. */
static bool is_whole_id(const struct hgi_arguments *a, int index)
{
    size_t length = hgi_argument_length(a, index), dashes = 0;
    const char *text = a->argv[index];
    for (size_t i = 0; i < length; i++) {
        bool dash = text[i] == '-' && i > 0 && i + 1 < length;
        if (!dash && !(text[i] >= '0' && text[i] <= '9'))
            return false;
        dashes += dash;
    }
    return length > 0 && dashes <= 1;
}

/* XADD key [NOMKSTREAM] [MAXLEN|MINID [=|~] threshold [LIMIT n]] id field value ... */
static void xadd(const struct hgi_arguments *a, struct hgi_command_facts *facts)
{
    static const char *const flags[] = { "NOMKSTREAM", "KEEPREF", "DELREF", "ACKED", NULL };
    int i = 2;
    while (i < a->argc) {
        if (is_any(a, i, flags)) {
            i += 1;
        } else if (hgi_argument_is(a, i, "MAXLEN") || hgi_argument_is(a, i, "MINID")) {
            bool how = hgi_argument_is(a, i + 1, "=") || hgi_argument_is(a, i + 1, "~");
            i += how ? 3 : 2;
        } else if (hgi_argument_is(a, i, "LIMIT")) {
            i += 2;
        } else {
            break;
        }
    }
    if (i < a->argc && is_whole_id(a, i))
        facts->kind = HGI_CLASS_WRITE;
}

/* XREAD [COUNT n] [BLOCK ms] STREAMS ..., XREADGROUP [GROUP group consumer] ... the same. */
static void xread(const struct hgi_arguments *a, struct hgi_command_facts *facts)
{
    for (int i = 1; i < a->argc && !hgi_argument_is(a, i, "STREAMS"); i++) {
        if (hgi_argument_is(a, i, "BLOCK")) {
            facts->kind = HGI_CLASS_BLOCKING;
            facts->block_ns = read_wait(a, ++i, hgi_wait_milliseconds);
        } else if (hgi_argument_is(a, i, "COUNT") || hgi_argument_is(a, i, "CLAIM")) {
            i += 1;
        } else if (hgi_argument_is(a, i, "GROUP")) {
            i += 2;
        }
    }
}

/* XTRIM key MAXLEN|MINID [=|~] threshold [LIMIT n]: a run by ~ ends when it has removed n entries (10,000
 * or so if nothing is said), and the next one goes on; without a limit it removes all that it will. */
static void xtrim(const struct hgi_arguments *a, struct hgi_command_facts *facts)
{
    static const char *const nearly[] = { "~", NULL };
    static const char *const limit[] = { "LIMIT", NULL };
    long count = -1;
    int at = find_any(a, 4, limit, NULL);
    if (at > 0)
        (void)read_integer(a, at + 1, &count);
    if (find_any(a, 2, nearly, NULL) && count != 0)
        facts->kind = HGI_CLASS_WRITE_ONCE;
}

/* MIGRATE host port key|"" database timeout [COPY] [REPLACE] [AUTH password | AUTH2 user password]
 * [KEYS key ...]. A password is not taken for the word KEYS, nor for what is behind it. */
static void migrate(const struct hgi_arguments *a, struct hgi_command_facts *facts)
{
    if (facts->key_index == 0 || hgi_argument_length(a, facts->key_index) > 0)
        return;
    int at = 6;
    for (; at < a->argc && !hgi_argument_is(a, at, "KEYS"); at++) {
        if (hgi_argument_is(a, at, "AUTH"))
            at += 1;
        else if (hgi_argument_is(a, at, "AUTH2"))
            at += 2;
    }
    facts->key_index = at + 1 < a->argc ? at + 1 : 0;
}

static void acl_log(const struct hgi_arguments *a, struct hgi_command_facts *facts)
{
    if (hgi_argument_is(a, 2, "RESET"))
        facts->kind = HGI_CLASS_ADMIN;
}

static rule_fn *const rules[HGI_RULES] = {
    [HGI_RULE_ACL_LOG] = acl_log,
    [HGI_RULE_BITFIELD] = bitfield,
    [HGI_RULE_BLOCK_FIRST_SECONDS] = block_first_seconds,
    [HGI_RULE_BLOCK_LAST_MILLISECONDS] = block_last_milliseconds,
    [HGI_RULE_BLOCK_LAST_SECONDS] = block_last_seconds,
    [HGI_RULE_EXPIRE] = expire,
    [HGI_RULE_GEORADIUS] = georadius,
    [HGI_RULE_GEORADIUSBYMEMBER] = georadiusbymember,
    [HGI_RULE_GETEX] = getex,
    [HGI_RULE_HASH_OPTIONS] = hash_options,
    [HGI_RULE_HGETEX] = hgetex,
    [HGI_RULE_LREM] = lrem,
    [HGI_RULE_LTRIM] = ltrim,
    [HGI_RULE_MIGRATE] = migrate,
    [HGI_RULE_REPLACE] = replace,
    [HGI_RULE_SET] = set,
    [HGI_RULE_SORT] = sort,
    [HGI_RULE_STORE_AT_1] = store_at_1,
    [HGI_RULE_STORE_AT_2] = store_at_2,
    [HGI_RULE_XADD] = xadd,
    [HGI_RULE_XREAD] = xread,
    [HGI_RULE_XTRIM] = xtrim,
    [HGI_RULE_ZADD] = zadd,
};

void hgi_command_rule_apply(enum hgi_command_rule_id rule, const struct hgi_arguments *arguments,
                            struct hgi_command_facts *facts)
{
    assert(rule < HGI_RULES);
    if (rules[rule])
        rules[rule](arguments, facts);
}
