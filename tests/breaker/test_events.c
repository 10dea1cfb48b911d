/* Delivery step by step, in the orders that threads come to only now and then. Here one thread plays
 * several: a maker between its exchange and its push is one that has begun and not ended. */
#include <criterion/criterion.h>

#include "breaker/events.h"
#include "tests/breaker/fixture.h"

enum { HEARD_MAX = 8 };

static struct hgi_events events;
static struct hg_breaker_event heard[HEARD_MAX];
static uint32_t count;

static void hear(void *arg, const struct hg_breaker_event *event)
{
    (void)arg;
    REQUIRE(count < HEARD_MAX);
    heard[count++] = *event;
}

enum { START = 65534 }; /* so that generations come round on the way */

static void set_up(void)
{
    cr_assert_eq(hgi_events_init(&events, START, HG_BREAKER_CLOSED, NULL), HG_OK);
    cr_assert_eq(hgi_events_listen(&events, hear, NULL, NULL), HG_OK);
}

static void tear_down(void)
{
    hgi_events_destroy(&events);
}

TestSuite(events, .init = set_up, .fini = tear_down);

static void fill(struct hgi_event_node *node, uint64_t order, hg_breaker_state to, bool elsewhere)
{
    node->order = order;
    node->event.size = sizeof node->event;
    node->event.from = HG_BREAKER_HALF_OPEN; /* of a found one it is not known, and replaced */
    node->event.to = to;
    node->event.generation = (uint32_t)order & UINT16_MAX;
    node->event.elsewhere = elsewhere;
}

/* The exchange of a maker, and what follows it at once. */
static void exchanged(struct hgi_event_node *node, uint64_t order, hg_breaker_state to)
{
    hgi_events_made(&events, order);
    fill(node, order, to, false);
}

/* Another process's transition is found in the word. */
static void find(uint64_t order, hg_breaker_state to)
{
    struct hgi_event_node *node = hgi_events_begin(&events);
    uint64_t seen = hgi_events_seen(&events);
    cr_assert_eq(hgi_events_order(seen, (uint32_t)order & UINT16_MAX), order);
    cr_assert(hgi_events_found(&events, &seen, order));
    fill(node, order, to, true);
    hgi_events_end(&events, node, true);
}

static void heard_is(uint32_t index, uint64_t order, bool elsewhere, uint32_t missed)
{
    cr_assert_gt(count, index);
    cr_assert_eq(heard[index].generation, order & UINT16_MAX);
    cr_assert_eq(heard[index].elsewhere, elsewhere);
    cr_assert_eq(heard[index].missed, missed);
}

Test(events, a_later_one_waits_for_a_maker_that_has_not_pushed_yet)
{
    struct hgi_event_node *first = hgi_events_begin(&events);
    struct hgi_event_node *second = hgi_events_begin(&events);
    exchanged(first, START + 1, HG_BREAKER_OPEN);
    exchanged(second, START + 2, HG_BREAKER_CLOSED);
    hgi_events_end(&events, second, true);
    cr_assert_eq(count, 0);
    hgi_events_end(&events, first, true);
    cr_assert_eq(count, 2);
    heard_is(0, START + 1, false, 0);
    heard_is(1, START + 2, false, 0);
}

/* A thread sees in the word what another one of the process has just put there. */
Test(events, what_is_found_and_made_is_told_as_made)
{
    struct hgi_event_node *maker = hgi_events_begin(&events);
    fill(maker, START + 1, HG_BREAKER_OPEN, false);
    find(START + 1, HG_BREAKER_OPEN); /* between the maker's exchange and hgi_events_made() */
    cr_assert_eq(count, 0);
    hgi_events_made(&events, START + 1);
    hgi_events_end(&events, maker, true);
    cr_assert_eq(count, 1);
    heard_is(0, START + 1, false, 0);
    cr_assert_eq(heard[0].from, HG_BREAKER_HALF_OPEN);
}

Test(events, a_found_one_waits_for_makers_that_come_to_nothing)
{
    struct hgi_event_node *maker = hgi_events_begin(&events);
    find(START + 3, HG_BREAKER_OPEN);
    cr_assert_eq(count, 0);
    hgi_events_end(&events, maker, false);
    cr_assert_eq(count, 1);
    heard_is(0, START + 3, true, 2);
    cr_assert_eq(heard[0].from, HG_BREAKER_CLOSED);
}

Test(events, one_that_there_was_no_memory_for_is_missed)
{
    free(hgi_events_begin(&events));
    hgi_events_made(&events, START + 1);
    hgi_events_end(&events, NULL, true);
    struct hgi_event_node *maker = hgi_events_begin(&events);
    exchanged(maker, START + 2, HG_BREAKER_OPEN);
    hgi_events_end(&events, maker, true);
    cr_assert_eq(count, 1);
    heard_is(0, START + 2, false, 1);
}

Test(events, what_came_before_the_last_one_told_is_told_no_more)
{
    find(START + 5, HG_BREAKER_OPEN);
    struct hgi_event_node *late = hgi_events_begin(&events);
    fill(late, START + 4, HG_BREAKER_CLOSED, false);
    hgi_events_end(&events, late, true);
    cr_assert_eq(count, 1);
    find(START + 6, HG_BREAKER_HALF_OPEN);
    cr_assert_eq(count, 2);
    heard_is(1, START + 6, true, 0);
    cr_assert_eq(heard[1].from, HG_BREAKER_OPEN);
}

Test(events, the_first_of_another_segment_has_no_gap_before_it)
{
    struct hgi_event_node *node = hgi_events_begin(&events);
    uint64_t seen = hgi_events_seen(&events);
    cr_assert(hgi_events_found(&events, &seen, START + 40000));
    fill(node, START + 40000, HG_BREAKER_OPEN, true);
    node->anew = true;
    hgi_events_end(&events, node, true);
    find(START + 40002, HG_BREAKER_CLOSED);
    cr_assert_eq(count, 2);
    heard_is(0, START + 40000, true, 0);
    heard_is(1, START + 40002, true, 1);
}

Test(events, only_one_of_two_finds_what_both_have_seen)
{
    uint64_t seen = hgi_events_seen(&events);
    uint64_t again = seen;
    cr_assert(hgi_events_found(&events, &seen, START + 1));
    cr_assert_not(hgi_events_found(&events, &again, START + 1));
    cr_assert_eq(again, START + 1);
}
