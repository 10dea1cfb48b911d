/* The line before a server of limited capacity, on a clock of the test's own. */
#include <criterion/criterion.h>

#include "tools/common/timing.h"
#include "tools/stress/proxy_capacity.h"

static struct hgi_capacity two_thousand_a_second(void)
{
    return (struct hgi_capacity) { .unit_ns = NS_PER_S / 2000 };
}

static int owners[8];

Test(capacity, who_came_first_is_served_first)
{
    struct hgi_job job;
    struct hgi_capacity c = two_thousand_a_second();
    for (int i = 0; i < 8; i++)
        cr_assert(hgi_capacity_join(&c, &owners[i], i % 2 ? HGI_JOB_REQUEST : HGI_JOB_CONNECTION,
                                    NS_PER_S));
    cr_assert_eq(c.connections, 4);
    for (int i = 0; i < 8; i++) {
        cr_assert(hgi_capacity_take(&c, 2 * NS_PER_S, &job));
        cr_assert_eq(job.owner, &owners[i]);
        cr_assert_eq(job.kind, i % 2 ? HGI_JOB_REQUEST : HGI_JOB_CONNECTION);
    }
    cr_assert_not(hgi_capacity_take(&c, 2 * NS_PER_S, &job));
    cr_assert_eq(c.connections, 0);
    cr_assert_eq(c.busy, 4);
    hgi_capacity_free(&c);
}

Test(capacity, no_more_than_its_rate_is_served_however_often_it_is_asked)
{
    struct hgi_job job;
    struct hgi_capacity c = two_thousand_a_second();
    for (int i = 0; i < 5000; i++)
        cr_assert(hgi_capacity_join(&c, &owners[0], HGI_JOB_CONNECTION, 0));
    int served = 0;
    for (int64_t now_ns = 0; now_ns <= NS_PER_S; now_ns += 100 * NS_PER_US) {
        while (hgi_capacity_take(&c, now_ns, &job))
            served++;
        cr_assert(hgi_capacity_wake_ns(&c) > now_ns);
    }
    cr_assert(served >= 2000 && served <= 2001, "%d", served);
    hgi_capacity_free(&c);
}

Test(capacity, a_clock_that_is_late_is_made_up_for_but_not_without_limit)
{
    struct hgi_job job;
    struct hgi_capacity c = two_thousand_a_second();
    for (int i = 0; i < 5000; i++)
        cr_assert(hgi_capacity_join(&c, &owners[0], HGI_JOB_CONNECTION, 0));
    int served = 0;
    while (hgi_capacity_take(&c, 10 * NS_PER_MS, &job))
        served++;
    cr_assert_eq(served, 21); /* at 0, 0.5, ... 10 ms */
    cr_assert_eq(c.lost_ns, 0);
    served = 0;
    while (hgi_capacity_take(&c, NS_PER_S, &job))
        served++;
    cr_assert_eq(served, HGI_CAPACITY_LATE_NS / c.unit_ns + 1);
    cr_assert_eq(c.lost_ns, NS_PER_S - HGI_CAPACITY_LATE_NS - 21 * c.unit_ns);
    hgi_capacity_free(&c);
}

Test(capacity, time_in_which_nobody_waited_is_not_saved_up)
{
    struct hgi_job job;
    struct hgi_capacity c = two_thousand_a_second();
    for (int i = 0; i < 100; i++)
        cr_assert(hgi_capacity_join(&c, &owners[0], HGI_JOB_CONNECTION, 60 * NS_PER_S));
    cr_assert(hgi_capacity_take(&c, 60 * NS_PER_S, &job));
    cr_assert_not(hgi_capacity_take(&c, 60 * NS_PER_S, &job));
    cr_assert_eq(hgi_capacity_wake_ns(&c), 60 * NS_PER_S + c.unit_ns);
    hgi_capacity_free(&c);
}

Test(capacity, a_server_that_answers_nothing_takes_no_more_and_makes_nothing_up)
{
    struct hgi_job job;
    struct hgi_capacity c = two_thousand_a_second();
    for (int i = 0; i < 100; i++)
        cr_assert(hgi_capacity_join(&c, &owners[0], HGI_JOB_REQUEST, 0));
    int served = 0;
    for (int64_t now_ns = 0; now_ns <= NS_PER_S; now_ns += NS_PER_MS)
        while (hgi_capacity_take(&c, now_ns, &job))
            served++;
    cr_assert_eq(served, HGI_CAPACITY_BUSY);
    cr_assert_eq(hgi_capacity_wake_ns(&c), HGI_CAPACITY_NEVER);
    hgi_capacity_answered(&c, HGI_CAPACITY_BUSY, NS_PER_S);
    cr_assert(hgi_capacity_take(&c, NS_PER_S, &job));
    cr_assert_not(hgi_capacity_take(&c, NS_PER_S, &job));
    hgi_capacity_answered(&c, 100, NS_PER_S);
    cr_assert_eq(c.busy, 0);
    hgi_capacity_free(&c);
}

Test(capacity, who_has_gone_leaves_the_line_and_costs_nothing)
{
    struct hgi_job job;
    struct hgi_capacity c = two_thousand_a_second();
    for (int i = 0; i < 6; i++)
        cr_assert(hgi_capacity_join(&c, &owners[i % 3], HGI_JOB_CONNECTION, 0));
    hgi_capacity_forget(&c, &owners[0]);
    hgi_capacity_forget(&c, &owners[2]);
    cr_assert_eq(c.connections, 2);
    cr_assert(hgi_capacity_take(&c, 0, &job) && job.owner == &owners[1]);
    cr_assert_eq(hgi_capacity_wake_ns(&c), c.unit_ns);
    hgi_capacity_forget(&c, &owners[1]);
    cr_assert_eq(hgi_capacity_wake_ns(&c), HGI_CAPACITY_NEVER);
    cr_assert_not(hgi_capacity_take(&c, NS_PER_S, &job));
    hgi_capacity_free(&c);
}

Test(capacity, the_line_holds_as_many_as_come)
{
    struct hgi_job job;
    struct hgi_capacity c = two_thousand_a_second();
    uintptr_t joined = 0;
    uintptr_t taken = 0;
    for (int round = 0; round < 400; round++) {
        for (int i = 0; i < 7; i++)
            cr_assert(hgi_capacity_join(&c, &owners[joined++ % 8], HGI_JOB_CONNECTION, 0));
        for (int i = 0; i < (round < 300 ? 5 : 13); i++)
            if (hgi_capacity_take(&c, (round + 1) * NS_PER_S, &job))
                cr_assert_eq(job.owner, &owners[taken++ % 8]);
    }
    cr_assert_eq(taken, joined);
    cr_assert_eq(hgi_capacity_wake_ns(&c), HGI_CAPACITY_NEVER);
    hgi_capacity_free(&c);
}
