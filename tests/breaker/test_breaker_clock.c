/* The breaker on the system's own clocks: no call passes before its time, though refusals go by the
 * coarse one; and calls that are admitted and refused make no system call. */
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "breaker/core.h"
#include "tests/breaker/fixture.h"

enum { ROUNDS = 20, CALLS = 100000 };

#define RECOVERY_NS (20 * HGI_NS_PER_MS)

static hg_breaker *new_breaker(int64_t recovery_ns, int64_t window_ns)
{
    struct hg_breaker_options options = HG_BREAKER_OPTIONS_INIT;
    hg_breaker *breaker;
    options.recovery_timeout_ns = options.recovery_timeout_max_ns = recovery_ns;
    options.recovery_jitter = 0;
    options.window_length_ns = window_ns;
    REQUIRE(hg_breaker_new(&breaker, &options, NULL) == HG_OK);
    return breaker;
}

static void no_call_passes_before_its_time(void)
{
    hg_breaker *breaker = new_breaker(RECOVERY_NS, 0);
    uint64_t refused = 0;
    for (int round = 0; round < ROUNDS; round++) {
        hg_permit permit;
        int64_t before_ns = hgi_now_ns();
        hg_breaker_trip(breaker);
        int64_t give_up_ns = hgi_now_ns() + 60 * HGI_NS_PER_S;
        while (!hg_breaker_admit(breaker, &permit)) {
            refused++;
            REQUIRE(hgi_now_ns() < give_up_ns);
        }
        REQUIRE(hgi_now_ns() - before_ns > RECOVERY_NS);
        REQUIRE(hgi_permit_is_probe(permit));
        hg_breaker_reset(breaker);
    }
    REQUIRE(refused > 0); /* in a round or other; in any one the thread may have been held up */
    hg_breaker_free(breaker);
}

static bool refuse(hg_breaker *breaker)
{
    hg_permit permit;
    for (int i = 0; i < CALLS; i++)
        if (hg_breaker_admit(breaker, &permit))
            return false;
    return true;
}

static bool call(hg_breaker *breaker)
{
    hg_permit permit;
    for (int i = 0; i < CALLS; i++) {
        if (!hg_breaker_admit(breaker, &permit))
            return false;
        hg_breaker_report(breaker, permit, HG_RESULT_SUCCESS, 1);
    }
    return true;
}

static bool read_clocks(hg_breaker *breaker)
{
    struct timespec now;
    (void)breaker;
    return clock_gettime(CLOCK_MONOTONIC, &now) == 0 &&
           clock_gettime(CLOCK_MONOTONIC_COARSE, &now) == 0;
}

/* From now on the kernel kills this process for any system call but exit. A filter, because where there
 * is one already, as in a container, seccomp's strict mode is not to be had. */
static bool forbid_system_calls(void)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL),
    };
    struct sock_fprog filter = { .len = sizeof program / sizeof program[0], .filter = program };
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

/* Whether it runs to its end where the kernel kills whoever makes a system call. */
static bool makes_no_system_call(bool (*run)(hg_breaker *), hg_breaker *breaker)
{
    int status = -1;
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        run(breaker); /* takes its cell, which it does once in its life */
        if (!forbid_system_calls())
            _exit(77);
        syscall(SYS_exit, run(breaker) ? 0 : 1); /* not exit_group, which would be one too many */
    }
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status) || WEXITSTATUS(status) != 1);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool has_sanitizer(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#elif defined(__has_feature)
    return __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
    return false;
#endif
}

static void admitted_and_refused_calls_make_no_system_call(void)
{
    if (has_sanitizer() || !makes_no_system_call(read_clocks, NULL)) {
        printf("skipped: reading the clock is a system call here, or one cannot tell\n");
        return;
    }
    hg_breaker *closed = new_breaker(HGI_NS_PER_S, 0);
    hg_breaker *window = new_breaker(HGI_NS_PER_S, 10 * HGI_NS_PER_S);
    hg_breaker *open = new_breaker(3600 * HGI_NS_PER_S, 0);
    hg_breaker_trip(open);
    REQUIRE(makes_no_system_call(call, closed));
    REQUIRE(makes_no_system_call(call, window));
    REQUIRE(makes_no_system_call(refuse, open));
    hg_breaker_free(open);
    hg_breaker_free(window);
    hg_breaker_free(closed);
}

int main(void)
{
    no_call_passes_before_its_time();
    admitted_and_refused_calls_make_no_system_call();
    return 0;
}
