/* Bytes on their way through the proxy, and the heap of who is to be woken. */
#include <criterion/criterion.h>
#include <string.h>

#include "tools/common/random.h"
#include "tools/stress/proxy_queue.h"
#include "tools/stress/proxy_timers.h"

static struct hgi_queue queue;

static void tidy(void)
{
    hgi_queue_free(&queue);
}

TestSuite(proxy_queue, .fini = tidy);

static void add(const char *text, struct hgi_mark mark)
{
    cr_assert(hgi_queue_add(&queue, text, strlen(text), &mark));
}

/* What can go at `now`, as a text; it goes. */
static const char *goes(int64_t now)
{
    static char text[64];
    struct hgi_ready ready = hgi_queue_ready(&queue, now);
    if (ready.what != HGI_MARK_PASS)
        return ready.what == HGI_MARK_CLOSE ? "CLOSE" : "RESET";
    cr_assert(ready.length < sizeof text);
    memcpy(text, ready.length ? ready.bytes : "", ready.length);
    text[ready.length] = '\0';
    hgi_queue_sent(&queue, ready.length, now);
    return text;
}

static int64_t wakes(int64_t now)
{
    return hgi_queue_ready(&queue, now).wake_ns;
}

Test(proxy_queue, bytes_go_when_they_are_due_and_in_their_order)
{
    cr_assert_str_eq(goes(0), "");
    cr_assert_eq(wakes(0), HGI_QUEUE_NEVER);
    add("late", (struct hgi_mark) { .due_ns = 10 });
    add("early", (struct hgi_mark) { .due_ns = 5 });
    add("last", (struct hgi_mark) { .due_ns = 20 });
    cr_assert_str_eq(goes(9), "");
    cr_assert_eq(wakes(9), 10);
    cr_assert_str_eq(goes(10), "lateearly");
    cr_assert_eq(wakes(10), 20);
    cr_assert_str_eq(goes(21), "last");
    cr_assert_eq(hgi_queue_used(&queue), 0);
}

Test(proxy_queue, a_run_that_drips_goes_byte_by_byte)
{
    add("abc", (struct hgi_mark) { .drip_ns = 7 });
    add("def", (struct hgi_mark) { 0 });
    cr_assert_str_eq(goes(100), "a");
    cr_assert_str_eq(goes(106), "");
    cr_assert_eq(wakes(106), 107);
    cr_assert_str_eq(goes(110), "b");
    cr_assert_eq(wakes(110), 117);
    cr_assert_str_eq(goes(117), "c");
    cr_assert_str_eq(goes(117), "def");
}

Test(proxy_queue, replies_are_counted_when_their_last_byte_goes)
{
    struct hgi_mark mark = { 0 };
    add("one", mark);
    hgi_queue_reply_ends(&queue);
    mark.due_ns = 1;
    add("tw", mark);
    add("o", mark);
    hgi_queue_reply_ends(&queue);
    add("thr", mark);
    cr_assert_eq(hgi_queue_sent(&queue, 2, 1), 0);
    cr_assert_eq(hgi_queue_sent(&queue, 2, 1), 1);
    cr_assert_eq(hgi_queue_sent(&queue, 5, 1), 1);
    cr_assert_eq(hgi_queue_used(&queue), 0);
}

static bool below(void *arg, uint64_t reply)
{
    return reply < *(uint64_t *)arg;
}

Test(proxy_queue, what_is_stalled_holds_back_all_behind_it_until_told)
{
    uint64_t bound = 2;
    add("a", (struct hgi_mark) { 0 });
    add("1", (struct hgi_mark) { .what = HGI_MARK_STALLED, .reply = 1 });
    add("2", (struct hgi_mark) { .what = HGI_MARK_STALLED, .reply = 2 });
    add("b", (struct hgi_mark) { 0 });
    cr_assert_str_eq(goes(9), "a");
    cr_assert_str_eq(goes(9), "");
    cr_assert_eq(wakes(9), HGI_QUEUE_NEVER);
    hgi_queue_unstall(&queue, below, &bound);
    cr_assert_str_eq(goes(9), "");
    bound = 0;
    hgi_queue_unstall(&queue, below, &bound);
    cr_assert_str_eq(goes(9), "12b");
}

Test(proxy_queue, half_of_a_reply_passes_once_it_is_told_to)
{
    add("whole", (struct hgi_mark) { 0 });
    cr_assert_eq(hgi_queue_growing(&queue), 0);
    hgi_queue_halve(&queue);
    add("abc", (struct hgi_mark) { .what = HGI_MARK_GROWING, .reply = 1 });
    add("defg", (struct hgi_mark) { .what = HGI_MARK_GROWING, .reply = 1 });
    cr_assert_eq(hgi_queue_growing(&queue), 7);
    cr_assert_str_eq(goes(0), "whole");
    cr_assert_str_eq(goes(0), "");
    hgi_queue_halve(&queue);
    add("", (struct hgi_mark) { .what = HGI_MARK_CLOSE });
    cr_assert_str_eq(goes(0), "abcd");
    cr_assert_str_eq(goes(0), "CLOSE");
}

Test(proxy_queue, the_end_comes_after_what_was_before_it)
{
    add("a", (struct hgi_mark) { .due_ns = 5 });
    add("", (struct hgi_mark) { .what = HGI_MARK_RESET });
    cr_assert_str_eq(goes(4), "");
    cr_assert_str_eq(goes(5), "a");
    cr_assert_str_eq(goes(5), "RESET");
}

Test(proxy_queue, it_takes_so_much_and_no_more_until_some_has_gone)
{
    static const char bytes[HGI_QUEUE_LIMIT];
    struct hgi_mark mark = { 0 };
    cr_assert_eq(hgi_queue_space(&queue), HGI_QUEUE_LIMIT);
    cr_assert(hgi_queue_add(&queue, bytes, sizeof bytes - 1, &mark));
    cr_assert_eq(hgi_queue_space(&queue), 1);
    cr_assert(hgi_queue_add(&queue, bytes, 100, &mark));
    cr_assert_eq(hgi_queue_space(&queue), 0);
    hgi_queue_sent(&queue, 100, 0);
    cr_assert_eq(hgi_queue_space(&queue), 1);
}

Test(proxy_queue, a_million_bytes_pass_in_order_and_little_memory)
{
    uint64_t random = 3;
    uint8_t in = 0;
    uint8_t out = 0;
    for (int step = 0; step < 20000; step++) {
        char piece[97];
        size_t length = random_below(&random, sizeof piece);
        struct hgi_mark mark = { .due_ns = random_below(&random, 3) };
        for (size_t i = 0; i < length; i++)
            piece[i] = (char)in++;
        if (length > 0)
            cr_assert(hgi_queue_add(&queue, piece, length, &mark));
        struct hgi_ready ready = hgi_queue_ready(&queue, 3);
        size_t goes_now = ready.length ? random_below(&random, (uint32_t)ready.length + 1) : 0;
        for (size_t i = 0; i < goes_now; i++)
            cr_assert_eq((uint8_t)ready.bytes[i], out++);
        hgi_queue_sent(&queue, goes_now, 3);
        if (step % 1000 == 999) {
            struct hgi_ready rest = hgi_queue_ready(&queue, 3);
            for (size_t i = 0; i < rest.length; i++)
                cr_assert_eq((uint8_t)rest.bytes[i], out++);
            hgi_queue_sent(&queue, rest.length, 3);
            cr_assert_eq(in, out);
        }
    }
    cr_assert(queue.bytes_size <= 65536 && queue.marks_size <= 4096, "%zu %zu", queue.bytes_size,
              queue.marks_size);
}

Test(proxy_timers, they_go_off_in_order_whatever_was_set_anew_or_taken_out)
{
    enum { TIMERS = 200 };
    static struct hgi_timer timer[TIMERS];
    struct hgi_timers timers = { 0 };
    uint64_t random = 5;
    int64_t now = 0;
    cr_assert(hgi_timers_reserve(&timers, TIMERS));
    for (int i = 0; i < TIMERS; i++)
        timer[i].owner = &timer[i];
    for (int step = 0; step < 50000; step++) {
        struct hgi_timer *one = &timer[random_below(&random, TIMERS)];
        bool out = random_below(&random, 5) == 0;
        hgi_timers_set(&timers, one,
                       out ? HGI_TIMER_NEVER : now + (int64_t)random_below(&random, 1000));
        cr_assert_eq(one->place == 0, out);
        now += random_below(&random, 10);
        int64_t least = HGI_TIMER_NEVER;
        for (int i = 0; i < TIMERS; i++)
            if (timer[i].place && timer[i].when_ns < least)
                least = timer[i].when_ns;
        cr_assert_eq(hgi_timers_next(&timers), least);
        struct hgi_timer *due = hgi_timers_pop(&timers, now);
        cr_assert_eq(due != NULL, least <= now);
        if (due)
            cr_assert(due->when_ns == least && due->place == 0);
    }
    hgi_timers_free(&timers);
    cr_assert_null(hgi_timers_pop(&timers, HGI_TIMER_NEVER));
}
