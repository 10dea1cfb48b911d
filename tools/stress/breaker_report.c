/* A run of breaker as a table and figures. */
#include <inttypes.h>
#include <stdlib.h>

#include "tools/common/terminal.h"
#include "tools/stress/breaker.h"

static const char *time_or_dash(char *out, size_t size, int64_t ns)
{
    if (ns < 0)
        snprintf(out, size, "-");
    else
        hgi_format_latency(out, size, ns);
    return out;
}

static void print_outages(FILE *out, const struct hgi_breaker_results *r, bool colour)
{
    enum { COLUMNS = 8, HEADS = 2 };
    _Static_assert(HGI_OUTAGES_MAX + HEADS <= HGI_TABLE_ROWS, "every outage has a row");
    static const char *const heads[HEADS][COLUMNS] = {
        { "", "opened", "", "", "", "", "open for", "closed" },
        { "outage", "after", "in vain", "refused", "probes", "half-open", "then", "after" },
    };
    char text[HGI_CELL_SIZE];
    struct hgi_table *table = calloc(1, sizeof *table);
    if (!table)
        return;
    for (size_t row = 0; row < HEADS; row++)
        hgi_table_heads(table, row, heads[row], COLUMNS);
    for (uint32_t i = 0; i < r->outage_count; i++) {
        struct hgi_outage_figures f = hgi_breaker_outage(r, i);
        hgi_table_set(table, i + HEADS, 0, "%" PRIu32, i + 1);
        hgi_table_set(table, i + HEADS, 1, "%s",
                      time_or_dash(text, sizeof text, f.opened_after_ns));
        hgi_table_set(table, i + HEADS, 2, "%" PRIu64, r->outage[i].failed);
        hgi_table_set(table, i + HEADS, 3, "%s",
                      hgi_format_count(text, sizeof text, r->outage[i].refused));
        hgi_table_set(table, i + HEADS, 4, "%" PRIu32, f.probes);
        hgi_table_set(table, i + HEADS, 5, "%" PRIu32, f.half_opened);
        hgi_table_set(table, i + HEADS, 6, "%s", time_or_dash(text, sizeof text, f.period_ns));
        hgi_table_set(table, i + HEADS, 7, "%s",
                      time_or_dash(text, sizeof text, f.closed_after_ns));
    }
    hgi_table_print(table, out, colour);
    free(table);
}

static void print_processes(FILE *out, const struct hgi_breaker_results *r)
{
    char killed[HGI_OUTAGES_MAX * 64] = "", at[HGI_CELL_SIZE];
    size_t used = 0;
    for (uint32_t i = 0; i < r->kill_count && used < sizeof killed; i++)
        used += (size_t)snprintf(
            killed + used, sizeof killed - used, "%s no. %" PRIu32 " after %s (%s)", i ? "," : "",
            r->kill[i].process, hgi_format_latency(at, sizeof at, r->kill[i].at_ns),
            hg_breaker_state_name(r->kill[i].state));
    hgi_text_print(out, false, HGI_STYLE_NONE,
                   "Processes: %" PRIu32 ". Killed (-9):%s. Transitions that died untold with "
                   "them: %" PRIu64 ".",
                   r->settings.processes, r->kill_count ? killed : " none", hgi_breaker_untold(r));
}

void hgi_breaker_table(FILE *out, const void *arg, bool colour)
{
    const struct hgi_breaker_results *r = arg;
    char verdict[640], broken[300], p50[HGI_CELL_SIZE], p99[HGI_CELL_SIZE];
    print_outages(out, r, colour);
    fputc('\n', out);
    hgi_text_print(out, colour, HGI_STYLE_DIM,
                   "Opened after: from the server's going. In vain: attempts that failed. Probes: "
                   "calls that were admitted while it was half-open for certain, in so many "
                   "half-open periods. Open for then: the last open period. Closed after: from the "
                   "server's return.");
    fputc('\n', out);
    hgi_text_print(out, false, HGI_STYLE_NONE,
                   "A refusal took %s (p50), %s (p99). Transitions: %" PRIu64 ", each told once.",
                   hgi_format_latency(p50, sizeof p50, hgi_histogram_percentile(&r->refusal, 50)),
                   hgi_format_latency(p99, sizeof p99, hgi_histogram_percentile(&r->refusal, 99)),
                   r->counts.transitions);
    if (r->settings.processes > 1)
        print_processes(out, r);
    if (r->admissions_lost)
        fputs("More calls were admitted while it was not closed than could be noted.\n", out);
    hgi_breaker_verdict(verdict, sizeof verdict, r);
    hgi_breaker_broken(broken, sizeof broken, r);
    enum hgi_style style = broken[0] ? HGI_STYLE_BAD : HGI_STYLE_BOLD;
    fputc('\n', out);
    hgi_text_print(out, colour, style, "%s", verdict);
}

/* The longest of each outage's; unknown if one has none. */
static void add_worst(struct hgi_figures *out, const struct hgi_breaker_results *r)
{
    int64_t opened_ns = 0, closed_ns = 0;
    bool all_opened = r->outage_count > 0, all_closed = r->outage_count > 0;
    for (uint32_t i = 0; i < r->outage_count; i++) {
        struct hgi_outage_figures f = hgi_breaker_outage(r, i);
        all_opened = all_opened && f.opened_after_ns >= 0;
        all_closed = all_closed && f.closed_after_ns >= 0;
        opened_ns = f.opened_after_ns > opened_ns ? f.opened_after_ns : opened_ns;
        closed_ns = f.closed_after_ns > closed_ns ? f.closed_after_ns : closed_ns;
    }
    hgi_figures_add(out, NULL, "opened_after", HGI_FIGURE_TIME, all_opened, (double)opened_ns);
    hgi_figures_add(out, NULL, "closed_after", HGI_FIGURE_TIME, all_closed, (double)closed_ns);
}

void hgi_breaker_figures(struct hgi_figures *out, const void *arg)
{
    const struct hgi_breaker_results *r = arg;
    const struct {
        const char *name;
        double value;
    } numbers[] = {
        { "calls", (double)r->calls },
        { "admitted", (double)r->admitted },
        { "refused", (double)r->refused },
        { "failed", (double)r->failed },
        { "transitions", (double)r->counts.transitions },
        { "opened", (double)r->counts.opened },
        { "admitted_while_open", hgi_breaker_admitted_open(r) },
        { "probes_most", hgi_breaker_probes_most(r) },
        { "false_opens", hgi_breaker_false_opens(r) },
        { "outages", r->outage_count },
        { "processes", r->settings.processes },
        { "killed", r->kill_count },
        { "untold", (double)hgi_breaker_untold(r) },
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        hgi_figures_add(out, NULL, numbers[i].name, HGI_FIGURE_NUMBER, true, numbers[i].value);
    add_worst(out, r);
    hgi_figures_add_latency(out, "refusal", &r->refusal);
}

/* --- files --- */

const struct hgi_histogram *hgi_breaker_latency(const void *arg, size_t part)
{
    (void)part;
    return &((const struct hgi_breaker_results *)arg)->refusal;
}

bool hgi_breaker_series(FILE *out, const void *arg, size_t part, struct hgi_problem *problem)
{
    const struct hgi_breaker_results *r = arg;
    (void)part;
    (void)problem;
    fputs("from_ns,state,told_ns,open_ns,generation\n", out);
    for (uint32_t i = 0; i < r->turn_count; i++)
        fprintf(out, "%" PRId64 ",%s,%" PRId64 ",%" PRId64 ",%" PRIu32 "\n", r->turn[i].at_ns,
                hg_breaker_state_name(r->turn[i].to), r->turn[i].told_ns, r->turn[i].period_ns,
                r->turn[i].generation);
    return true;
}
