/* "Did you mean": near words are found, far ones are not guessed at. */
#include <criterion/criterion.h>

#include <stdint.h>
#include <string.h>

#include "policy/suggest.h"

static const char *nearest(const char *word)
{
    static const char *const known[] = { "max_size",  "min_idle", "max_waiters",
                                         "keepalive", "enabled",  "failure_threshold" };
    struct hgi_suggestion suggestion;
    hgi_suggest_begin(&suggestion, word);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        hgi_suggest_offer(&suggestion, known[i]);
    return suggestion.best ? suggestion.best : "";
}

Test(suggest, an_edit_of_each_kind_counts_once)
{
    cr_assert_eq(hgi_suggest_distance("size", "size"), 0);
    cr_assert_eq(hgi_suggest_distance("size", "sizes"), 1);
    cr_assert_eq(hgi_suggest_distance("size", "sze"), 1);
    cr_assert_eq(hgi_suggest_distance("size", "side"), 1);
    cr_assert_eq(hgi_suggest_distance("size", "sieze"), 1);
    cr_assert_eq(hgi_suggest_distance("size", "szie"), 1); /* neighbours swapped */
    cr_assert_eq(hgi_suggest_distance("", "size"), 4);
    cr_assert_eq(hgi_suggest_distance("size", ""), 4);
    cr_assert_eq(hgi_suggest_distance("kitten", "sitting"), 3);
}

Test(suggest, capitals_and_dashes_are_no_edits)
{
    cr_assert_eq(hgi_suggest_distance("MAX-SIZE", "max_size"), 0);
    cr_assert_eq(hgi_suggest_distance("min_idle", "Min-Idle"), 0);
}

Test(suggest, the_distance_is_the_same_both_ways)
{
    static const char *const words[] = {
        "", "a", "ab", "ba", "abcd", "badc", "max_size", "mxa_szie"
    };
    for (size_t i = 0; i < 8; i++)
        for (size_t j = 0; j < 8; j++)
            cr_assert_eq(hgi_suggest_distance(words[i], words[j]),
                         hgi_suggest_distance(words[j], words[i]), "%s, %s", words[i], words[j]);
}

Test(suggest, a_misspelt_word_finds_its_neighbour)
{
    cr_assert_str_eq(nearest("max_siez"), "max_size");
    cr_assert_str_eq(nearest("maxSize"), "max_size");
    cr_assert_str_eq(nearest("MAX-WAITERS"), "max_waiters");
    cr_assert_str_eq(nearest("failure_treshhold"), "failure_threshold");
    cr_assert_str_eq(nearest("keep_alive"), "keepalive");
}

Test(suggest, a_far_word_gets_no_guess)
{
    cr_assert_str_empty(nearest("timeout"));
    cr_assert_str_empty(nearest("x"));
    cr_assert_str_empty(nearest(""));
    cr_assert_str_empty(nearest("on"));
}

Test(suggest, words_of_any_length_are_safe)
{
    char longest[49];
    char longer[50];
    memset(longest, 'a', 48);
    memset(longer, 'a', 49);
    longest[48] = '\0';
    longer[49] = '\0';
    cr_assert_eq(hgi_suggest_distance(longest, longest), 0);
    cr_assert_eq(hgi_suggest_distance(longest, longer), SIZE_MAX);
    cr_assert_eq(hgi_suggest_distance(longer, longer), SIZE_MAX);
    cr_assert_str_empty(nearest(longer));
}
