/* The text and JSON forms of toxics; see toxic.h.
 *
 * A list is cut into items at its commas, and an item into name, value and window. An item whose name
 * is a fault's begins a toxic; the others tell more of the one before them.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/options.h"
#include "tools/common/timing.h"
#include "tools/stress/toxic.h"

/* What a fault's value is. */
enum form { NO_VALUE, REQUESTS, DURATION, RATE, COUNT };

static const struct {
    const char *name;
    enum form form;
    const char *example;
} kinds[HGI_TOXIC_KINDS] = {
    [HGI_TOXIC_LATENCY] = { "latency", DURATION, "latency=50ms" },
    [HGI_TOXIC_SLOW] = { "slow", DURATION, "slow=10ms" },
    [HGI_TOXIC_STALL] = { "stall", NO_VALUE, "stall" },
    [HGI_TOXIC_RESET] = { "reset", NO_VALUE, "reset" },
    [HGI_TOXIC_HALF_REPLY] = { "half_reply", NO_VALUE, "half_reply" },
    [HGI_TOXIC_GARBAGE] = { "garbage", NO_VALUE, "garbage" },
    [HGI_TOXIC_STALL_REQUESTS] = { "stall=requests", REQUESTS, "stall=requests" },
    [HGI_TOXIC_BANDWIDTH] = { "bandwidth", RATE, "bandwidth=64k" },
    [HGI_TOXIC_CLOSE_AFTER] = { "close_after", COUNT, "close_after=3" },
    [HGI_TOXIC_REFUSE] = { "refuse", NO_VALUE, "refuse" },
    [HGI_TOXIC_FORGERY] = { "forgery", NO_VALUE, "forgery" },
};

#define LONGEST_NS (1000 * 3600 * NS_PER_S)

const char *hgi_toxic_name(enum hgi_toxic_kind kind)
{
    return kinds[kind].name;
}

/* One item of the list. */
struct item {
    size_t at; /* where it stands, from 1 */
    char name[24];
    char value[48];
    char from[32];
    char until[32];
    bool has_value;
    bool has_window;
};

static bool copy(char *out, size_t size, const char *from, const char *to)
{
    size_t length = (size_t)(to - from);
    if (length >= size)
        return false;
    memcpy(out, from, length);
    out[length] = '\0';
    return true;
}

/* Cut text..end, which is not empty and has no comma, into its parts. */
static bool cut(struct item *item, const char *text, const char *end, struct hgi_problem *problem)
{
    const char *window = memchr(text, '@', (size_t)(end - text));
    const char *head = window ? window : end;
    const char *equals = memchr(text, '=', (size_t)(head - text));
    item->has_value = equals != NULL;
    item->has_window = window != NULL;
    bool fits = copy(item->name, sizeof item->name, text, equals ? equals : head) &&
                (!equals || copy(item->value, sizeof item->value, equals + 1, head));
    if (!fits)
        return hgi_problem_set(problem,
                               "'%.*s' at character %zu is too long for a fault; "
                               "faults are parted by commas",
                               (int)(end - text > 60 ? 60 : end - text), text, item->at);
    if (!window)
        return true;
    const char *dots = window;
    while (dots + 1 < end && !(dots[0] == '.' && dots[1] == '.'))
        dots++;
    if (dots + 1 < end && copy(item->from, sizeof item->from, window + 1, dots) &&
        copy(item->until, sizeof item->until, dots + 2, end))
        return true;
    return hgi_problem_set(problem,
                           "the window '%.*s' of %s at character %zu is no range, like @1s..3s, "
                           "or @1s.. to the end",
                           (int)(end - window > 60 ? 60 : end - window), window, item->name,
                           item->at);
}

/* A fault that begins like the name, if one does: what a slip of the finger most often leaves. */
static const char *resembling(const char *name)
{
    const char *best = NULL;
    size_t longest = 1;
    for (int i = 0; i < HGI_TOXIC_KINDS; i++) {
        size_t same = 0;
        while (name[same] && name[same] == kinds[i].name[same])
            same++;
        if (same > longest) {
            longest = same;
            best = kinds[i].example;
        }
    }
    return best;
}

static bool unknown(const struct item *item, struct hgi_problem *problem)
{
    const char *best = resembling(item->name);
    if (strncmp(item->name, "ji", 2) == 0)
        best = "jitter=20ms";
    if (strncmp(item->name, "to", 2) == 0)
        best = "toxicity=0.3";
    if (best)
        return hgi_problem_set(problem,
                               "no fault is named '%s' (at character %zu): did you mean %s?",
                               item->name, item->at, best);
    return hgi_problem_set(problem,
                           "no fault is named '%s' (at character %zu); there are latency, slow, "
                           "stall, reset, half_reply, garbage, bandwidth, close_after, refuse and "
                           "forgery",
                           item->name, item->at);
}

static bool parse_count(int64_t *out, const char *text, struct hgi_problem *problem)
{
    char *end;
    long long number = strtoll(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end || number < 1 || number > 1000000000)
        return hgi_problem_set(problem, "'%s' is not a number of replies, from 1 up", text);
    *out = number;
    return true;
}

static bool parse_duration(int64_t *out, const char *text, int64_t least,
                           struct hgi_problem *problem)
{
    if (!hgi_parse_duration(out, text, problem))
        return false;
    return (*out >= least && *out <= LONGEST_NS) ||
           hgi_problem_set(problem, "'%s' is not within 1us to 1000h", text);
}

static bool parse_rate(int64_t *out, const char *text, struct hgi_problem *problem)
{
    if (!hgi_parse_size(out, text, problem))
        return false;
    return (*out >= 1 && *out <= INT64_C(1) << 40) ||
           hgi_problem_set(problem, "'%s' is not within 1 byte to 1024G a second", text);
}

static bool parse_amount(int64_t *out, enum hgi_toxic_kind kind, const char *text,
                         struct hgi_problem *problem)
{
    switch (kinds[kind].form) {
    case DURATION:
        return parse_duration(out, text, NS_PER_US, problem);
    case RATE:
        return parse_rate(out, text, problem);
    case COUNT:
        return parse_count(out, text, problem);
    case REQUESTS:
    case NO_VALUE:
        break;
    }
    return true;
}

/* Which fault the item names. HGI_TOXIC_KINDS: none. */
static enum hgi_toxic_kind kind_of(const struct item *item)
{
    if (strcmp(item->name, "stall") == 0 && strcmp(item->value, "requests") == 0)
        return HGI_TOXIC_STALL_REQUESTS;
    int kind = 0;
    while (kind < HGI_TOXIC_KINDS && strcmp(kinds[kind].name, item->name) != 0)
        kind++;
    return (enum hgi_toxic_kind)kind;
}

/* The item begins a toxic. */
static bool begin(struct hgi_toxics *set, const struct item *item, struct hgi_problem *problem)
{
    struct hgi_problem inner = { .text = "" };
    enum hgi_toxic_kind kind = kind_of(item);
    if (kind == HGI_TOXIC_KINDS)
        return unknown(item, problem);
    bool wants = kinds[kind].form != NO_VALUE;
    if (kind == HGI_TOXIC_STALL && item->has_value)
        return hgi_problem_set(problem,
                               "stall=%s at character %zu: stall holds back replies, "
                               "stall=requests requests",
                               item->value, item->at);
    if (wants != item->has_value)
        return hgi_problem_set(problem, "%s at character %zu %s: like %s", item->name, item->at,
                               wants ? "needs a value" : "takes no value", kinds[kind].example);
    if (set->count == HGI_TOXICS_MAX)
        return hgi_problem_set(problem, "%s at character %zu: more than %d faults", item->name,
                               item->at, HGI_TOXICS_MAX);
    struct hgi_toxic *toxic = &set->toxic[set->count++];
    *toxic = (struct hgi_toxic) { .kind = kind, .toxicity = 1, .until_ns = HGI_TOXIC_ALWAYS };
    return parse_amount(&toxic->amount, kind, item->value, &inner) ||
           hgi_problem_set(problem, "%s at character %zu: %s; like %s", item->name, item->at,
                           inner.text, kinds[kind].example);
}

static bool set_jitter(struct hgi_toxic *toxic, const struct item *item,
                       struct hgi_problem *problem)
{
    struct hgi_problem inner = { .text = "" };
    if (!toxic || toxic->kind != HGI_TOXIC_LATENCY || toxic->jitter_ns != 0)
        return hgi_problem_set(problem,
                               "jitter at character %zu: one belongs behind each latency: "
                               "latency=50ms,jitter=20ms",
                               item->at);
    return parse_duration(&toxic->jitter_ns, item->value, NS_PER_US, &inner) ||
           hgi_problem_set(problem, "jitter at character %zu: %s", item->at, inner.text);
}

static bool set_toxicity(struct hgi_toxic *toxic, const struct item *item,
                         struct hgi_problem *problem)
{
    if (!toxic)
        return hgi_problem_set(problem,
                               "toxicity at character %zu: it belongs behind a fault: "
                               "reset,toxicity=0.3",
                               item->at);
    char *end;
    double share = strtod(item->value, &end);
    bool number = isdigit((unsigned char)item->value[0]) && !strpbrk(item->value, "xX") &&
                  (*end == '\0' || strcmp(end, "%") == 0);
    if (!number || share > 100)
        return hgi_problem_set(problem,
                               "toxicity at character %zu: '%s' is not a share from 0 to 1, "
                               "like 0.3",
                               item->at, item->value);
    if (share > 1 || *end)
        return hgi_problem_set(problem,
                               "toxicity at character %zu: %s is not within 0 to 1: did you "
                               "mean %g?",
                               item->at, item->value, share / 100);
    toxic->toxicity = share;
    return true;
}

static bool set_window(struct hgi_toxic *toxic, const struct item *item,
                       struct hgi_problem *problem)
{
    struct hgi_problem inner = { .text = "" };
    if (toxic->from_ns != 0 || toxic->until_ns != HGI_TOXIC_ALWAYS)
        return hgi_problem_set(problem, "%s at character %zu: the fault has a window already",
                               item->name, item->at);
    bool read = parse_duration(&toxic->from_ns, item->from, 0, &inner) &&
                (!item->until[0] || parse_duration(&toxic->until_ns, item->until, 0, &inner));
    if (!read)
        return hgi_problem_set(problem, "the window of %s at character %zu: %s", item->name,
                               item->at, inner.text);
    return toxic->from_ns < toxic->until_ns ||
           hgi_problem_set(problem,
                           "the window of %s at character %zu ends before it begins; @1s..3s is "
                           "one",
                           item->name, item->at);
}

static bool take(struct hgi_toxics *set, const struct item *item, struct hgi_problem *problem)
{
    struct hgi_toxic *last = set->count ? &set->toxic[set->count - 1] : NULL;
    bool taken;
    if (strcmp(item->name, "jitter") == 0)
        taken = set_jitter(last, item, problem);
    else if (strcmp(item->name, "toxicity") == 0)
        taken = set_toxicity(last, item, problem);
    else
        taken = begin(set, item, problem);
    return taken && (!item->has_window || set_window(&set->toxic[set->count - 1], item, problem));
}

bool hgi_toxics_parse(struct hgi_toxics *set, const char *text, struct hgi_problem *problem)
{
    struct hgi_toxics read = { .seed = set->seed };
    bool empty = text[strspn(text, " ")] == '\0' || strcmp(text, "none") == 0;
    for (const char *at = text; !empty;) {
        at += strspn(at, " ");
        const char *comma = at + strcspn(at, ",");
        const char *end = comma;
        while (end > at && end[-1] == ' ')
            end--;
        struct item item = { .at = (size_t)(at - text) + 1 };
        if (end == at)
            return hgi_problem_set(problem, "a fault is missing at character %zu: like %s", item.at,
                                   "latency=50ms,jitter=20ms");
        if (!cut(&item, at, end, problem) || !take(&read, &item, problem))
            return false;
        if (*comma == '\0')
            break;
        at = comma + 1;
    }
    *set = read;
    return true;
}

/* A text that is written into a buffer, cut where that ends. */
struct writer {
    char *out;
    size_t used;
};

static void put(struct writer *writer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void put(struct writer *writer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int written =
        vsnprintf(writer->out + writer->used, HGI_TOXICS_TEXT - writer->used, format, arguments);
    va_end(arguments);
    writer->used += written > 0 ? (size_t)written : 0;
    if (writer->used >= HGI_TOXICS_TEXT)
        writer->used = HGI_TOXICS_TEXT - 1;
}

/* Exactly: what is read back is the same. */
static void put_duration(struct writer *writer, int64_t ns)
{
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = { { "s", NS_PER_S }, { "ms", NS_PER_MS }, { "us", NS_PER_US }, { "ns", 1 } };
    int unit = 0;
    while (ns % units[unit].ns != 0)
        unit++;
    put(writer, "%" PRId64 "%s", ns / units[unit].ns, units[unit].name);
}

static void put_share(struct writer *writer, double share)
{
    char text[40];
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, share);
        if (strtod(text, NULL) == share)
            break;
    }
    put(writer, ",toxicity=%s", text);
}

static void put_toxic(struct writer *writer, const struct hgi_toxic *toxic)
{
    put(writer, "%s", kinds[toxic->kind].name);
    enum form form = kinds[toxic->kind].form;
    if (form == DURATION) {
        put(writer, "=");
        put_duration(writer, toxic->amount);
    } else if (form == RATE && toxic->amount % 1024 == 0) {
        put(writer, "=%" PRId64 "k", toxic->amount / 1024);
    } else if (form == RATE || form == COUNT) {
        put(writer, "=%" PRId64, toxic->amount);
    }
    if (toxic->jitter_ns != 0) {
        put(writer, ",jitter=");
        put_duration(writer, toxic->jitter_ns);
    }
    if (toxic->toxicity != 1)
        put_share(writer, toxic->toxicity);
    if (toxic->from_ns == 0 && toxic->until_ns == HGI_TOXIC_ALWAYS)
        return;
    put(writer, "@");
    put_duration(writer, toxic->from_ns);
    put(writer, "..");
    if (toxic->until_ns != HGI_TOXIC_ALWAYS)
        put_duration(writer, toxic->until_ns);
}

void hgi_toxics_print(const struct hgi_toxics *set, char out[HGI_TOXICS_TEXT])
{
    struct writer writer = { .out = out };
    if (set->count == 0)
        put(&writer, "none");
    for (uint32_t i = 0; i < set->count; i++) {
        if (i > 0)
            put(&writer, ",");
        put_toxic(&writer, &set->toxic[i]);
    }
}

static cJSON *toxic_json(const struct hgi_toxic *toxic)
{
    static const char *const names[] = {
        [DURATION] = "delay_ns", [RATE] = "bytes_per_second", [COUNT] = "replies"
    };
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "fault", kinds[toxic->kind].name);
    if (kinds[toxic->kind].form >= DURATION)
        cJSON_AddNumberToObject(json, names[kinds[toxic->kind].form], (double)toxic->amount);
    if (toxic->kind == HGI_TOXIC_LATENCY)
        cJSON_AddNumberToObject(json, "jitter_ns", (double)toxic->jitter_ns);
    cJSON_AddNumberToObject(json, "toxicity", toxic->toxicity);
    cJSON_AddNumberToObject(json, "from_ns", (double)toxic->from_ns);
    if (toxic->until_ns != HGI_TOXIC_ALWAYS)
        cJSON_AddNumberToObject(json, "until_ns", (double)toxic->until_ns);
    return json;
}

cJSON *hgi_toxics_json(const struct hgi_toxics *set)
{
    char seed[24]; /* a text: a JSON number is good for 53 bits only */
    snprintf(seed, sizeof seed, "%" PRIu64, set->seed);
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "seed", seed);
    cJSON *faults = cJSON_AddArrayToObject(json, "faults");
    for (uint32_t i = 0; i < set->count; i++)
        cJSON_AddItemToArray(faults, toxic_json(&set->toxic[i]));
    return json;
}
