/* --assert: what it reads, what it says. */
#include <criterion/criterion.h>
#include <string.h>

#include "tools/stress/assertion.h"

static struct hgi_figures figures;
static struct hgi_problem problem;

static void set_up(void)
{
    memset(&figures, 0, sizeof figures);
    hgi_figures_add(&figures, NULL, "amplification", HGI_FIGURE_NUMBER, true, 1.1);
    hgi_figures_add(&figures, NULL, "p99", HGI_FIGURE_TIME, true, 5e6);
    hgi_figures_add(&figures, NULL, "goodput_back", HGI_FIGURE_TIME, false, -1);
    hgi_figures_add(&figures, "naive", "amplification", HGI_FIGURE_NUMBER, true, 7);
}

TestSuite(assertion, .init = set_up);

static enum hgi_assertion_result check(const char *text)
{
    struct hgi_assertion assertion;
    cr_assert(hgi_assertion_parse(&assertion, text, &problem), "%s", problem.text);
    return hgi_assertion_check(&assertion, &figures, &problem);
}

Test(assertion, each_comparison_is_what_it_says)
{
    static const struct {
        const char *text;
        enum hgi_assertion_result result;
    } cases[] = {
        { "amplification<1.2", HGI_HOLDS },
        { "amplification<1.1", HGI_FAILS },
        { "amplification<=1.1", HGI_HOLDS },
        { "amplification>1.1", HGI_FAILS },
        { "amplification>=1.1", HGI_HOLDS },
        { "amplification==1.1", HGI_HOLDS },
        { "amplification == 2", HGI_FAILS },
        { "p99<6ms", HGI_HOLDS },
        { "p99<=5000us", HGI_HOLDS },
        { "p99 < 4.9ms", HGI_FAILS },
        { "naive.amplification>6.5", HGI_HOLDS },
        { "p99>0", HGI_HOLDS },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(check(cases[i].text), cases[i].result, "%s", cases[i].text);
}

Test(assertion, one_that_does_not_hold_says_the_value)
{
    cr_assert_eq(check("p99<1ms"), HGI_FAILS);
    cr_assert_str_eq(problem.text, "--assert 'p99<1ms' does not hold: p99 is 5ms");
    cr_assert_eq(check("amplification>2"), HGI_FAILS);
    cr_assert(strstr(problem.text, "amplification is 1.1"));
}

Test(assertion, what_did_not_happen_holds_in_no_comparison)
{
    cr_assert_eq(check("goodput_back<500ms"), HGI_FAILS);
    cr_assert_eq(check("goodput_back>=0"), HGI_FAILS);
    cr_assert(strstr(problem.text, "did not happen"));
}

Test(assertion, a_name_that_is_none_is_answered_with_those_there_are)
{
    cr_assert_eq(check("amplify<1"), HGI_NO_SUCH_FIGURE);
    cr_assert(strstr(problem.text, "there are amplification, p99, goodput_back"), "%s",
              problem.text);
}

Test(assertion, a_unit_belongs_to_durations_and_to_nothing_else)
{
    cr_assert_eq(check("p99<5"), HGI_NO_SUCH_FIGURE);
    cr_assert(strstr(problem.text, "write it with a unit"));
    cr_assert_eq(check("amplification<5ms"), HGI_NO_SUCH_FIGURE);
    cr_assert(strstr(problem.text, "without a unit"));
}

Test(assertion, what_is_no_comparison_is_refused)
{
    static const char *const wrong[] = {
        "", "a", "a<", "<1", "a=1", "a<b", "a<1x", "a!=1", "a<1ms2"
    };
    struct hgi_assertion assertion;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_expect_not(hgi_assertion_parse(&assertion, wrong[i], &problem), "%s", wrong[i]);
}

Test(assertion, a_number_that_is_none_is_refused)
{
    static const char *const texts[] = { "amplification==nan", "amplification<inf",
                                         "p99<=infinity" };
    struct hgi_assertion assertion;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        cr_expect_not(hgi_assertion_parse(&assertion, texts[i], &problem), "%s", texts[i]);
}
