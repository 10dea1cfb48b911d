/* An explanation for programs. Times are nanoseconds; null is "none" or "no limit". */
#include "tools/policy/explain.h"

static void put_time(cJSON *object, const char *name, int64_t ns)
{
    if (ns < 0)
        cJSON_AddNullToObject(object, name);
    else
        cJSON_AddNumberToObject(object, name, (double)ns);
}

static void put_command(cJSON *json, const struct hgi_explanation *e)
{
    if (!e->command[0])
        return;
    cJSON_AddStringToObject(json, "command", e->command);
    cJSON_AddStringToObject(json, "class_from",
                            e->by_file      ? "file"
                            : e->facts.name ? "table"
                                            : "not known");
    if (e->key)
        cJSON_AddStringToObject(json, "key", e->key);
    cJSON_AddBoolToObject(json, "changes_connection", !hgi_command_allowed_in_pool(&e->facts));
    cJSON_AddBoolToObject(json, "refusal_proves_nothing", e->facts.opaque);
}

static void put_settings(cJSON *json, const struct hgi_explanation *e)
{
    const struct hgi_class *c = e->op_class;
    cJSON *settings = cJSON_AddObjectToObject(json, "settings");
    cJSON_AddNumberToObject(settings, "max_attempts", c->retry.max_attempts);
    put_time(settings, "attempt_timeout_ns", c->attempt_timeout_ns);
    put_time(settings, "deadline_ns", c->deadline_ns);
    put_time(settings, "initial_delay_ns", c->retry.initial_delay_ns);
    put_time(settings, "max_delay_ns", c->retry.max_delay_ns);
    cJSON_AddNumberToObject(settings, "multiplier", c->retry.multiplier);
    cJSON_AddStringToObject(settings, "jitter", hgi_jitter_name(c->retry.jitter));
    cJSON_AddNumberToObject(settings, "jitter_ratio", c->retry.jitter_ratio);
    cJSON_AddBoolToObject(settings, "retry_unknown", c->retry_unknown);
    cJSON_AddBoolToObject(settings, "retry_unfenced", c->retry_unfenced);
}

static const char *again_name(enum hgi_again again)
{
    static const char *const names[] = { "yes", "fenced", "no" };
    return names[again];
}

static void put_failures(cJSON *json, const struct hgi_explanation *e)
{
    static const char *const views[] = { "success", "failure", "nothing" };
    static const char *const fates[] = { "keep", "close", "drop_epoch" };
    cJSON *outcomes = cJSON_AddObjectToObject(json, "again_after");
    for (int outcome = 0; outcome <= HG_OUTCOME_EXECUTED; outcome++)
        cJSON_AddStringToObject(outcomes, hg_outcome_name((hg_outcome)outcome),
                                again_name(e->again[outcome]));
    cJSON *list = cJSON_AddArrayToObject(json, "failures");
    for (size_t i = 0; i < e->failures; i++) {
        const struct hgi_failure *f = &e->failure[i];
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "when", f->when);
        cJSON_AddStringToObject(one, "type", hg_status_name(f->verdict.type));
        cJSON_AddStringToObject(one, "severity", hg_severity_name(f->verdict.severity));
        cJSON_AddStringToObject(one, "recovery", hg_recovery_name(f->verdict.recovery));
        cJSON_AddStringToObject(one, "outcome", hg_outcome_name(f->verdict.outcome));
        cJSON_AddStringToObject(one, "again", again_name(f->again));
        cJSON_AddStringToObject(one, "breaker", views[f->verdict.view]);
        cJSON_AddStringToObject(one, "connection", fates[f->verdict.fate]);
        if (f->verdict.recovery == HG_RECOVERY_RETRY_WITH_DELAY)
            put_time(one, "delay_ns", f->verdict.delay_ns);
        cJSON_AddItemToArray(list, one);
    }
}

static void put_delays(cJSON *json, const struct hgi_explanation *e)
{
    cJSON *list = cJSON_AddArrayToObject(json, "delays");
    for (uint32_t n = 0; n < e->delays; n++) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddNumberToObject(one, "retry", n + 1);
        put_time(one, "before_jitter_ns", e->delay[n].plain_ns);
        put_time(one, "minimum_ns", e->delay[n].least_ns);
        put_time(one, "mean_ns", e->delay[n].mean_ns);
        put_time(one, "maximum_ns", e->delay[n].most_ns);
        cJSON_AddItemToArray(list, one);
    }
}

static void put_outlook(cJSON *json, const struct hgi_explanation *e)
{
    const struct hgi_outlook *o = &e->outlook;
    cJSON *worst = cJSON_AddObjectToObject(json, "worst_case");
    put_time(worst, "time_ns", o->worst_ns);
    put_time(worst, "attempts_ns", o->attempts_ns);
    put_time(worst, "delays_mean_ns", o->delays_mean_ns);
    put_time(worst, "delays_maximum_ns", o->delays_most_ns);
    cJSON_AddNumberToObject(worst, "attempts_that_fit", o->begun);
    cJSON *list = cJSON_AddArrayToObject(json, "load");
    for (size_t i = 0; i < e->caller_count; i++) {
        double attempts = hgi_outlook_attempts(e->settings, o, e->callers[i]);
        cJSON *one = cJSON_CreateObject();
        cJSON_AddNumberToObject(one, "clients", e->callers[i]);
        cJSON_AddNumberToObject(one, "attempts", attempts);
        cJSON_AddNumberToObject(one, "amplification", attempts / e->callers[i]);
        cJSON_AddItemToArray(list, one);
    }
}

cJSON *hgi_explain_json(const struct hgi_explanation *e)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "format", "herdgate-policy");
    cJSON_AddNumberToObject(json, "version", 1);
    cJSON_AddStringToObject(json, "subcommand", "explain");
    cJSON_AddStringToObject(json, "file", e->source->name);
    put_command(json, e);
    cJSON_AddStringToObject(json, "class", e->op_class->name);
    cJSON_AddStringToObject(json, "based_on", e->settings->classes[e->op_class->kind].name);
    put_settings(json, e);
    put_failures(json, e);
    put_delays(json, e);
    put_outlook(json, e);
    return json;
}
