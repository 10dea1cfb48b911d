/* herdgate-policy explain: what a command, or a class, meets under a policy. */
#include "tools/policy/explain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/exit_codes.h"
#include "tools/policy/tool.h"

static const char about[] =
    "herdgate-policy explain: what a command meets under a policy\n"
    "\n"
    "Its class, the settings that hold for it, what is tried again after which\n"
    "failure, the delays, the longest time that it can take, and how many attempts a\n"
    "dead server can get from it. With neither COMMAND nor --class: all classes, side\n"
    "by side. Options stand before the COMMAND.\n"
    "\n"
    "usage: herdgate-policy explain [options] FILE [COMMAND [ARGUMENT...]]\n"
    "\n";

const char *hgi_kind_meaning(enum hgi_class_kind kind)
{
    static const char *const meanings[HGI_CLASS_KINDS] = {
        [HGI_CLASS_READ] = "changes nothing",
        [HGI_CLASS_WRITE] = "leaves the same state if it runs twice",
        [HGI_CLASS_WRITE_ONCE] = "must not run twice",
        [HGI_CLASS_BLOCKING] = "waits in the server",
        [HGI_CLASS_SCRIPT] = "a script: may have done anything",
        [HGI_CLASS_TRANSACTION] = "part of a transaction",
        [HGI_CLASS_CONNECTION] = "about the connection itself",
        [HGI_CLASS_ADMIN] = "changes the server",
    };
    return meanings[kind];
}

const char *hgi_jitter_name(hg_jitter jitter)
{
    static const char *const names[] = { "none", "additive", "full", "equal", "decorrelated" };
    return names[jitter];
}

struct request {
    const char *class_name; /* or NULL */
    enum hgi_format format;
    uint32_t callers[HGI_CALLERS_MAX];
    size_t caller_count;
    bool no_secrets;
    const char *path;
    int argc;
    const char **argv;
};

static bool parse_callers(struct request *request, const char *text, struct hgi_problem *problem)
{
    char *end = NULL;
    for (const char *at = text;; at = end + 1) {
        errno = 0;
        unsigned long n = strtoul(at, &end, 10);
        if (end == at || *at == '-' || errno || n < 1 || n > 1000000000 || (*end && *end != ','))
            return hgi_problem_set(
                problem, "--clients: '%s' is no list of numbers from 1 to 1000000000", text);
        if (request->caller_count == HGI_CALLERS_MAX)
            return hgi_problem_set(problem, "--clients: more than %d numbers", HGI_CALLERS_MAX);
        request->callers[request->caller_count++] = (uint32_t)n;
        if (!*end)
            return true;
    }
}

static void keep_command(struct hgi_explanation *e, const struct request *request)
{
    size_t used = 0;
    for (int i = 0; i < request->argc && used < sizeof e->command; i++)
        used += (size_t)snprintf(e->command + used, sizeof e->command - used, "%s%s", i ? " " : "",
                                 request->argv[i]);
    for (char *at = e->command; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = '?';
}

/* The class of the command, or the one that was named. */
static bool find_class(struct hgi_explanation *e, const struct request *request,
                       struct hgi_problem *problem)
{
    if (request->class_name) {
        e->op_class = hgi_settings_class(e->settings, request->class_name);
        e->facts.kind = e->op_class ? e->op_class->kind : HGI_CLASS_WRITE_ONCE;
        return e->op_class ||
               hgi_problem_set(problem, "%s has no class \"%s\"; without --class, all are listed",
                               e->source->name, request->class_name);
    }
    keep_command(e, request);
    e->facts = hgi_command_look(request->argc, request->argv, NULL);
    e->op_class = hgi_command_class(e->settings, &e->facts, request->argc, request->argv, NULL);
    e->by_file = e->op_class != &e->settings->classes[e->facts.kind];
    if (e->facts.key_index > 0)
        e->key = request->argv[e->facts.key_index];
    return true;
}

static int print_json(cJSON *json)
{
    struct hgi_problem problem = { .text = "out of memory" };
    char *text = json ? cJSON_Print(json) : NULL;
    cJSON_Delete(json);
    if (!text)
        return hgi_tool_fail(HGI_EXIT_ENVIRONMENT, &problem);
    printf("%s\n", text);
    cJSON_free(text);
    return HGI_EXIT_PASS;
}

static bool fill(struct hgi_explanation *e, const struct request *request,
                 const struct hgi_class *op_class)
{
    uint32_t retries = op_class->retry.max_attempts - 1;
    e->op_class = op_class;
    e->delays = retries < HGI_DELAYS_SHOWN ? retries : HGI_DELAYS_SHOWN;
    e->caller_count = request->caller_count;
    memcpy(e->callers, request->callers, sizeof e->callers);
    hgi_explain_failures(e);
    return hgi_outlook_delays(&op_class->retry, e->delays, e->delay) &&
           hgi_outlook(&e->outlook, e->settings, op_class, e->facts.block_ns);
}

static int explain_classes(const struct hgi_source *source, const struct request *request)
{
    const struct hgi_settings *settings = &source->policy->settings;
    if (request->format == HGI_FORMAT_TEXT) {
        hgi_explain_classes_text(source, stdout);
        return HGI_EXIT_PASS;
    }
    struct hgi_problem problem = { .text = "out of memory" };
    struct hgi_explanation *e = calloc(1, sizeof *e);
    cJSON *list = cJSON_CreateArray();
    bool well = e && list;
    for (uint32_t i = 0; i < settings->class_count && well; i++) {
        *e = (struct hgi_explanation) { .source = source, .settings = settings };
        e->facts.kind = settings->classes[i].kind;
        well = fill(e, request, &settings->classes[i]);
        cJSON_AddItemToArray(list, hgi_explain_json(e));
    }
    free(e);
    if (well)
        return print_json(list);
    cJSON_Delete(list);
    return hgi_tool_fail(HGI_EXIT_ENVIRONMENT, &problem);
}

static int explain_one(const struct hgi_source *source, const struct request *request)
{
    struct hgi_problem problem = { .text = "out of memory" };
    int code = HGI_EXIT_ENVIRONMENT;
    struct hgi_explanation *e = calloc(1, sizeof *e);
    if (!e)
        return hgi_tool_fail(code, &problem);
    e->source = source;
    e->settings = &source->policy->settings;
    if (!find_class(e, request, &problem))
        code = hgi_tool_fail(HGI_EXIT_USAGE, &problem);
    else if (!fill(e, request, e->op_class))
        code = hgi_tool_fail(code, &problem);
    else if (request->format == HGI_FORMAT_JSON)
        code = print_json(hgi_explain_json(e));
    else {
        hgi_explain_text(e, stdout);
        code = HGI_EXIT_PASS;
    }
    free(e);
    return code;
}

static int explain(const struct request *request)
{
    struct hgi_problem problem = { .text = "out of memory" };
    struct hgi_source source;
    hg_status status = hgi_source_open(&source, request->path, request->no_secrets);
    int code = HGI_EXIT_USAGE;
    if (status == HG_ERR_NO_MEMORY) {
        code = hgi_tool_fail(HGI_EXIT_ENVIRONMENT, &problem);
    } else if (status < 0) {
        const struct hgi_mistake *m = &source.mistake;
        if (m->line)
            fprintf(stderr, "%s:%zu:%zu: %s%s%s\n", source.name, m->line, m->column, m->pointer,
                    m->pointer[0] ? ": " : "", m->what);
        else
            fprintf(stderr, "%s: %s\n", source.name, m->what);
    } else if (request->argc == 0 && !request->class_name) {
        code = explain_classes(&source, request);
    } else {
        code = explain_one(&source, request);
    }
    hgi_source_close(&source);
    return code;
}

/* FILE [COMMAND...] with options before either; from the COMMAND on all is the command's own. */
static bool parse(struct request *request, const struct hgi_option *table, int count,
                  char *const *arguments, struct hgi_problem *problem)
{
    int at = 0;
    for (int operand = 0; operand < 2; operand++) {
        int used;
        if (!hgi_options_parse_front(table, count - at, arguments + at, &used, problem))
            return false;
        at += used;
        if (at < count && strcmp(arguments[at], "--") == 0)
            at++;
        if (at < count && operand == 0)
            request->path = arguments[at++];
    }
    request->argc = count - at;
    request->argv = calloc((size_t)(count - at) + 1, sizeof *request->argv);
    if (!request->argv)
        return hgi_problem_set(problem, "out of memory");
    for (int i = 0; i < request->argc; i++)
        request->argv[i] = arguments[at + i];
    return true;
}

int hgi_explain_main(int count, char *const *arguments)
{
    struct hgi_problem problem;
    struct request request = { .class_name = NULL };
    const char *format = NULL;
    const char *callers = "1,10,100,1000,10000";
    bool help = false;
    const struct hgi_option table[] = {
        { 0, "class", HGI_OPTION_TEXT, &request.class_name, "NAME",
          "explain this class, in the place of a command", 0, 0 },
        { 0, "clients", HGI_OPTION_TEXT, &callers, "LIST",
          "the load of so many callers (1,10,100,1000,10000)", 0, 0 },
        { 0, "format", HGI_OPTION_TEXT, &format, "FORM", "text (default) or json", 0, 0 },
        { 0, "no-secrets", HGI_OPTION_FLAG, &request.no_secrets, NULL,
          "do not ask for password_env and password_file", 0, 0 },
        { 0, "help", HGI_OPTION_FLAG, &help, NULL, "this text", 0, 0 },
        { 0 },
    };
    bool well = parse(&request, table, count, arguments, &problem) &&
                hgi_format_parse(&request.format, format, &problem) &&
                parse_callers(&request, callers, &problem);
    int code = HGI_EXIT_USAGE;
    if (well && help) {
        fputs(about, stdout);
        hgi_options_help(table, stdout);
        code = HGI_EXIT_PASS;
    } else if (well && request.format == HGI_FORMAT_GCC) {
        hgi_problem_set(&problem, "--format: explain writes text and json");
    } else if (well && !request.path) {
        hgi_problem_set(&problem, "explain needs a FILE, or - for standard input");
    } else if (well && request.argc > 0 && request.class_name) {
        hgi_problem_set(&problem, "explain takes a COMMAND or --class, not both");
    } else if (well) {
        code = explain(&request);
        free(request.argv);
        return code;
    }
    free(request.argv);
    return help && well ? code : hgi_tool_fail(code, &problem);
}
