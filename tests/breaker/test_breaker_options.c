/* What cannot work is refused, with a message that names the field and its limits. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "tests/breaker/fixture.h"

static struct hg_breaker_options options;

static void set_up(void)
{
    options = (struct hg_breaker_options)HG_BREAKER_OPTIONS_INIT;
}

TestSuite(breaker_options, .init = set_up);

static void is_refused(const char *field, const char *limit)
{
    hg_breaker *breaker = (hg_breaker *)&options;
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_breaker_new(&breaker, &options, &err), HG_ERR_VALIDATION, "%s", field);
    cr_assert_null(breaker);
    cr_assert(strstr(err.message, field), "%s: %s", field, err.message);
    cr_assert(strstr(err.message, limit), "%s: %s", limit, err.message);
    cr_assert_eq(hg_breaker_new(&breaker, &options, NULL), HG_ERR_VALIDATION);
    set_up();
}

static void is_taken(void)
{
    hg_breaker *breaker;
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_breaker_new(&breaker, &options, &err), HG_OK, "%s", err.message);
    hg_permit permit;
    cr_assert(hg_breaker_admit(breaker, &permit));
    hg_breaker_trip(breaker);
    cr_assert_gt(hg_breaker_retry_after(breaker), 0);
    hg_breaker_free(breaker);
    set_up();
}

#define REFUSED(field, value, limit) \
    do {                             \
        options.field = (value);     \
        is_refused(#field, limit);   \
    } while (0)

Test(breaker_options, defaults_and_no_options_at_all_work)
{
    hg_breaker *breaker;
    is_taken();
    cr_assert_eq(hg_breaker_new(&breaker, NULL, NULL), HG_OK);
    hg_breaker_free(breaker);
}

Test(breaker_options, each_field_has_its_limits)
{
    REFUSED(failure_threshold, 65536, "65535");
    REFUSED(half_open_max_calls, 0, "1 to 255");
    REFUSED(half_open_max_calls, 256, "255");
    REFUSED(success_threshold, 0, "1 to");
    REFUSED(success_threshold, 4, "half_open_max_calls, 3");
    REFUSED(recovery_timeout_ns, 9999999, "10000000");
    REFUSED(recovery_timeout_ns, -1, "10000000");
    REFUSED(recovery_timeout_ns, INT64_MAX, "67108864000000");
    REFUSED(recovery_multiplier, 0.99, "1 to");
    REFUSED(recovery_multiplier, (double)NAN, "1 to");
    REFUSED(recovery_multiplier, (double)INFINITY, "1 to");
    REFUSED(recovery_timeout_max_ns, 999999999, "recovery_timeout_ns, 1000000000");
    REFUSED(recovery_jitter, 1.01, "0 to 1");
    REFUSED(recovery_jitter, -0.01, "0 to 1");
    REFUSED(probe_lease_ns, 0, "10000000");
    REFUSED(probe_lease_ns, INT64_MAX, "67108864000000");
}

Test(breaker_options, the_window_has_its_limits_once_it_is_on)
{
    options.window_min_calls = 0;
    is_taken();
    REFUSED(window_length_ns, 1, "1000000000");
    REFUSED(window_length_ns, INT64_MAX, "600000000000");
    options.window_length_ns = HGI_NS_PER_S;
    REFUSED(window_min_calls, 0, "1 to 1000000");
    options.window_length_ns = HGI_NS_PER_S;
    REFUSED(window_failure_rate, 0, "to 1");
    options.window_length_ns = HGI_NS_PER_S;
    REFUSED(window_failure_rate, 50, "to 1");
    options.window_length_ns = HGI_NS_PER_S;
    REFUSED(window_slow_rate, 0, "to 1");
    options.window_length_ns = HGI_NS_PER_S;
    REFUSED(window_slow_call_ns, -1, "0 to");
}

Test(breaker_options, something_must_be_able_to_open_it)
{
    REFUSED(failure_threshold, 0, "window_length_ns");
    options.failure_threshold = 0;
    options.window_length_ns = 10 * HGI_NS_PER_S;
    is_taken();
}

Test(breaker_options, the_legal_extremes_work)
{
    options.failure_threshold = 65535;
    options.half_open_max_calls = 255;
    options.success_threshold = 255;
    options.recovery_timeout_ns = INT64_C(67108864000000);
    options.recovery_timeout_max_ns = INT64_C(67108864000000);
    options.recovery_multiplier = 1000;
    options.recovery_jitter = 1;
    options.probe_lease_ns = INT64_C(67108864000000);
    is_taken();
    options.failure_threshold = 1;
    options.half_open_max_calls = 1;
    options.success_threshold = 1;
    options.recovery_timeout_ns = 10000000;
    options.recovery_timeout_max_ns = 10000000;
    options.recovery_multiplier = 1;
    options.probe_lease_ns = 10000000;
    is_taken();
}

/* Memory of exactly the size that a caller of that version has: reading on is seen by ASan. */
Test(breaker_options, each_size_that_was_ever_released_is_taken_as_it_is)
{
    static const size_t sizes[] = { offsetof(struct hg_breaker_options, count_calls),
                                    sizeof(struct hg_breaker_options) };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct hg_breaker_options *old = malloc(sizes[i]);
        memcpy(old, &options, sizes[i]);
        old->size = sizes[i];
        hg_breaker *breaker;
        cr_assert_eq(hg_breaker_new(&breaker, old, NULL), HG_OK);
        hg_breaker_free(breaker);
        free(old);
    }
}

Test(breaker_options, sizes_that_make_no_sense_are_refused)
{
    REFUSED(size, 0, "HG_BREAKER_OPTIONS_INIT");
    REFUSED(size, 8, "HG_BREAKER_OPTIONS_INIT");
    struct {
        struct hg_breaker_options known;
        uint64_t unknown;
    } newer = { .known = HG_BREAKER_OPTIONS_INIT };
    newer.known.size = sizeof newer;
    hg_breaker *breaker;
    cr_assert_eq(hg_breaker_new(&breaker, &newer.known, NULL), HG_OK);
    hg_breaker_free(breaker);
    newer.unknown = 1;
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_breaker_new(&breaker, &newer.known, &err), HG_ERR_VALIDATION);
    cr_assert_not_null(strstr(err.message, "newer library"), "%s", err.message);
}

Test(breaker_options, a_breaker_that_nobody_would_get_is_not_made)
{
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_breaker_new(NULL, NULL, &err), HG_ERR_VALIDATION);
    cr_assert_not_null(strstr(err.message, "out is NULL"), "%s", err.message);
    cr_assert_eq(hg_breaker_open_shared(NULL, "/herdgate.test.none", NULL, &err),
                 HG_ERR_VALIDATION);
    cr_assert_not_null(strstr(err.message, "out is NULL"), "%s", err.message);
    cr_assert_eq(hg_breaker_attach_shared(NULL, "/herdgate.test.none", &err), HG_ERR_VALIDATION);
}
