/* Making and judging a shared breaker's segment.
 *
 * One function fills; the check fills another one from the settings that it finds and compares. So
 * there is one place that says what a setting means, and no value in a segment that nobody has looked
 * at: what is not a setting is the word, which the machine judges, and counts, of which any is legal.
 */
#include "breaker/segment.h"

#include <string.h>

#include "breaker/clock.h"
#include "breaker/error.h"
#include "breaker/options.h"

/* The parts of both structs that are settings have no padding, so bytes can be compared. */
#define MACHINE_SIZE (offsetof(struct hgi_machine, open_ticks) + HGI_STREAK_MAX * sizeof(uint32_t))
#define WINDOW_HEAD offsetof(struct hgi_window, looked)

static_assert(offsetof(struct hgi_machine, open_ticks) == 24, "no padding in the settings");
static_assert(WINDOW_HEAD == 48, "no padding in the window's settings");

void hgi_segment_fill(struct hgi_segment *segment, const struct hg_breaker_options *options,
                      uint32_t generation, uint64_t time_namespace)
{
    struct hg_breaker *breaker = &segment->breaker;
    memset(segment, 0, sizeof *segment);
    /* relaxed: nobody else sees the segment before it is linked to its name. */
    atomic_store_explicit(&breaker->word, (uint64_t)generation << HGI_GENERATION_SHIFT,
                          memory_order_relaxed);
    hgi_options_decode(&breaker->machine, options);
    breaker->permit_age_ns = hgi_options_permit_age(&breaker->machine);
    breaker->flags = HGI_IS_SHARED | (options->window_length_ns > 0 ? HGI_HAS_WINDOW : 0);
    /* Also where there is none: a thread that comes from a segment with a window, mapped here before,
     * may add a last call to it. */
    struct hg_breaker_options window = *options;
    if (window.window_length_ns == 0)
        window = (struct hg_breaker_options)HG_BREAKER_OPTIONS_INIT;
    if (window.window_length_ns == 0)
        window.window_length_ns = 10 * HGI_NS_PER_S;
    hgi_window_init((struct hgi_window *)segment->window, &window, 0);
    segment->magic = HGI_SEGMENT_MAGIC;
    segment->version = HGI_SEGMENT_VERSION;
    segment->size = sizeof *segment;
    segment->time_namespace = time_namespace;
    struct hg_breaker_options kept = *options;
    kept.count_calls = false; /* about this process, not about the breaker */
    kept.on_mismatch = HG_MISMATCH_ADOPT;
    memcpy(segment->options, &kept, sizeof kept);
}

void hgi_segment_options(const struct hgi_segment *segment, struct hg_breaker_options *options)
{
    memcpy(options, segment->options, sizeof *options);
}

static hg_status check_head(const struct hgi_segment *segment, uint64_t time_namespace,
                            struct hg_error *err)
{
    if (segment->magic != HGI_SEGMENT_MAGIC)
        return hgi_error_set(err, HG_ERR_VALIDATION, "is not a breaker of herdgate");
    if (segment->version != HGI_SEGMENT_VERSION || segment->size != sizeof *segment)
        return hgi_error_set(err, HG_ERR_VALIDATION,
                             "has layout %u of %u bytes, of another version of herdgate; this one "
                             "has layout %d of %zu",
                             segment->version, segment->size, HGI_SEGMENT_VERSION, sizeof *segment);
    if (segment->time_namespace != time_namespace)
        return hgi_error_set(
            err, HG_ERR_VALIDATION,
            "was made in another time namespace (%llu, here %llu), where the clock "
            "says something else; share it within one",
            (unsigned long long)segment->time_namespace, (unsigned long long)time_namespace);
    return HG_OK;
}

/* The settings, copied out, so that what was judged is what is used. */
static hg_status check_options(const struct hgi_segment *segment,
                               struct hg_breaker_options *options, struct hg_error *err)
{
    union {
        struct hg_breaker_options options;
        unsigned char bytes[HGI_SEGMENT_OPTIONS_SIZE];
    } stored;
    struct hg_error inner = HG_ERROR_INIT;
    memcpy(stored.bytes, segment->options, sizeof stored.bytes);
    if (stored.options.size != sizeof stored.options)
        return hgi_error_set(err, HG_ERR_VALIDATION, "is damaged: its settings have %zu bytes",
                             stored.options.size);
    if (hgi_options_read(options, &stored.options, &inner) < 0)
        return hgi_error_set(err, HG_ERR_VALIDATION, "is damaged: its setting %s", inner.message);
    if (options->seed == 0)
        return hgi_error_set(err, HG_ERR_VALIDATION, "is damaged: its setting seed is 0");
    return HG_OK;
}

hg_status hgi_segment_check(const struct hgi_segment *segment, uint64_t time_namespace,
                            struct hg_breaker_options *options, struct hg_error *err)
{
    struct hgi_segment expected;
    const struct hg_breaker *breaker = &segment->breaker;
    hg_status status = check_head(segment, time_namespace, err);
    if (status == HG_OK)
        status = check_options(segment, options, err);
    if (status < 0)
        return status;
    hgi_segment_fill(&expected, options, 0, time_namespace);
    if (breaker->flags != expected.breaker.flags ||
        breaker->permit_age_ns != expected.breaker.permit_age_ns ||
        memcmp(&breaker->machine, &expected.breaker.machine, MACHINE_SIZE) != 0 ||
        memcmp(segment->window, expected.window, WINDOW_HEAD) != 0)
        return hgi_error_set(err, HG_ERR_VALIDATION,
                             "is damaged: its settings are not what they were made from");
    /* relaxed: looked at, not acted on. */
    uint64_t word = atomic_load_explicit(&breaker->word, memory_order_relaxed);
    if (!hgi_word_is_legal(&expected.breaker.machine, word))
        return hgi_error_set(err, HG_ERR_VALIDATION,
                             "is damaged: its word is %016llx, which no breaker can come to",
                             (unsigned long long)word);
    options->count_calls = false; /* whatever byte is there */
    hgi_error_clear(err);
    return HG_OK;
}
