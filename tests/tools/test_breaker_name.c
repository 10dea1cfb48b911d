/* The name of a run's shared breaker: it goes with its run, and where that was killed, with the next one. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <herdgate/breaker.h>

#include "tools/stress/breaker_name.h"

/* A breaker of that name, which nobody uses any more. */
static void leave_behind(const char *name)
{
    hg_breaker *breaker;
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_geq(hg_breaker_open_shared(&breaker, name, NULL, &err), 0, "%s", err.message);
    hg_breaker_free(breaker);
}

static bool is_there(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "/dev/shm/herdgate.%s", name + 1);
    return access(path, F_OK) == 0;
}

/* A process that lives until it is ended. */
static pid_t start_process(struct hgi_breaker_name *name)
{
    pid_t pid = fork();
    if (pid == 0) {
        alarm(600);
        pause();
        _exit(0);
    }
    cr_assert_gt(pid, 0);
    name->lock = -1;
    snprintf(name->text, sizeof name->text, "/herdgate-stress-%ld", (long)pid);
    return pid;
}

static void end_process(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* That of a process that has ended. */
static struct hgi_breaker_name name_of_the_dead(void)
{
    struct hgi_breaker_name name;
    end_process(start_process(&name));
    return name;
}

/* What the next run does, from its beginning to its end. */
static void run_once(void)
{
    struct hgi_breaker_name name;
    hgi_breaker_name_make(&name);
    leave_behind(name.text);
    hgi_breaker_name_hold(&name);
    cr_assert_geq(name.lock, 0);
    hgi_breaker_name_end(&name);
}

Test(breaker_name, a_run_removes_its_own)
{
    struct hgi_breaker_name name;
    hgi_breaker_name_make(&name);
    leave_behind(name.text);
    hgi_breaker_name_hold(&name);
    cr_assert(is_there(name.text));
    char text[sizeof name.text];
    snprintf(text, sizeof text, "%s", name.text);
    hgi_breaker_name_end(&name);
    cr_assert_not(is_there(text));
    hgi_breaker_name_end(&name); /* one that is gone already does nothing */
}

Test(breaker_name, what_a_killed_run_left_goes_with_the_next_one)
{
    struct hgi_breaker_name name = name_of_the_dead();
    leave_behind(name.text);
    run_once();
    cr_assert_not(is_there(name.text), "%s is still there", name.text);
}

Test(breaker_name, what_was_left_under_the_own_number_is_not_used_again)
{
    char text[HGI_BREAKER_NAME_SIZE];
    struct hgi_breaker_name name;
    snprintf(text, sizeof text, "/herdgate-stress-%ld", (long)getpid());
    leave_behind(text);
    hgi_breaker_name_make(&name);
    cr_assert_str_eq(name.text, text);
    cr_assert_not(is_there(text));
}

/* Another container may share the file system and not the numbers of processes. The process ends once its
 * breaker is held: until then other tests, which run beside this one, would remove it. */
Test(breaker_name, what_somebody_holds_stays)
{
    struct hgi_breaker_name name;
    pid_t pid = start_process(&name);
    leave_behind(name.text);
    hgi_breaker_name_hold(&name);
    cr_assert_geq(name.lock, 0);
    end_process(pid);
    run_once();
    cr_assert(is_there(name.text), "%s was removed while it was held", name.text);
    hgi_breaker_name_end(&name);
    cr_assert_not(is_there(name.text));
}

Test(breaker_name, what_is_not_of_a_dead_run_stays)
{
    char alive[64], longer[64];
    struct hgi_breaker_name dead = name_of_the_dead();
    snprintf(alive, sizeof alive, "/herdgate-stress-%ld", (long)getppid());
    snprintf(longer, sizeof longer, "%.40s.mine", dead.text);
    const char *const names[] = { alive, longer };
    for (int i = 0; i < 2; i++)
        leave_behind(names[i]);
    run_once();
    for (int i = 0; i < 2; i++) {
        cr_assert(is_there(names[i]), "%s was removed", names[i]);
        hg_breaker_unlink_shared(names[i], NULL);
    }
}
