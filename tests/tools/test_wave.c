/* The wave of retries and of first probes, by the library's own delays and without a clock. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tools/markup.h"
#include "tools/common/timing.h"
#include "tools/stress/simulate_wave.h"
#include "tools/stress/wave.h"

static struct hgi_wave_result *result_of(uint64_t seed, uint32_t attempts, hg_jitter jitter)
{
    struct hgi_wave_result *result = malloc(sizeof *result);
    struct hgi_wave wave = { .clients = 400, .seed = seed };
    cr_assert(hg_retry_preset(&wave.retry, "conservative", NULL) >= 0);
    wave.retry.max_attempts = attempts;
    wave.retry.initial_delay_ns = 400 * NS_PER_MS;
    hgi_wave_run(result, &wave, jitter, NULL);
    return result;
}

Test(wave, full_jitter_lowers_the_peak_of_400_callers_at_least_four_times)
{
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct hgi_wave_result *none = result_of(seed, 3, HG_JITTER_NONE);
        struct hgi_wave_result *full = result_of(seed, 3, HG_JITTER_FULL);
        cr_assert_eq(none->peak, 400);
        cr_assert_eq(none->events, 800);
        cr_assert_eq(full->events, 800);
        cr_assert(4 * full->peak <= none->peak, "seed %d: %u", (int)seed, full->peak);
        free(none);
        free(full);
    }
}

Test(wave, without_jitter_all_are_in_the_buckets_of_the_delays)
{
    struct hgi_wave_result *none = result_of(1, 3, HG_JITTER_NONE);
    cr_assert_eq(none->bucket[40], 400);
    cr_assert_eq(none->bucket[120], 400); /* 400 ms and 800 ms more */
    free(none);
}

Test(wave, each_jitter_spreads_as_far_as_it_says)
{
    struct hgi_wave_result *additive = result_of(1, 2, HG_JITTER_ADDITIVE);
    struct hgi_wave_result *equal = result_of(1, 2, HG_JITTER_EQUAL);
    for (uint32_t b = 0; b < 100; b++) {
        cr_assert(additive->bucket[b] == 0 || (b >= 40 && b <= 44), "%u", b);
        cr_assert(equal->bucket[b] == 0 || (b >= 20 && b <= 40), "%u", b);
    }
    free(additive);
    free(equal);
}

Test(wave, the_same_seed_gives_the_same_wave_and_another_one_another)
{
    int64_t draws[3][400];
    struct hgi_wave wave = { .clients = 400, .seed = 1 };
    struct hgi_wave_result *result = malloc(sizeof *result);
    cr_assert(hg_retry_preset(&wave.retry, "aggressive", NULL) >= 0);
    for (int i = 0; i < 3; i++) {
        wave.seed = i < 2 ? 1 : 2;
        hgi_wave_run(result, &wave, HG_JITTER_FULL, draws[i]);
    }
    cr_assert_arr_eq(draws[0], draws[1], sizeof draws[0]);
    cr_assert(memcmp(draws[0], draws[2], sizeof draws[0]) != 0);
    free(result);
}

Test(wave, of_20_breakers_that_opened_together_at_most_5_probe_in_the_same_10_ms)
{
    struct hgi_problem problem;
    struct hgi_wave wave = { .breakers = 20, .recovery_ns = NS_PER_S, .seed = 1 };
    struct hgi_wave_result *result = malloc(sizeof *result);
    int64_t open_ns[2][20];
    for (int i = 0; i < 2; i++) {
        cr_assert(hgi_wave_breakers(result, &wave, true, open_ns[i], &problem), "%s", problem.text);
        cr_assert_eq(result->events, 20);
        cr_assert(result->peak <= 5, "%u", result->peak);
    }
    cr_assert_arr_eq(open_ns[0], open_ns[1], sizeof open_ns[0]);
    for (int i = 0; i < 20; i++)
        cr_assert(open_ns[0][i] >= 790 * NS_PER_MS && open_ns[0][i] <= 1004 * NS_PER_MS, "%ld",
                  (long)open_ns[0][i]);
    cr_assert(hgi_wave_breakers(result, &wave, false, NULL, &problem));
    cr_assert_eq(result->peak, 20);
    free(result);
}

Test(wave, breakers_that_cannot_be_are_refused_in_words)
{
    struct hgi_problem problem = { .text = "" };
    struct hgi_wave wave = { .breakers = 1, .recovery_ns = 1, .seed = 1 };
    struct hgi_wave_result *result = malloc(sizeof *result);
    cr_assert_not(hgi_wave_breakers(result, &wave, true, NULL, &problem));
    cr_assert(problem.text[0]);
    free(result);
}

Test(wave, one_that_lasts_longer_than_it_is_looked_at_is_refused)
{
    struct hgi_problem problem;
    struct hgi_wave wave = { .clients = 1 };
    cr_assert(hg_retry_preset(&wave.retry, "conservative", NULL) >= 0);
    wave.retry.max_delay_ns = 27 * NS_PER_S; /* twice, and a tenth for additive jitter: 59.4 s */
    cr_assert(hgi_wave_fits(&wave, &problem));
    wave.retry.max_delay_ns = 28 * NS_PER_S;
    cr_assert_not(hgi_wave_fits(&wave, &problem));
    cr_assert(strstr(problem.text, "--cap") && strstr(problem.text, "62 s") &&
                  strstr(problem.text, "60 s"),
              "%s", problem.text);
}

/* --- the page --- */

static struct hgi_waves *made_waves(void)
{
    struct hgi_waves *w = calloc(1, sizeof *w);
    struct hgi_problem problem;
    w->wave = (struct hgi_wave) { .clients = 400, .breakers = 20, .recovery_ns = NS_PER_S };
    cr_assert(hg_retry_preset(&w->wave.retry, "conservative", NULL) >= 0);
    w->wave.retry.initial_delay_ns = 400 * NS_PER_MS;
    w->wave.seed = 1;
    w->stamp = (struct hgi_stamp) { .command = "herdgate-stress simulate '<script>x&y</script>'",
                                    .herdgate = "0.1.0",
                                    .began_at = "2026-01-01T00:00:00Z" };
    for (size_t i = 0; i < HGI_WAVE_JITTERS; i++)
        hgi_wave_run(&w->retries[0][i], &w->wave, hgi_wave_jitters[i], NULL);
    for (int jittered = 0; jittered < 2; jittered++)
        cr_assert(hgi_wave_breakers(&w->probes[0][jittered], &w->wave, jittered, NULL, &problem));
    return w;
}

/* Not inlined: gcc 12 takes the stream's memory for `text` itself then, and says that it dangles. */
static __attribute__((noinline)) char *page_of(const struct hgi_waves *w)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    cr_assert(hgi_waves_html(out, w, NULL));
    fclose(out);
    return text;
}

static size_t times(const char *text, const char *word)
{
    size_t count = 0;
    for (; (text = strstr(text, word)); text += strlen(word))
        count++;
    return count;
}

Test(wave, the_page_shows_each_jitter_to_one_scale_and_escapes_what_comes_from_outside)
{
    char headline[200];
    struct hgi_waves *w = made_waves();
    char *page = page_of(w);
    const char *wrong = unbalanced(page);
    cr_assert_null(wrong, "%.60s", wrong);
    cr_assert_null(strstr(page, "<script"));
    cr_assert(strstr(page, "&lt;script&gt;x&amp;y&lt;/script&gt;"));
    snprintf(headline, sizeof headline,
             "400 try again in the same 10 ms without jitter, and at most %u",
             w->retries[0][2].peak);
    cr_assert(strstr(page, headline), "%s", headline);
    cr_assert_eq(times(page, "<svg class=\"panel\""), HGI_WAVE_JITTERS);
    /* The same lines in each: the highest one is of 400 retries, the seconds are the same. */
    cr_assert_eq(times(page, ">400</text>"), HGI_WAVE_JITTERS);
    cr_assert_eq(times(page, ">1 s</text>"), HGI_WAVE_JITTERS);
    cr_assert_eq(times(page, ": 400 retries in 10 ms"), 2,
                 "of the 400 callers without jitter, twice");
    free(page);
    free(w);
}

Test(wave, the_page_can_be_made_of_a_run_that_was_interrupted)
{
    struct hgi_waves *w = made_waves();
    w->real = true;
    w->stamp.interrupted = true;
    w->retries[1][0] = w->retries[0][0];
    char *page = page_of(w);
    cr_assert_null(unbalanced(page));
    cr_assert_null(strstr(page, "nan"));
    cr_assert_null(strstr(page, "inf"));
    cr_assert_eq(times(page, "interrupted before"), HGI_WAVE_JITTERS - 1);
    free(page);
    free(w);
}
