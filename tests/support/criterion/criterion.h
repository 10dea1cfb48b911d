/* The part of Criterion's interface that this project's tests use, on a plain main().
 *
 * Criterion itself aborts under ThreadSanitizer, so in that build the suites are compiled against this
 * header instead and run one after another in a child process each. Everywhere else they run under
 * Criterion. Names are Criterion's because the suites are written for it.
 */
#ifndef HERDGATE_TESTS_SUPPORT_CRITERION_H
#define HERDGATE_TESTS_SUPPORT_CRITERION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Options of TestSuite() and Test(), by Criterion's names; a timeout is ctest's affair here. */
struct plain_options {
    void (*init)(void);
    void (*fini)(void);
    double timeout;
    int signal;
    int exit_code;
};

struct plain_test {
    const char *suite;
    const char *name;
    void (*run)(void);
    struct plain_options options;
    bool is_suite; /* only carries the options of its suite */
    struct plain_test *next;
};

void plain_register(struct plain_test *test);

/* Say what did not hold, with an optional printf message, and end the test. */
_Noreturn void plain_failed(const char *file, int line, const char *what, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#define PLAIN_REGISTER(identifier, suite_name, test_name, function, suite_flag, ...) \
    static struct plain_test identifier##_entry = { .suite = suite_name,             \
                                                    .name = test_name,               \
                                                    .run = function,                 \
                                                    .options = { __VA_ARGS__ },      \
                                                    .is_suite = suite_flag };        \
    __attribute__((constructor)) static void identifier##_register(void)             \
    {                                                                                \
        plain_register(&identifier##_entry);                                         \
    }

#define TestSuite(suite_name, ...)                                               \
    PLAIN_REGISTER(suite_name##_suite, #suite_name, "", NULL, true, __VA_ARGS__) \
    struct plain_options

#define Test(suite_name, test_name, ...)                               \
    static void suite_name##_##test_name##_run(void);                  \
    PLAIN_REGISTER(suite_name##_##test_name, #suite_name, #test_name,  \
                   suite_name##_##test_name##_run, false, __VA_ARGS__) \
    static void suite_name##_##test_name##_run(void)

#define PLAIN_CHECK(condition, what, ...) \
    ((condition) ? (void)0 : plain_failed(__FILE__, __LINE__, what, "" __VA_ARGS__))

#define cr_assert(condition, ...) PLAIN_CHECK(condition, #condition, __VA_ARGS__)
#define cr_assert_not(condition, ...) PLAIN_CHECK(!(condition), "not " #condition, __VA_ARGS__)
#define cr_assert_null(value, ...) PLAIN_CHECK((value) == NULL, #value " is NULL", __VA_ARGS__)
#define cr_assert_not_null(value, ...) \
    PLAIN_CHECK((value) != NULL, #value " is not NULL", __VA_ARGS__)
#define cr_assert_eq(a, b, ...) PLAIN_CHECK((a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...) PLAIN_CHECK((a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...) PLAIN_CHECK((a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...) PLAIN_CHECK((a) <= (b), #a " <= " #b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...) PLAIN_CHECK((a) > (b), #a " > " #b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...) PLAIN_CHECK((a) >= (b), #a " >= " #b, __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...) \
    PLAIN_CHECK(strcmp((a), (b)) == 0, #a " equals " #b, __VA_ARGS__)
#define cr_assert_str_neq(a, b, ...) \
    PLAIN_CHECK(strcmp((a), (b)) != 0, #a " differs from " #b, __VA_ARGS__)
#define cr_assert_str_empty(a, ...) PLAIN_CHECK((a)[0] == '\0', #a " is empty", __VA_ARGS__)
#define cr_assert_float_eq(a, b, tolerance, ...)                                          \
    PLAIN_CHECK((a) - (b) <= (tolerance) && (b) - (a) <= (tolerance), #a " is about " #b, \
                __VA_ARGS__)
#define cr_assert_arr_eq(a, b, size, ...) \
    PLAIN_CHECK(memcmp((a), (b), (size)) == 0, #a " has the bytes of " #b, __VA_ARGS__)
/* Criterion goes on after a failed expectation; here it ends the test as well. */
#define cr_expect cr_assert
#define cr_expect_not cr_assert_not
#define cr_expect_null cr_assert_null
#define cr_expect_not_null cr_assert_not_null
#define cr_expect_eq cr_assert_eq
#define cr_expect_neq cr_assert_neq
#define cr_expect_lt cr_assert_lt
#define cr_expect_leq cr_assert_leq
#define cr_expect_gt cr_assert_gt
#define cr_expect_geq cr_assert_geq
#define cr_expect_str_eq cr_assert_str_eq
#define cr_expect_str_neq cr_assert_str_neq
#define cr_expect_str_empty cr_assert_str_empty
#define cr_expect_float_eq cr_assert_float_eq
#define cr_fatal(...) plain_failed(__FILE__, __LINE__, "reached", "" __VA_ARGS__)
#define cr_assert_fail(...) cr_fatal(__VA_ARGS__)
#define cr_skip_test(...) (printf("skipped: " __VA_ARGS__), printf("\n"), exit(0))
#define cr_log_info(...) (printf(__VA_ARGS__), printf("\n"))
#define cr_log_warn(...) cr_log_info(__VA_ARGS__)

#endif
