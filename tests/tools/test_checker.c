/* What finds a wrong reply or a doubled lease: each is broken on purpose and must be found. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "tools/stress/ledger.h"
#include "tools/stress/owners.h"
#include "tools/stress/value.h"

static const struct hgi_span any_size = { 1, 5000 };

static struct made {
    unsigned char bytes[5000];
    size_t length;
} made_of(uint64_t key, uint64_t nonce, struct hgi_span sizes)
{
    struct made m;
    m.length = hgi_value_length(key, nonce, sizes);
    hgi_value_make(m.bytes, m.length, key, nonce);
    return m;
}

Test(value, it_is_recognised_and_no_other_is_taken_for_it)
{
    struct hgi_span sizes = { 16, 5000 };
    for (uint64_t nonce = 1; nonce < 300; nonce++) {
        struct made m = made_of(5, nonce, sizes);
        cr_assert(m.length >= 16 && m.length <= 5000);
        cr_assert(hgi_value_is(m.bytes, m.length, 5, nonce, sizes));
        cr_assert_not(hgi_value_is(m.bytes, m.length, 6, nonce, sizes));
        cr_assert_not(hgi_value_is(m.bytes, m.length, 5, nonce + 1, sizes));
        cr_assert_not(hgi_value_is(m.bytes, m.length - 1, 5, nonce, sizes));
        m.bytes[nonce % m.length] ^= 1;
        cr_assert_not(hgi_value_is(m.bytes, m.length, 5, nonce, sizes));
    }
}

Test(value, sizes_keep_to_their_range_and_all_magnitudes_occur)
{
    struct hgi_span sizes = { 1, 1 << 20 };
    uint32_t magnitude[21] = { 0 };
    for (uint64_t nonce = 1; nonce < 20000; nonce++) {
        size_t length = hgi_value_length(1, nonce, sizes);
        cr_assert(length >= 1 && length <= 1 << 20);
        magnitude[63 - __builtin_clzll(length)]++;
    }
    for (int i = 0; i < 20; i++)
        cr_assert_gt(magnitude[i], 600, "2^%d: %u", i, magnitude[i]);
}

Test(value, one_in_the_wrong_place_is_named)
{
    char text[100];
    struct hgi_span sizes = { 100, 100 };
    struct made m = made_of(3, 17, sizes);
    hgi_value_describe(text, sizeof text, m.bytes, m.length);
    cr_assert_str_eq(text, "the value of key 3, nonce 17, whole");
    m.bytes[60] ^= 4;
    hgi_value_describe(text, sizeof text, m.bytes, m.length);
    cr_assert_str_eq(text, "the value of key 3, nonce 17, damaged");
    hgi_value_describe(text, sizeof text, "abc", 3);
    cr_assert_str_eq(text, "3 bytes that name no key");
}

static bool accepts(struct hgi_ledger *ledger, uint64_t key, uint64_t nonce)
{
    struct made m = made_of(key, nonce, any_size);
    return hgi_ledger_accepts(ledger, m.bytes, m.length, any_size);
}

Test(ledger, after_an_acknowledged_set_only_its_value_is_right)
{
    struct hgi_ledger ledger = { .key = 9 };
    cr_assert(hgi_ledger_accepts(&ledger, NULL, 0, any_size));
    uint64_t first = hgi_ledger_draw(&ledger);
    hgi_ledger_acknowledged(&ledger, first);
    cr_assert(accepts(&ledger, 9, first));
    cr_assert_not(hgi_ledger_accepts(&ledger, NULL, 0, any_size));
    uint64_t second = hgi_ledger_draw(&ledger);
    cr_assert_neq(first, second);
    hgi_ledger_acknowledged(&ledger, second);
    cr_assert(accepts(&ledger, 9, second));
    cr_assert_not(accepts(&ledger, 9, first));   /* a late or lost write */
    cr_assert_not(accepts(&ledger, 10, second)); /* another key's reply */
}

Test(ledger, a_set_of_unknown_outcome_may_show_at_any_later_time)
{
    struct hgi_ledger ledger = { .key = 9 };
    uint64_t first = hgi_ledger_draw(&ledger);
    hgi_ledger_acknowledged(&ledger, first);
    uint64_t lost = hgi_ledger_draw(&ledger);
    hgi_ledger_unknown(&ledger, lost);
    cr_assert(accepts(&ledger, 9, first));
    cr_assert(accepts(&ledger, 9, lost));
    cr_assert_not(accepts(&ledger, 9, first)); /* it has run: the older value is gone */
    uint64_t third = hgi_ledger_draw(&ledger);
    hgi_ledger_acknowledged(&ledger, third);
    cr_assert(accepts(&ledger, 9, third));
}

Test(ledger, more_unknown_outcomes_than_it_keeps_make_it_lenient_but_not_blind)
{
    struct hgi_ledger ledger = { .key = 9 };
    for (int i = 0; i < HGI_LEDGER_PENDING + 5; i++)
        hgi_ledger_unknown(&ledger, hgi_ledger_draw(&ledger));
    cr_assert(accepts(&ledger, 9, ledger.next_nonce));
    cr_assert_not(accepts(&ledger, 8, ledger.next_nonce));
    cr_assert_not(accepts(&ledger, 9, ledger.next_nonce + 1));
}

Test(ledger, a_restarted_server_may_have_lost_the_key_but_not_changed_it)
{
    struct hgi_ledger ledger = { .key = 9 };
    uint64_t nonce = hgi_ledger_draw(&ledger);
    hgi_ledger_acknowledged(&ledger, nonce);
    hgi_ledger_lost(&ledger);
    cr_assert(hgi_ledger_accepts(&ledger, NULL, 0, any_size));
    cr_assert_not(accepts(&ledger, 9, nonce + 1));
    uint64_t next = hgi_ledger_draw(&ledger);
    hgi_ledger_acknowledged(&ledger, next);
    cr_assert_not(hgi_ledger_accepts(&ledger, NULL, 0, any_size));
}

Test(counter, it_counts_exactly_while_every_outcome_is_known)
{
    struct hgi_counter counter = { 0 };
    for (int64_t i = 1; i < 100; i++)
        cr_assert(hgi_counter_accepts(&counter, i));
    cr_assert_not(hgi_counter_accepts(&counter, 99));  /* a lost increment */
    cr_assert_not(hgi_counter_accepts(&counter, 101)); /* one that ran twice */
    cr_assert(hgi_counter_accepts(&counter, 100));
}

Test(counter, each_unknown_outcome_allows_one_more_and_only_once)
{
    struct hgi_counter counter = { .seen = 10 };
    hgi_counter_unknown(&counter);
    hgi_counter_unknown(&counter);
    cr_assert_not(hgi_counter_accepts(&counter, 14));
    cr_assert_not(hgi_counter_accepts(&counter, 10));
    cr_assert(hgi_counter_accepts(&counter, 12)); /* one of the two has run */
    cr_assert_not(hgi_counter_accepts(&counter, 15));
    cr_assert(hgi_counter_accepts(&counter, 14)); /* and here the other */
    cr_assert_not(hgi_counter_accepts(&counter, 16));
    cr_assert(hgi_counter_accepts(&counter, 15));
}

Test(counter, a_restarted_server_may_begin_again)
{
    struct hgi_counter counter = { .seen = 10 };
    cr_assert_not(hgi_counter_accepts(&counter, 1));
    hgi_counter_lost(&counter);
    cr_assert(hgi_counter_accepts(&counter, 1));
    cr_assert_not(hgi_counter_accepts(&counter, 1));
    cr_assert(hgi_counter_accepts(&counter, 2));
}

Test(owners, a_connection_held_twice_is_found)
{
    struct hgi_owners *owners = calloc(1, sizeof *owners);
    uint32_t a, b;
    cr_assert(hgi_owners_take(owners, 7, 1, &a));
    cr_assert(hgi_owners_take(owners, 8, 2, &b));
    cr_assert_neq(a, b);
    cr_assert(hgi_owners_give(owners, a, 1));
    cr_assert(hgi_owners_take(owners, 7, 3, &a));
    cr_assert_not(hgi_owners_take(owners, 7, 4, &b));
    cr_assert_eq(a, b);
    cr_assert_not(hgi_owners_give(owners, a, 3));
    cr_assert(hgi_owners_give(owners, b, 4));
    cr_assert(hgi_owners_take(owners, 7, 5, &a));
    free(owners);
}

Test(counter, what_the_server_has_at_the_end_is_within_what_may_have_run)
{
    struct hgi_counter counter = { .seen = 10 };
    hgi_counter_unknown(&counter);
    cr_assert_not(hgi_counter_holds(&counter, 9)); /* an acknowledged one is missing */
    cr_assert(hgi_counter_holds(&counter, 10));
    cr_assert(hgi_counter_holds(&counter, 11));
    cr_assert_not(hgi_counter_holds(&counter, 12)); /* one ran twice */
    hgi_counter_lost(&counter);
    cr_assert(hgi_counter_holds(&counter, 0));
    cr_assert_not(hgi_counter_holds(&counter, 12));
}
