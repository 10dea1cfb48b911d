/* The shared form: made whole or not at all, one for all who come, left for its successor. */
#include <criterion/criterion.h>
#include <signal.h>
#include <sys/resource.h>

#include "tests/breaker/shared_suite.h"

TestSuite(shared, .init = set_up, .fini = tear_down);

static hg_breaker *opened_saying(struct hg_error *err)
{
    hg_breaker *breaker;
    cr_assert_eq(hgi_shared_open(&breaker, NAME, &options, &folder.how, err), HG_OK, "%s",
                 err->message);
    return breaker;
}

static void is_refused(hg_status status, const char *text)
{
    struct hg_error err = HG_ERROR_INIT;
    hg_breaker *breaker = (hg_breaker *)&options;
    cr_assert_eq(hgi_shared_open(&breaker, NAME, &options, &folder.how, &err), status, "%s",
                 err.message);
    cr_assert_null(breaker);
    cr_assert(strstr(err.message, text), "%s: %s", text, err.message);
    cr_assert_eq(hgi_shared_open(&breaker, NAME, &options, &folder.how, NULL), status);
}

static void fail_once(hg_breaker *breaker)
{
    hg_permit permit;
    cr_assert(hg_breaker_admit(breaker, &permit));
    hg_breaker_report(breaker, permit, HG_RESULT_FAILURE, 0);
}

static int fails_once(void *arg)
{
    (void)arg;
    struct hg_error err = HG_ERROR_INIT;
    hg_breaker *breaker = opened_saying(&err);
    fail_once(breaker);
    hg_breaker_free(breaker);
    return 0;
}

Test(shared, failures_of_two_processes_open_it_for_both)
{
    struct hg_error err = HG_ERROR_INIT;
    hg_breaker *breaker = opened_saying(&err);
    hg_permit permit;
    fail_once(breaker);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_CLOSED);
    cr_assert_eq(in_child(fails_once, NULL), 0);
    cr_assert_not(hg_breaker_admit(breaker, &permit));
    struct hg_breaker_snapshot now = snapshot_of(breaker);
    cr_assert_eq(now.state, HG_BREAKER_OPEN);
    cr_assert_eq(now.admitted, 2);
    cr_assert_eq(now.failed, 2);
    cr_assert_eq(now.refused, 1);
    cr_assert_eq(now.opened, 1);
    hg_breaker_free(breaker);
}

Test(shared, it_stays_when_nobody_has_it_open)
{
    struct hg_error err = HG_ERROR_INIT;
    hg_breaker *breaker = opened_saying(&err);
    hg_breaker_force_open(breaker);
    hg_breaker_free(breaker);
    breaker = opened_saying(&err);
    cr_assert_str_empty(err.message);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_FORCED_OPEN);
    hg_breaker_free(breaker);
}

Test(shared, its_file_is_this_users_alone_whatever_the_umask)
{
    struct hg_error err = HG_ERROR_INIT;
    struct stat file;
    mode_t before = umask(0);
    hg_breaker_free(opened_saying(&err));
    cr_assert_eq(stat(shared_file(&folder, NAME), &file), 0);
    cr_assert_eq(file.st_mode, S_IFREG | 0600);
    cr_assert_eq(file.st_size, HGI_SEGMENT_SIZE);
    unlink(shared_file(&folder, NAME));
    umask(0777);
    hg_breaker_free(opened_saying(&err));
    cr_assert_eq(stat(shared_file(&folder, NAME), &file), 0);
    cr_assert_eq(file.st_mode, S_IFREG | 0600);
    umask(before);
}

Test(shared, the_public_call_uses_the_systems_folder)
{
    char name[64];
    char path[128];
    struct stat file;
    struct hg_error err = HG_ERROR_INIT;
    hg_breaker *breaker;
    hg_breaker *again;
    snprintf(name, sizeof name, "/test.%d.%lld", (int)getpid(), (long long)hgi_now_ns());
    snprintf(path, sizeof path, "/dev/shm/herdgate.%s", name + 1);
    cr_assert_eq(hg_breaker_attach_shared(&breaker, name, &err), HG_ERR_NOT_FOUND);
    cr_assert(strstr(err.message, path), "%s", err.message);
    cr_assert_eq(hg_breaker_unlink_shared(name, &err), HG_ERR_NOT_FOUND);
    cr_assert_eq(hg_breaker_open_shared(&breaker, name, NULL, &err), HG_OK, "%s", err.message);
    cr_assert_eq(stat(path, &file), 0);
    cr_assert_eq(hg_breaker_attach_shared(&again, name, &err), HG_OK, "%s", err.message);
    hg_breaker_force_open(again);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_FORCED_OPEN);
    cr_assert_eq(hg_breaker_unlink_shared(name, &err), HG_OK, "%s", err.message);
    cr_assert_neq(stat(path, &file), 0);
    hg_breaker_free(again);
    hg_breaker_free(breaker);
}

Test(shared, names_are_checked)
{
    static const char *const bad[] = { "", "/", "orders", "/a/b", "//", "/a b", "/\n", "/\x80" };
    char longest[65] = "/";
    hg_breaker *breaker;
    struct hg_error err = HG_ERROR_INIT;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_eq(hgi_shared_open(&breaker, bad[i], NULL, &folder.how, &err), HG_ERR_VALIDATION,
                     "%s", bad[i]);
        cr_assert(strstr(err.message, "like \"/orders\""), "%s", err.message);
    }
    cr_assert_eq(hgi_shared_open(&breaker, NULL, NULL, &folder.how, &err), HG_ERR_VALIDATION);
    memset(longest + 1, 'x', 63);
    cr_assert_eq(hgi_shared_open(&breaker, longest, NULL, &folder.how, &err), HG_ERR_VALIDATION);
    longest[63] = '\0';
    cr_assert_eq(hgi_shared_open(&breaker, longest, NULL, &folder.how, &err), HG_OK);
    hg_breaker_free(breaker);
    unlink(shared_file(&folder, longest));
}

Test(shared, options_are_checked_before_anything_is_made)
{
    options.half_open_max_calls = 0;
    is_refused(HG_ERR_VALIDATION, "half_open_max_calls");
    options.half_open_max_calls = 3;
    options.on_mismatch = (hg_mismatch)2;
    is_refused(HG_ERR_VALIDATION, "on_mismatch");
    cr_assert_neq(access(shared_file(&folder, NAME), F_OK), 0);
}

Test(shared, who_comes_with_other_settings_adopts_those_that_hold_and_is_told)
{
    struct hg_error err = HG_ERROR_INIT;
    struct hg_breaker_options held = { .size = sizeof held };
    hg_breaker *first = opened_saying(&err);
    cr_assert_str_empty(err.message);
    options.failure_threshold = 7;
    options.recovery_jitter = 0.5;
    hg_breaker *second = opened_saying(&err);
    cr_assert_eq(err.type, HG_OK);
    cr_assert(strstr(err.message, "failure_threshold is 2, not 7; recovery_jitter is 0.2, not 0.5"),
              "%s", err.message);
    hg_breaker_read_options(second, &held);
    cr_assert_eq(held.failure_threshold, 2);
    cr_assert_eq(held.recovery_jitter, 0.2);
    fail_once(second);
    fail_once(second);
    cr_assert_eq(hg_breaker_state_now(first), HG_BREAKER_OPEN);
    hg_breaker_free(second);
    hg_breaker_free(first);
}

Test(shared, who_insists_on_other_settings_is_refused)
{
    struct hg_error err = HG_ERROR_INIT;
    hg_breaker *first = opened_saying(&err);
    options.on_mismatch = HG_MISMATCH_REFUSE;
    hg_breaker_free(opened_saying(&err));
    options.window_length_ns = 10 * HGI_NS_PER_S;
    is_refused(HG_ERR_VALIDATION, "window_length_ns is 0, not 10000000000");
    options.window_length_ns = 0;
    options.seed = 5;
    is_refused(HG_ERR_VALIDATION, "seed");
    hg_breaker_free(first);
}

Test(shared, its_window_counts_for_all_processes)
{
    struct hg_error err = HG_ERROR_INIT;
    options.failure_threshold = 0;
    options.window_length_ns = 600 * HGI_NS_PER_S;
    options.window_min_calls = 4;
    hg_breaker *breaker = opened_saying(&err);
    for (int i = 0; i < 2; i++) {
        hg_permit permit;
        cr_assert(hg_breaker_admit(breaker, &permit));
        hg_breaker_report(breaker, permit, HG_RESULT_SUCCESS, 0);
    }
    cr_assert_eq(in_child(fails_once, NULL), 0);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_CLOSED);
    cr_assert_eq(in_child(fails_once, NULL), 0);
    cr_assert_eq(hg_breaker_state_now(breaker), HG_BREAKER_OPEN);
    hg_breaker_free(breaker);
}

/* --- what cannot be used --- */

/* No room: a limit on the size of files, which the file system asks before it reserves. */
static int opens_without_room(void *arg)
{
    struct rlimit none = { 0, 0 };
    struct hg_error err = HG_ERROR_INIT;
    hg_breaker *breaker;
    (void)arg;
    signal(SIGXFSZ, SIG_IGN);
    REQUIRE(setrlimit(RLIMIT_FSIZE, &none) == 0);
    REQUIRE(hgi_shared_open(&breaker, NAME, &options, &folder.how, &err) == HG_ERR_NO_MEMORY);
    REQUIRE(breaker == NULL && err.sys_errno == EFBIG);
    REQUIRE(strstr(err.message, "space") != NULL);
    return 0;
}

Test(shared, no_room_is_an_error_and_leaves_nothing)
{
    cr_assert_eq(in_child(opens_without_room, NULL), 0);
    cr_assert_neq(access(shared_file(&folder, NAME), F_OK), 0);
}

Test(shared, a_folder_that_is_not_there_is_an_error)
{
    struct hgi_shared_how nowhere = { .directory = "/dev/shm/herdgate-test.nowhere" };
    struct hg_error err = HG_ERROR_INIT;
    hg_breaker *breaker;
    cr_assert_eq(hgi_shared_open(&breaker, NAME, NULL, &nowhere, &err), HG_ERR_VALIDATION);
    cr_assert_eq(err.sys_errno, ENOENT);
    cr_assert(strstr(err.message, "cannot make it"), "%s", err.message);
}

static void put_file(size_t size, mode_t mode)
{
    const char *path = shared_file(&folder, NAME);
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(ftruncate(fd, (off_t)size), 0);
    cr_assert_eq(fchmod(fd, mode), 0);
    close(fd);
}

Test(shared, a_file_that_is_no_breaker_is_an_error_that_says_so)
{
    const char *path = shared_file(&folder, NAME);
    put_file(0, 0600);
    is_refused(HG_ERR_VALIDATION, "has 0 bytes and not 4096");
    put_file(4095, 0600);
    is_refused(HG_ERR_VALIDATION, "has 4095 bytes");
    put_file(1 << 20, 0600);
    is_refused(HG_ERR_VALIDATION, "has 1048576 bytes");
    put_file(HGI_SEGMENT_SIZE, 0600);
    is_refused(HG_ERR_VALIDATION, "is not a breaker of herdgate");
    put_file(HGI_SEGMENT_SIZE, 0660);
    is_refused(HG_ERR_VALIDATION, "mode 0660");
    put_file(HGI_SEGMENT_SIZE, 0604);
    is_refused(HG_ERR_VALIDATION, "mode 0604");
    unlink(path);
    cr_assert_eq(mkdir(path, 0700), 0);
    is_refused(HG_ERR_VALIDATION, "cannot open it");
    rmdir(path);
    cr_assert_eq(mkfifo(path, 0600), 0);
    is_refused(HG_ERR_VALIDATION, "is not a file");
    unlink(path);
    cr_assert_eq(symlink("/dev/zero", path), 0);
    is_refused(HG_ERR_VALIDATION, "cannot open it");
}

Test(shared, a_sparse_file_has_its_space_before_anybody_reads_it)
{
    struct hgi_shm_file shm;
    struct stat file;
    int fd;
    put_file(HGI_SEGMENT_SIZE, 0600);
    cr_assert_eq(stat(shared_file(&folder, NAME), &file), 0);
    cr_assert_eq(file.st_blocks, 0);
    cr_assert_eq(hgi_shm_init(&shm, folder.path, NAME, NULL), HG_OK);
    cr_assert_eq(hgi_shm_attach(&shm, &fd, NULL), HG_OK);
    cr_assert_eq(fstat(fd, &file), 0);
    cr_assert_geq(file.st_blocks * 512, HGI_SEGMENT_SIZE);
    close(fd);
}

Test(shared, another_users_breaker_is_an_error)
{
    struct hg_error err = HG_ERROR_INIT;
    hg_breaker_free(opened_saying(&err));
    if (geteuid() != 0 || chown(shared_file(&folder, NAME), 65534, 65534) != 0) {
        printf("skipped: a file cannot be given to another user here\n");
        return;
    }
    is_refused(HG_ERR_VALIDATION, "belongs to user 65534, and this process runs as user 0");
}

enum { CANNOT_BE_ANOTHER = 77 };

static int opens_as_nobody(void *arg)
{
    struct hg_error err = HG_ERROR_INIT;
    hg_breaker *breaker;
    (void)arg;
    if (geteuid() != 0 || setuid(65534) != 0)
        return CANNOT_BE_ANOTHER;
    REQUIRE(hgi_shared_open(&breaker, NAME, &options, &folder.how, &err) == HG_ERR_VALIDATION);
    REQUIRE(strstr(err.message, "belongs to user 0") != NULL);
    REQUIRE(hgi_shared_unlink(folder.path, NAME, &err) == HG_ERR_VALIDATION);
    return 0;
}

Test(shared, roots_breaker_is_closed_to_others_and_says_whose_it_is)
{
    struct hg_error err = HG_ERROR_INIT;
    hg_breaker_free(opened_saying(&err));
    cr_assert_eq(chmod(folder.path, 0755), 0);
    int status = in_child(opens_as_nobody, NULL);
    if (status == CANNOT_BE_ANOTHER)
        printf("skipped: nobody can become another user here\n");
    else
        cr_assert_eq(status, 0);
}

/* --- a segment that somebody else wrote --- */

static struct hgi_segment *fresh_segment(void)
{
    struct hg_error err = HG_ERROR_INIT;
    unlink(shared_file(&folder, NAME));
    hg_breaker_free(opened_saying(&err));
    return shared_segment(&folder, NAME);
}

#define DAMAGED(field, value, text)                    \
    do {                                               \
        struct hgi_segment *segment = fresh_segment(); \
        segment->field = (value);                      \
        munmap(segment, sizeof *segment);              \
        is_refused(HG_ERR_VALIDATION, text);           \
    } while (0)

#define DAMAGED_OPTION(field, value, text)                                \
    do {                                                                  \
        struct hgi_segment *segment = fresh_segment();                    \
        ((struct hg_breaker_options *)segment->options)->field = (value); \
        munmap(segment, sizeof *segment);                                 \
        is_refused(HG_ERR_VALIDATION, text);                              \
    } while (0)

Test(shared, a_damaged_head_is_an_error_that_says_what)
{
    DAMAGED(magic, 1, "is not a breaker of herdgate");
    DAMAGED(version, HGI_SEGMENT_VERSION + 1, "layout 3");
    DAMAGED(size, 100, "of 100 bytes");
    DAMAGED(time_namespace, 12345, "another time namespace (12345, here");
}

Test(shared, a_damaged_setting_is_an_error_that_says_what)
{
    struct hgi_window *window;
    DAMAGED_OPTION(size, 0, "have 0 bytes");
    DAMAGED_OPTION(size, SIZE_MAX, "bytes");
    DAMAGED_OPTION(failure_threshold, 65536, "failure_threshold");
    DAMAGED_OPTION(success_threshold, 4, "success_threshold");
    DAMAGED_OPTION(recovery_timeout_ns, -1, "recovery_timeout_ns");
    DAMAGED_OPTION(recovery_jitter, 2, "recovery_jitter");
    DAMAGED_OPTION(seed, 0, "seed is 0");
    DAMAGED_OPTION(on_mismatch, (hg_mismatch)77, "on_mismatch");
    DAMAGED_OPTION(half_open_max_calls, 4, "not what they were made from");
    DAMAGED(breaker.machine.max_calls, 255, "not what they were made from");
    DAMAGED(breaker.machine.open_ticks[14], 0, "not what they were made from");
    DAMAGED(breaker.machine.seed, 0, "not what they were made from");
    DAMAGED(breaker.flags, 0, "not what they were made from");
    DAMAGED(breaker.flags, UINT32_MAX, "not what they were made from");
    DAMAGED(breaker.permit_age_ns, INT64_MAX, "not what they were made from");
    options.window_length_ns = 10 * HGI_NS_PER_S;
    for (int i = 0; i < 2; i++) {
        struct hgi_segment *segment = fresh_segment();
        window = (struct hgi_window *)segment->window;
        if (i == 0)
            window->bucket_ns = 0;
        else
            window->own_cells = 1000000;
        munmap(segment, sizeof *segment);
        is_refused(HG_ERR_VALIDATION, "not what they were made from");
    }
}

Test(shared, an_illegal_word_is_an_error)
{
    DAMAGED(breaker.word, 2, "its word is 0000000000000002");
    DAMAGED(breaker.word, (uint64_t)HGI_OPEN << HGI_STATE_SHIFT, "its word is 2000000000000000");
    DAMAGED(breaker.word, UINT64_C(7) << HGI_STATE_SHIFT, "no breaker can come to");
    DAMAGED(breaker.word,
            (uint64_t)HGI_HALF_OPEN << HGI_STATE_SHIFT | UINT64_C(1) << HGI_STREAK_SHIFT |
                UINT64_C(4) << HGI_ISSUED_SHIFT,
            "no breaker can come to");
}

/* Random bytes anywhere: an error or a breaker that works, and never the end of the process. */
static int opens_what_is_there(void *arg)
{
    hg_breaker *breaker;
    hg_permit permit;
    (void)arg;
    if (hgi_shared_open(&breaker, NAME, &options, &folder.how, NULL) < 0)
        return 1;
    for (int i = 0; i < 10; i++)
        if (hg_breaker_admit(breaker, &permit))
            hg_breaker_report(breaker, permit, i % 2 ? HG_RESULT_FAILURE : HG_RESULT_SUCCESS, 0);
    snapshot_of(breaker);
    hg_breaker_free(breaker);
    return 0;
}

Test(shared, random_damage_never_ends_the_process)
{
    uint64_t random = test_seed();
    uint64_t rounds = test_rounds(300, 20000);
    options.window_length_ns = 10 * HGI_NS_PER_S;
    for (uint64_t i = 0; i < rounds; i++) {
        struct hgi_segment *segment = fresh_segment();
        uint64_t hits = 1 + test_random(&random) % 8;
        for (uint64_t hit = 0; hit < hits; hit++) {
            uint64_t choice = test_random(&random);
            ((unsigned char *)segment)[choice % HGI_SEGMENT_SIZE] = (unsigned char)(choice >> 32);
        }
        munmap(segment, sizeof *segment);
        int status = in_child(opens_what_is_there, NULL);
        cr_assert(status == 0 || status == 1, "round %llu: %d", (unsigned long long)i, status);
    }
}
