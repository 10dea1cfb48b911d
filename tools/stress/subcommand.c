/* From the command line to the exit code, the same way for every subcommand; see subcommand.h.
 *
 * Order: the command line, the assertions (are they of figures that there will be?), the policy; whatever is
 * wrong until here is the caller's mistake, and nothing was started. Then, whether the results can be written. Then the run, its results in every form,
 * and the code: a broken invariant before an environment that failed, before an interruption, before an
 * assertion.
 */
#include "tools/stress/subcommand.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <herdgate/version.h>

#include "tools/common/random.h"
#include "tools/common/timing.h"
#include "tools/stress/exits.h"

static const char endnote[] =
    "\n"
    "Exit: 0 pass, 1 an --assert does not hold, 2 usage or policy, 3 environment, 4\n"
    "an invariant is broken, 130 interrupted (what was measured is still written).\n"
    "See herdgate-stress(1).\n";

uint64_t hgi_fresh_seed(void)
{
    uint64_t random = (uint64_t)monotonic_ns() ^ ((uint64_t)getpid() << 32);
    return random_next(&random) >> 32;
}

int hgi_fail(int code, const char *text)
{
    fprintf(stderr, "herdgate-stress: %s\n", text);
    return code;
}

static void help(const struct hgi_subcommand *subcommand, const struct hgi_rows *rows)
{
    printf("%s\nusage: herdgate-stress %s [options]\n", subcommand->about, subcommand->name);
    hgi_options_help(rows->row, stdout);
    fputs(subcommand->examples, stdout);
    fputs(endnote, stdout);
}

static bool parse(const struct hgi_subcommand *subcommand, void *state, struct hgi_asked *asked,
                  int count, char *const *arguments, struct hgi_problem *problem)
{
    struct hgi_rows rows = { 0 };
    subcommand->options(state, &rows);
    hgi_rows_policy(&rows, asked);
    if (subcommand->takes_server)
        hgi_rows_server(&rows, asked);
    hgi_rows_output(&rows, asked, subcommand->forms);
    if (!hgi_options_parse(rows.row, count, arguments, problem))
        return false;
    if (asked->help)
        help(subcommand, &rows);
    return asked->help ||
           (hgi_target_from_flags(&asked->target, &asked->server, problem) &&
            subcommand->read(state, asked, problem) &&
            hgi_outputs_differ(&asked->outputs, problem) &&
            hgi_assertions_check(&asked->outputs, subcommand->forms, state, problem));
}

static bool read_policy(const struct hgi_subcommand *subcommand, void *state, cJSON **policy,
                        const struct hgi_asked *asked, struct hgi_problem *problem)
{
    struct hgi_recipe recipe = { .path = asked->policy };
    if (!hgi_recipe_read(policy, &recipe, problem))
        return false;
    subcommand->settle(state, *policy, &recipe);
    return hgi_recipe_try(*policy, &recipe, problem);
}

/* The code of a run that ended: what is wrong is said. */
static int judge(const struct hgi_subcommand *subcommand, const void *state,
                 const struct hgi_asked *asked, const struct hgi_problem *failure)
{
    char broken[512], replay[8192];
    const struct hgi_stamp *stamp = state;
    subcommand->broken(broken, sizeof broken, state);
    if (broken[0] && !stamp->server_lost) { /* which breaks much that is not the library's */
        fprintf(stderr, "herdgate-stress: broken: %s\n", broken);
        if (subcommand->replay) {
            subcommand->replay(replay, sizeof replay, state);
            fprintf(stderr, "Do it again: %s\n", replay);
        }
        return HGI_EXIT_BROKEN;
    }
    if (failure)
        return hgi_fail(HGI_EXIT_ENVIRONMENT, failure->text);
    if (stamp->interrupted)
        return HGI_EXIT_INTERRUPTED;
    return hgi_assertions_hold(&asked->outputs, subcommand->forms, state) ? HGI_EXIT_PASS
                                                                          : HGI_EXIT_ASSERTION;
}

static int run(const struct hgi_subcommand *subcommand, void *state, cJSON *policy,
               const struct hgi_asked *asked)
{
    struct hgi_problem problem = { .text = "out of memory" };
    const struct hgi_stamp *stamp = state;
    bool well = subcommand->run(state, policy, hgi_interrupted(), &problem);
    /* The first failure is the one that is told. */
    if (stamp->took_ns > 0)
        well =
            hgi_publish(&asked->outputs, subcommand->forms, state, well ? &problem : NULL) && well;
    return judge(subcommand, state, asked, well ? NULL : &problem);
}

int hgi_subcommand_main(const struct hgi_subcommand *subcommand, int count, char *const *arguments,
                        const char *command)
{
    struct hgi_problem problem = { .text = "" };
    struct hgi_asked asked = { .policy = NULL };
    cJSON *policy = NULL;
    int code = HGI_EXIT_PASS;
    struct hgi_stamp *stamp = calloc(1, subcommand->size);
    if (!stamp)
        return hgi_fail(HGI_EXIT_ENVIRONMENT, "out of memory");
    subcommand->begin(stamp, hgi_fresh_seed());
    stamp->command = command;
    stamp->herdgate = HG_VERSION;
    if (!parse(subcommand, stamp, &asked, count, arguments, &problem) ||
        (!asked.help && !read_policy(subcommand, stamp, &policy, &asked, &problem)))
        code = hgi_fail(HGI_EXIT_USAGE, problem.text);
    else if (!asked.help && !hgi_outputs_possible(&asked.outputs, &problem))
        code = hgi_fail(HGI_EXIT_ENVIRONMENT, problem.text);
    else if (!asked.help)
        code = run(subcommand, stamp, policy, &asked);
    cJSON_Delete(policy);
    if (subcommand->end)
        subcommand->end(stamp);
    free(stamp);
    return code;
}
