/* The main() of suites that run without Criterion; see criterion/criterion.h beside this file.
 * Each test runs in a child, so that one that ends its process fails alone. */
#include <criterion/criterion.h>

#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

static struct plain_test *all;

void plain_register(struct plain_test *test)
{
    test->next = all;
    all = test;
}

_Noreturn void plain_failed(const char *file, int line, const char *what, const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "%s:%d: does not hold: %s ", file, line, what);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
    exit(1);
}

static const struct plain_options *suite_options(const char *suite)
{
    static const struct plain_options none;
    for (const struct plain_test *test = all; test; test = test->next)
        if (test->is_suite && strcmp(test->suite, suite) == 0)
            return &test->options;
    return &none;
}

static void run(const struct plain_test *test)
{
    const struct plain_options *suite = suite_options(test->suite);
    void (*init)(void) = test->options.init ? test->options.init : suite->init;
    void (*fini)(void) = test->options.fini ? test->options.fini : suite->fini;
    if (init)
        init();
    test->run();
    if (fini)
        fini();
    exit(0);
}

/* True if the child ended as the test's options say. */
static bool ended_well(const struct plain_test *test, int status)
{
    if (test->options.signal)
        return WIFSIGNALED(status) && WTERMSIG(status) == test->options.signal;
    return WIFEXITED(status) && WEXITSTATUS(status) == test->options.exit_code;
}

int main(void)
{
    unsigned ran = 0;
    unsigned failed = 0;
    for (const struct plain_test *test = all; test; test = test->next) {
        if (test->is_suite)
            continue;
        fflush(NULL);
        pid_t child = fork();
        if (child == 0)
            run(test);
        int status = -1;
        if (child > 0)
            waitpid(child, &status, 0);
        ran++;
        if (child < 0 || !ended_well(test, status)) {
            printf("failed: %s: %s\n", test->suite, test->name);
            failed++;
        }
    }
    printf("%u tests, %u failed\n", ran, failed);
    return failed || ran == 0 ? 1 : 0;
}
