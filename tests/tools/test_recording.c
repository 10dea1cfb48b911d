/* Every single latency, the .hgrm form of their distribution, and the sparks of the screen. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/timing.h"
#include "tools/stress/recording.h"
#include "tools/stress/screen.h"

static char *text;
static size_t size;

static FILE *opened(void)
{
    return open_memstream(&text, &size);
}

Test(recording, nothing_is_kept_unless_it_is_on)
{
    struct hgi_recording recording = { .on = false };
    hgi_recording_add(&recording, 1, 2);
    cr_assert(recording.count == 0 && recording.size == 0);
}

Test(recording, what_is_moved_is_written_once_and_in_order)
{
    struct hgi_recording all = { 0 }, one = { .on = true }, other = { .on = true };
    for (int i = 0; i < 10000; i++)
        hgi_recording_add(&one, 1000 + i, i);
    hgi_recording_add(&other, 5000, 77);
    hgi_recording_move(&all, &one);
    hgi_recording_move(&all, &other);
    cr_assert(one.count == 0 && !one.record && all.count == 10001 && all.lost == 0);
    FILE *out = opened();
    cr_assert(hgi_recording_write(out, &all, 1000, NULL));
    fclose(out);
    cr_assert_eq(strncmp(text, "ended_ns,latency_ns\n0,0\n1,1\n2,2\n", 32), 0);
    cr_assert(strstr(text, "\n9999,9999\n4000,77\n"));
    free(text);
    hgi_recording_free(&all);
}

Test(recording, what_was_lost_is_told)
{
    struct hgi_problem problem;
    struct hgi_recording recording = { .on = true, .lost = 3 };
    FILE *out = opened();
    cr_assert_not(hgi_recording_write(out, &recording, 0, &problem));
    cr_assert(strstr(problem.text, "3 latencies did not fit"));
    fclose(out);
    free(text);
}

/* Each line of a distribution is what the histogram itself says of that percentile. */
Test(hgrm, its_lines_are_the_histograms_percentiles)
{
    struct hgi_histogram *h = calloc(1, sizeof *h);
    for (int i = 1; i <= 20000; i++)
        hgi_histogram_add(h, (int64_t)i * i);
    FILE *out = opened();
    hgi_hgrm_write(out, h);
    fclose(out);
    char *rest = text;
    int lines = 0;
    double value, share, before = -1;
    uint64_t count;
    cr_assert_not_null(strstr(text, "Value     Percentile TotalCount 1/(1-Percentile)\n\n"));
    for (char *line; (line = strtok_r(rest, "\n", &rest));) {
        if (sscanf(line, "%lf %lf %" SCNu64, &value, &share, &count) != 3)
            continue;
        lines++;
        cr_assert(share > before && share <= 1, "%s", line);
        /* A share that is one value's exactly may round to the bucket before or after. */
        double truth = (double)hgi_histogram_percentile(h, share * 100);
        cr_assert_float_eq(value * 1e6, truth, truth / 64 + 1, "%s", line);
        cr_assert((double)count >= share * 20000 - 1e-6, "%s", line);
        before = share;
    }
    cr_assert(lines > 40 && lines < 80, "%d", lines);
    cr_assert(before == 1 && count == 20000);
    free(text);
    free(h);
}

Test(hgrm, an_empty_one_has_its_frame)
{
    struct hgi_histogram *h = calloc(1, sizeof *h);
    FILE *out = opened();
    hgi_hgrm_write(out, h);
    fclose(out);
    cr_assert(strstr(text, "Total count    =            0]"));
    free(text);
    free(h);
}

Test(screen, a_spark_stands_for_a_tenth_of_a_second)
{
    struct hgi_screen screen = { .ascii = true };
    char sparks[HGI_SPARKS_TEXT];
    hgi_screen_note(&screen, 50 * NS_PER_MS, 1000); /* too early */
    cr_assert_eq(screen.sparks, 0);
    hgi_screen_note(&screen, 100 * NS_PER_MS, 800);
    hgi_screen_note(&screen, 200 * NS_PER_MS, 800);
    hgi_screen_note(&screen, 400 * NS_PER_MS, 801); /* two, of half as much each */
    cr_assert_eq(screen.sparks, 4);
    cr_assert_float_eq(screen.spark[0], 8000, 1e-6);
    cr_assert_float_eq(screen.spark[3], 5, 1e-6);
    hgi_screen_sparks(&screen, sparks);
    cr_assert_str_eq(sparks, "# ..");
}

Test(screen, the_oldest_sparks_go_and_any_pause_is_survived)
{
    struct hgi_screen screen = { .ascii = false };
    char sparks[HGI_SPARKS_TEXT];
    for (int64_t i = 1; i <= 100; i++)
        hgi_screen_note(&screen, i * 100 * NS_PER_MS, (uint64_t)(i * i));
    cr_assert_eq(screen.sparks, HGI_SPARKS);
    hgi_screen_sparks(&screen, sparks);
    cr_assert_eq(hgi_text_width(sparks), HGI_SPARKS);
    cr_assert_str_eq(sparks + strlen(sparks) - 3, "█");
    hgi_screen_note(&screen, 3600 * NS_PER_S, 10000);
    cr_assert_eq(screen.sparks, HGI_SPARKS);
    cr_assert_float_eq(screen.spark[0], screen.spark[HGI_SPARKS - 1], 1e-9);
}
