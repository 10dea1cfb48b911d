/* The shared form among processes: who is first, who leaves, and where there is no room. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include "tests/breaker/shared_suite.h"

TestSuite(shared_many, .init = set_up, .fini = tear_down);

static ino_t inode_of(const char *path)
{
    struct stat file;
    return stat(path, &file) == 0 ? file.st_ino : 0;
}

/* --- who is first --- */

enum { CROWD = 12 };

/* Each opens at the same moment, makes one call and goes. Errors are exit statuses. */
static int open_with_the_others(int gate)
{
    char byte;
    hg_breaker *breaker;
    hg_permit permit;
    struct hg_error err = HG_ERROR_INIT;
    REQUIRE(read(gate, &byte, 1) == 0); /* until the parent closes its end */
    hg_status status = hgi_shared_open(&breaker, NAME, &options, &folder.how, &err);
    if (status < 0) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    if (!hg_breaker_admit(breaker, &permit))
        return 2;
    hg_breaker_report(breaker, permit, HG_RESULT_SUCCESS, 0);
    hg_breaker_free(breaker);
    return 0;
}

/* The crowd opens at once; who of it failed. */
static int crowd_opens(bool with_unlinks)
{
    int gate[2];
    int failed = 0;
    pid_t children[CROWD];
    cr_assert_eq(pipe(gate), 0);
    for (int i = 0; i < CROWD; i++) {
        children[i] = fork();
        cr_assert_geq(children[i], 0);
        if (children[i] == 0) {
            close(gate[1]);
            _exit(open_with_the_others(gate[0]));
        }
    }
    close(gate[0]);
    close(gate[1]);
    for (int i = 0; i < 20 && with_unlinks; i++)
        hgi_shared_unlink(folder.path, NAME, NULL);
    for (int i = 0; i < CROWD; i++) {
        int status;
        while (waitpid(children[i], &status, 0) < 0)
            cr_assert_eq(errno, EINTR);
        failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    }
    return failed;
}

Test(shared_many, of_many_who_open_a_new_name_at_once_all_get_the_same)
{
    for (int round = 0; round < 30; round++) {
        cr_assert_eq(crowd_opens(false), 0);
        hg_breaker *breaker = opened();
        struct hg_breaker_snapshot now = snapshot_of(breaker);
        cr_assert_eq(now.admitted, CROWD);
        cr_assert_eq(now.succeeded, CROWD);
        hg_breaker_free(breaker);
        unlinked();
    }
}

Test(shared_many, many_who_open_a_name_that_is_removed_all_the_time_all_get_one)
{
    for (int round = 0; round < 30; round++)
        cr_assert_eq(crowd_opens(true), 0);
}

/* --- who leaves --- */

Test(shared_many, after_an_unlink_all_handles_meet_in_one_new_breaker)
{
    hg_breaker *first = opened();
    hg_breaker *second = opened();
    hg_breaker_force_open(first);
    cr_assert_eq(hg_breaker_state_now(second), HG_BREAKER_FORCED_OPEN);
    ino_t before = inode_of(shared_file(&folder, NAME));
    unlinked();
    cr_assert_eq(inode_of(shared_file(&folder, NAME)), 0);
    hg_breaker_cancel(first, admitted(first));
    ino_t after = inode_of(shared_file(&folder, NAME));
    cr_assert(after != 0 && after != before);
    cr_assert_eq(hg_breaker_state_now(second), HG_BREAKER_CLOSED);
    cr_assert_eq(inode_of(shared_file(&folder, NAME)), after);
    hg_breaker_force_open(second);
    cr_assert_eq(hg_breaker_state_now(first), HG_BREAKER_FORCED_OPEN);
    hg_breaker_free(first);
    hg_breaker_free(second);
}

Test(shared_many, the_successor_has_the_settings_of_the_first_who_opens_it)
{
    struct hg_breaker_options held = { .size = sizeof held };
    hg_breaker *old = opened();
    unlinked();
    options.failure_threshold = 9;
    options.window_length_ns = 10 * HGI_NS_PER_S;
    hg_breaker *new = opened();
    hg_breaker_report(old, admitted(old), HG_RESULT_FAILURE, 0);
    hg_breaker_read_options(old, &held);
    cr_assert_eq(held.failure_threshold, 9);
    cr_assert_eq(held.window_length_ns, 10 * HGI_NS_PER_S);
    cr_assert_eq(snapshot_of(new).failed, 1);
    hg_breaker_free(old);
    hg_breaker_free(new);
}

Test(shared_many, a_permit_of_the_removed_breaker_is_late_in_its_successor)
{
    hg_breaker *breaker = opened();
    hg_permit permit = admitted(breaker);
    unlinked();
    hg_breaker_cancel(breaker, admitted(breaker));
    hg_breaker_report(breaker, permit, HG_RESULT_FAILURE, 0);
    struct hg_breaker_snapshot now = snapshot_of(breaker);
    cr_assert_eq(now.late, 1);
    cr_assert_eq(now.failed, 0);
    cr_assert_eq(now.failures_in_a_row, 0);
    hg_breaker_free(breaker);
}

/* As one killed between retiring and removing leaves it. */
Test(shared_many, a_retired_name_that_was_left_behind_is_cleaned_up)
{
    hg_breaker *breaker;
    struct hgi_shared_how attach = folder.how;
    struct hg_error err = HG_ERROR_INIT;
    const uint64_t retired = (uint64_t)HGI_RETIRED << HGI_STATE_SHIFT;
    hg_breaker_free(opened());
    struct hgi_segment *segment = shared_segment(&folder, NAME);
    atomic_store(&segment->breaker.word, retired);
    ino_t before = inode_of(shared_file(&folder, NAME));
    hg_breaker *fresh = opened();
    cr_assert_neq(inode_of(shared_file(&folder, NAME)), before);
    hg_breaker_force_open(fresh);
    cr_assert_eq(hg_breaker_state_now(fresh), HG_BREAKER_FORCED_OPEN);
    cr_assert_eq(atomic_load(&segment->breaker.word), retired);
    munmap(segment, sizeof *segment);

    segment = shared_segment(&folder, NAME);
    atomic_store(&segment->breaker.word, retired);
    munmap(segment, sizeof *segment);
    attach.only_attach = true;
    cr_assert_eq(hgi_shared_open(&breaker, NAME, NULL, &attach, &err), HG_ERR_NOT_FOUND);
    cr_assert_eq(inode_of(shared_file(&folder, NAME)), 0);
    hg_breaker_free(fresh);
}

/* The file's descriptor, as one who is about to remove its name has it. */
static int descriptor_of(struct hgi_shm_file *shm)
{
    int fd;
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hgi_shm_init(shm, folder.path, NAME, &err), HG_OK, "%s", err.message);
    cr_assert_eq(hgi_shm_attach(shm, &fd, &err), HG_OK, "%s", err.message);
    return fd;
}

Test(shared_many, a_name_is_removed_only_from_the_file_that_was_meant)
{
    struct hgi_shm_file shm;
    hg_breaker *old = opened();
    int fd = descriptor_of(&shm);
    unlinked(); /* by another one, who was faster */
    hg_breaker *new = opened();
    ino_t inode = inode_of(shm.path);
    cr_assert_eq(hgi_shm_unlink(&shm, fd, 0, NULL), HG_OK);
    cr_assert_eq(inode_of(shm.path), inode);
    close(fd);
    hg_breaker_free(old);
    hg_breaker_free(new);
}

Test(shared_many, while_another_one_removes_a_name_nobody_else_does_and_no_call_waits)
{
    struct hgi_shm_file shm;
    hg_breaker *breaker = opened();
    int holder = descriptor_of(&shm);
    int other = descriptor_of(&shm);
    cr_assert_eq(flock(holder, LOCK_EX), 0);
    cr_assert_eq(hgi_shm_unlink(&shm, other, 0, NULL), HG_ERR_TIMEOUT);
    hg_breaker_force_open(breaker);
    struct hgi_segment *segment = shared_segment(&folder, NAME);
    atomic_store(&segment->breaker.word, (uint64_t)HGI_RETIRED << HGI_STATE_SHIFT);
    munmap(segment, sizeof *segment);
    ino_t inode = inode_of(shm.path);
    hg_breaker_cancel(breaker, admitted(breaker));
    cr_assert_eq(inode_of(shm.path), inode);
    close(holder); /* as when it is killed */
    cr_assert_eq(hgi_shm_unlink(&shm, other, 0, NULL), HG_OK);
    cr_assert_eq(inode_of(shm.path), 0);
    close(other);
    hg_breaker_free(breaker);
}

/* The library's flock(): what it does, and then, once, what may happen while it is held. */
static void (*when_locked)(void);

int flock(int fd, int operation)
{
    int status = (int)syscall(SYS_flock, fd, operation);
    void (*happens)(void) = when_locked;
    if (status == 0 && operation & LOCK_EX && happens) {
        when_locked = NULL;
        happens();
    }
    return status;
}

static _Atomic int is_forking;
static _Atomic pid_t *born; /* written by the child of a thread; shared memory */

static void note_forking(void)
{
    atomic_store(&is_forking, 1);
}

static void *fork_and_stay(void *arg)
{
    if (fork() == 0) {
        atomic_store(born, getpid());
        alarm(120); /* should nobody come to kill it */
        for (;;)
            pause();
    }
    return arg;
}

static void fork_and_be_killed(void)
{
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, fork_and_stay, NULL) == 0);
    while (!atomic_load(&is_forking))
        sched_yield();
    /* Time enough to be born in, where that is possible. */
    for (int i = 0; i < 200 && atomic_load(born) == 0; i++)
        hgi_sleep_until(hgi_now_ns() + HGI_NS_PER_MS);
    kill(getpid(), SIGKILL);
}

static int is_killed_in_a_removal(void *arg)
{
    (void)arg;
    opened();
    /* The last to be registered is the first to be called: before the library's. */
    REQUIRE(pthread_atfork(note_forking, NULL, NULL) == 0);
    when_locked = fork_and_be_killed;
    unlinked();
    return 0;
}

Test(shared_many, a_child_born_in_the_middle_of_a_removal_does_not_hold_the_name_for_its_life)
{
    struct hg_error err = HG_ERROR_INIT;
    born = mmap(NULL, sizeof *born, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(born, MAP_FAILED);
    cr_assert_eq(in_child(is_killed_in_a_removal, NULL), 128 + SIGKILL);
    hg_status status = hgi_shared_unlink(folder.path, NAME, &err);
    if (atomic_load(born) != 0)
        kill(atomic_load(born), SIGKILL);
    cr_assert_eq(status, HG_OK, "%s", err.message);
}

Test(shared_many, without_a_successor_calls_pass_until_there_is_one)
{
    hg_breaker *breaker = opened();
    const char *path = shared_file(&folder, NAME);
    hg_breaker_force_open(breaker);
    unlinked();
    cr_assert_eq(mkdir(path, 0700), 0); /* nothing can be made there */
    for (int i = 0; i < 3; i++)
        hg_breaker_report(breaker, admitted(breaker), HG_RESULT_FAILURE, 0);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_CLOSED);
    cr_assert_eq(rmdir(path), 0);
    int64_t until_ns = hgi_now_ns() + 60 * HGI_NS_PER_S;
    while (inode_of(path) == 0) {
        hg_breaker_cancel(breaker, admitted(breaker));
        cr_assert_lt(hgi_now_ns(), until_ns);
        sched_yield();
    }
    hg_breaker_report(breaker, admitted(breaker), HG_RESULT_FAILURE, 0);
    hg_breaker_report(breaker, admitted(breaker), HG_RESULT_FAILURE, 0);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_OPEN);
    hg_breaker_free(breaker);
}

Test(shared_many, who_only_attaches_makes_nothing_and_follows_the_others)
{
    struct hgi_shared_how attach = folder.how;
    struct hg_error err = HG_ERROR_INIT;
    hg_breaker *watcher;
    attach.only_attach = true;
    cr_assert_eq(hgi_shared_open(&watcher, NAME, NULL, &attach, &err), HG_ERR_NOT_FOUND);
    cr_assert_null(watcher);
    cr_assert_eq(inode_of(shared_file(&folder, NAME)), 0);
    hg_breaker *breaker = opened();
    cr_assert_eq(hgi_shared_open(&watcher, NAME, NULL, &attach, &err), HG_OK);
    cr_assert_str_empty(err.message);
    unlinked();
    cr_assert_eq(hg_breaker_state_now(watcher), HG_BREAKER_CLOSED);
    cr_assert_eq(inode_of(shared_file(&folder, NAME)), 0);
    hg_breaker_force_open(breaker);
    int64_t until_ns = hgi_now_ns() + 60 * HGI_NS_PER_S;
    while (hg_breaker_state_now(watcher) != HG_BREAKER_FORCED_OPEN) {
        cr_assert_lt(hgi_now_ns(), until_ns);
        sched_yield();
    }
    hg_breaker_free(watcher);
    hg_breaker_free(breaker);
}

/* One thread takes the successor in while others call: none of them crashes or is lost. */
static _Atomic bool stop;

static void *call_until_told(void *arg)
{
    uint64_t calls = 0;
    for (; !atomic_load(&stop); calls++) {
        hg_permit permit;
        if (hg_breaker_admit(arg, &permit))
            hg_breaker_report(arg, permit, calls % 3 ? HG_RESULT_SUCCESS : HG_RESULT_FAILURE, 0);
    }
    return NULL;
}

Test(shared_many, threads_go_on_while_the_segment_is_exchanged_under_them)
{
    pthread_t threads[3];
    hg_breaker *breaker = opened();
    ino_t last = 0;
    int changes = 0;
    for (int i = 0; i < 3; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, call_until_told, breaker), 0);
    for (int i = 0; i < 100; i++) {
        options.window_length_ns = i % 2 ? 0 : 10 * HGI_NS_PER_S;
        hg_breaker_free(opened());
        ino_t now = inode_of(shared_file(&folder, NAME));
        changes += now != last;
        last = now;
        hgi_shared_unlink(folder.path, NAME, NULL);
        sched_yield();
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    cr_assert_gt(changes, 50);
    hg_breaker_free(breaker);
}

/* --- a full file system --- */

enum { CANNOT_MOUNT = 77 };

static int opens_on_a_full_file_system(void *arg)
{
    char path[128];
    struct hg_error err = HG_ERROR_INIT;
    hg_breaker *breaker;
    (void)arg;
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", folder.path, "tmpfs", 0, "size=64k") != 0)
        return CANNOT_MOUNT;
    snprintf(path, sizeof path, "%s/ballast", folder.path);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0 && posix_fallocate(fd, 0, 64 * 1024) == 0);
    REQUIRE(hgi_shared_open(&breaker, NAME, &options, &folder.how, &err) == HG_ERR_NO_MEMORY);
    REQUIRE(err.sys_errno == ENOSPC && strstr(err.message, "free some room") != NULL);
    /* A file as long as a segment, but without any space: no SIGBUS here either. */
    int sparse = open(shared_file(&folder, NAME), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(sparse >= 0 && ftruncate(sparse, HGI_SEGMENT_SIZE) == 0);
    REQUIRE(hgi_shared_open(&breaker, NAME, &options, &folder.how, &err) == HG_ERR_NO_MEMORY);
    REQUIRE(err.sys_errno == ENOSPC);
    REQUIRE(unlink(shared_file(&folder, NAME)) == 0 && ftruncate(fd, 0) == 0);
    REQUIRE(hgi_shared_open(&breaker, NAME, &options, &folder.how, &err) == HG_OK);
    hg_breaker_force_open(breaker);
    hg_breaker_free(breaker);
    return 0;
}

Test(shared_many, a_full_file_system_is_an_error_and_no_signal)
{
    int status = in_child(opens_on_a_full_file_system, NULL);
    if (status == CANNOT_MOUNT)
        printf("skipped: no file system may be mounted here\n");
    else
        cr_assert_eq(status, 0);
}
