/* What the subcommands of herdgate-stress have in common, once: from the command line over the policy to a
 * run, its results in every form that was asked for, and the exit code.
 *
 * A subcommand is a description (struct hgi_subcommand) of what is its own: its options, its run, and what
 * its results say. Its state begins with the results, and they with a struct hgi_stamp.
 */
#ifndef HERDGATE_TOOLS_STRESS_SUBCOMMAND_H
#define HERDGATE_TOOLS_STRESS_SUBCOMMAND_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "tools/common/options.h"
#include "tools/common/problem.h"
#include "tools/common/target.h"
#include "tools/stress/publish.h"
#include "tools/stress/recipe.h"

/* What every command line may say. */
struct hgi_asked {
    struct hgi_outputs outputs;
    const char *policy; /* the path of the file; NULL: none */
    struct hgi_target_flags server;
    struct hgi_target target; /* of these flags, once they are parsed */
    bool help;
};

/* A table of options that grows, for hgi_options_parse(). */
enum { HGI_ROWS_MAX = 56 };
struct hgi_rows {
    size_t count;
    struct hgi_option row[HGI_ROWS_MAX + 1];
};

void hgi_rows_heading(struct hgi_rows *rows, const char *text);

/* Add the rows of a table; the one that ends it does not count. */
void hgi_rows_add(struct hgi_rows *rows, const struct hgi_option *table);

/* The options of a load, where a subcommand has them: those whose value is not NULL. */
struct hgi_load_rows {
    uint32_t *threads;
    uint32_t *connections;
    struct hgi_span *sizes;
    int64_t sizes_most;
    int64_t *length_ns;
    int64_t length_least_ns;
    int64_t length_most_ns;
    uint64_t *seed;
    int64_t *pause_ns;
    int64_t *attempt_timeout_ns;
    int64_t *deadline_ns;
    const char *threads_help; /* these two have defaults of their own */
    const char *length_help;
};
void hgi_rows_load(struct hgi_rows *rows, const struct hgi_load_rows *load);

/* --policy, and what all subcommands write and say. Those of a form that there is not are left out. */
void hgi_rows_policy(struct hgi_rows *rows, struct hgi_asked *asked);
void hgi_rows_server(struct hgi_rows *rows, struct hgi_asked *asked);
void hgi_rows_output(struct hgi_rows *rows, struct hgi_asked *asked, const struct hgi_forms *forms);

/* A seed to begin with, where the command line says none. */
uint64_t hgi_fresh_seed(void);

/* Print the line for the user, and return the code. */
int hgi_fail(int code, const char *text);

struct hgi_subcommand {
    const char *name;
    const char *about;    /* what --help begins with */
    const char *examples; /* and what follows the options */
    size_t size;          /* of its state; it begins as zeros */
    bool takes_server;    /* a given one; else there is only the tool's own */
    const struct hgi_forms *forms;

    /* The defaults. */
    void (*begin)(void *state, uint64_t seed);

    /* Its own rows; --policy, the server's and the output's are added. */
    void (*options)(void *state, struct hgi_rows *rows);

    /* What the options said is read, where it has a grammar of its own. Then the results must have all figures
     * that they will have, empty. False: *problem says. */
    bool (*read)(void *state, const struct hgi_asked *asked, struct hgi_problem *problem);

    /* What the command line did not say comes from the policy, or is the default; the recipe's path is set, the
     * rest of it is what the command line says on top of the file. */
    void (*settle)(void *state, cJSON *policy, struct hgi_recipe *recipe);

    /* Fills the results. Ends early when *interrupted becomes true. False: the environment failed, *problem says;
     * what was measured is still published. */
    bool (*run)(void *state, cJSON *policy, const atomic_bool *interrupted,
                struct hgi_problem *problem);

    /* The invariant that is broken, in words, or ""; and the command that does it again, where there is one
     * (else NULL). */
    void (*broken)(char *out, size_t size, const void *state);
    void (*replay)(char *out, size_t size, const void *state);

    /* Fill zeroed results, but for their stamp, from what --json saved. False: the saved file's problem says; end()
     * is still due. */
    bool (*load)(void *state, const struct hgi_saved *saved);

    /* NULL: nothing is held but the state itself. */
    void (*end)(void *state);
};

/* All of it: arguments after the subcommand's name; the tool's exit code. */
int hgi_subcommand_main(const struct hgi_subcommand *subcommand, int count, char *const *arguments,
                        const char *command);

/* herdgate-stress report: the table and the page again from a saved file. */
int hgi_report_main(int count, char *const *arguments);

/* The subcommands that are there, NULL at the end; and those that a saved file can be of. */
extern const struct hgi_subcommand *const hgi_subcommands[];
extern const struct hgi_subcommand hgi_concurrency;
extern const struct hgi_subcommand hgi_herd;
extern const struct hgi_subcommand hgi_breaker;
extern const struct hgi_subcommand hgi_chaos;
extern const struct hgi_subcommand hgi_soak;

/* It has two models, each with a run of its own. Of the descriptions only what `report` needs is set. */
extern const struct hgi_subcommand hgi_simulate_lock;
extern const struct hgi_subcommand hgi_simulate_wave;
int hgi_simulate_main(int count, char *const *arguments, const char *command);

#endif
