/* Credentials from a callback: asked at each dial, rotated, missing for a while. */
#include <criterion/criterion.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "pool/internal.h"
#include "tests/pool/one_pool.h"

TestSuite(credentials, .init = set_up_server, .fini = tear_down_server, .timeout = 120);

struct vault {
    _Atomic int version; /* < 0: it has none to give */
    _Atomic unsigned asked;
    _Atomic unsigned slow; /* so many-eth to ask is kept waiting; 0: nobody */
};

static hg_status ask_vault(void *arg, struct hg_credentials *credentials)
{
    struct vault *vault = arg;
    unsigned asked = atomic_fetch_add(&vault->asked, 1) + 1;
    while (asked == atomic_load(&vault->slow))
        sleep_ms(1);
    int version = atomic_load(&vault->version);
    if (version < 0)
        return HG_ERR_UNAVAILABLE;
    snprintf(credentials->username, sizeof credentials->username, "user%d", version);
    snprintf(credentials->password, sizeof credentials->password, "secret%d", version);
    return HG_OK;
}

static void make_user(int version)
{
    char user[16], password[24];
    struct hgi_problem problem;
    snprintf(user, sizeof user, "user%d", version);
    snprintf(password, sizeof password, ">secret%d", version);
    hg_pool *admin = open_pool(hgi_private_server_url(server), "{" PATIENT "}");
    (void)problem;
    cr_assert_eq(hg_command(admin, NULL, NULL, "ACL SETUSER %s on %s ~* +@all", user, password),
                 HG_OK);
    close_pool(admin);
}

static bool is_user(hg_lease *lease, const char *user)
{
    redisReply *reply;
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hg_lease_command(lease, &reply, &err, "ACL WHOAMI"), HG_OK, "%s", err.message);
    bool same = strcmp(reply->str, user) == 0;
    freeReplyObject(reply);
    return same;
}

static void expect_user(hg_lease *lease, const char *user)
{
    cr_assert(is_user(lease, user), "not %s", user);
}

Test(credentials, rotated_credentials_retire_the_connections_of_the_old_ones)
{
    struct vault vault = { .version = 1 };
    make_user(1);
    make_user(2);
    struct hg_pool_options options = HG_POOL_OPTIONS_INIT;
    options.url = hgi_private_server_url(server);
    options.credentials = ask_vault;
    options.credentials_arg = &vault;
    pool = open_pool_with(&options, "{\"pool\": {\"max_size\": 2, \"min_idle\": 0}, " PATIENT "}");
    hg_lease *old = acquire();
    expect_user(old, "user1");
    atomic_store(&vault.version, 2);
    hg_lease *new = acquire();
    for (int i = 0; i < 2 && !is_user(new, "user2"); i++) { /* made before the rotation */
        cr_assert_not_null(hg_lease_context(new));
        hg_release(new, HG_OK); /* closed, because it was used raw */
        new = acquire();
    }
    expect_user(new, "user2");
    expect_user(old, "user1");
    hg_release(old, HG_OK);
    old = acquire();
    expect_user(old, "user2");
    cr_assert_geq(atomic_load(&vault.asked), 3);
    hg_release(old, HG_OK);
    hg_release(new, HG_OK);
    close_pool(pool);
}

static void *acquire_main(void *arg)
{
    *(hg_lease **)arg = acquire();
    return NULL;
}

static struct vault *vault_of_two;

static bool so_often_asked(void *arg)
{
    return atomic_load(&vault_of_two->asked) >= *(unsigned *)arg;
}

/* A dial is slow; meanwhile the epoch ends, and another is made with the credentials of before. */
Test(credentials, credentials_that_are_new_after_the_end_of_an_epoch_end_the_next_one_too)
{
    struct vault vault = { .version = 1, .slow = 2 };
    unsigned twice = 2, thrice = 3;
    pthread_t threads[2];
    hg_lease *leases[2] = { NULL, NULL };
    make_user(1);
    make_user(2);
    struct hg_pool_options options = HG_POOL_OPTIONS_INIT;
    options.url = hgi_private_server_url(server);
    options.credentials = ask_vault;
    options.credentials_arg = vault_of_two = &vault;
    pool = open_pool_with(&options,
                          "{\"pool\": {\"max_size\": 3, \"min_idle\": 0, "
                          "\"max_connecting\": 2, \"connect_timeout\": \"60s\"}, " PATIENT "}");
    hg_lease *first = acquire();
    cr_assert_eq(pthread_create(&threads[0], NULL, acquire_main, &leases[0]), 0);
    wait_for(so_often_asked, &twice, "the slow one asks");
    atomic_fetch_add(&pool->epoch, 1); /* as after READONLY */
    cr_assert_eq(pthread_create(&threads[1], NULL, acquire_main, &leases[1]), 0);
    wait_for(so_often_asked, &thrice, "the other one asks");
    wait_for(so_many_leased, SO_MANY(2), "it is connected");
    atomic_store(&vault.version, 2);
    atomic_store(&vault.slow, 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    int old = is_user(leases[0], "user1") ? 0 : 1;
    expect_user(leases[old], "user1");
    expect_user(leases[1 - old], "user2");
    hg_release(leases[old], HG_OK);
    leases[old] = acquire();
    expect_user(leases[old], "user2");
    hg_release(leases[0], HG_OK);
    hg_release(leases[1], HG_OK);
    hg_release(first, HG_OK);
    close_pool(pool);
}

Test(credentials, a_callback_without_credentials_is_a_failed_dial_and_is_asked_again)
{
    struct vault vault = { .version = -1 };
    make_user(3);
    struct hg_pool_options options = HG_POOL_OPTIONS_INIT;
    options.url = hgi_private_server_url(server);
    options.credentials = ask_vault;
    options.credentials_arg = &vault;
    pool = open_pool_with(&options, "{\"breaker\": {\"failure_threshold\": 1000}, " PATIENT "}");
    struct hg_error err = HG_ERROR_INIT;
    hg_lease *lease;
    cr_assert_eq(hg_acquire(pool, &lease, NULL, &err), HG_ERR_CONNECTION);
    cr_assert_not_null(strstr(err.message, "credentials callback"), "%s", err.message);
    cr_assert_null(strstr(err.message, "secret"));
    atomic_store(&vault.version, 3);
    while (hg_acquire(pool, &lease, NULL, &err) == HG_ERR_CONNECTION)
        sleep_ms(10); /* a dial that had begun */
    cr_assert_not_null(lease, "%s", err.message);
    expect_user(lease, "user3");
    hg_release(lease, HG_OK);
    close_pool(pool);
}
