/* herdgate-policy check and lint: all files of the command line, one list of findings. */
#include <stdlib.h>
#include <string.h>

#include "tools/common/exit_codes.h"
#include "tools/policy/findings.h"
#include "tools/policy/lint.h"

static const char about_check[] =
    "herdgate-policy check: is it a policy?\n"
    "\n"
    "Reads each file as the library does, secrets of the environment and of other\n"
    "files included. What is wrong first is said with its line, column and JSON\n"
    "pointer.\n"
    "\n"
    "usage: herdgate-policy check [options] FILE...\n"
    "\n";

static const char about_lint[] =
    "herdgate-policy lint: settings that are allowed and harm\n"
    "\n"
    "Checks each file, and warns of settings that can be read and do not do what one\n"
    "wants of them. With warnings alone it ends with 1.\n"
    "\n"
    "usage: herdgate-policy lint [options] FILE...\n"
    "\n";

struct job {
    const char *subcommand;
    const char *about;
    bool lints;
};

static hg_status look_at(struct hgi_findings *findings, const char *path, bool no_secrets,
                         const struct hgi_texts *allowed, bool lints)
{
    struct hgi_source source;
    hg_status status = hgi_source_open(&source, path, no_secrets);
    bool room = true;
    if (status == HG_ERR_VALIDATION)
        room = hgi_findings_add_mistake(findings, &source.mistake);
    else if (status == HG_OK && lints)
        room = hgi_lint(&source, allowed, findings);
    hgi_source_close(&source);
    return room && status != HG_ERR_NO_MEMORY ? HG_OK : HG_ERR_NO_MEMORY;
}

static int exit_code(const struct hgi_findings *findings)
{
    if (hgi_findings_count(findings, true) > 0)
        return HGI_EXIT_USAGE;
    return hgi_findings_count(findings, false) > 0 ? HGI_EXIT_ASSERTION : HGI_EXIT_PASS;
}

static int look_at_all(const struct job *job, struct hgi_operands *operands, bool no_secrets,
                       const struct hgi_texts *allowed, enum hgi_format format)
{
    struct hgi_problem problem = { .text = "out of memory" };
    struct hgi_findings findings = { .files = operands->text };
    bool well = true;
    for (int i = 0; i < operands->count && well; i++) {
        findings.file_count++;
        well = look_at(&findings, operands->text[i], no_secrets, allowed, job->lints) == HG_OK;
        if (strcmp(operands->text[i], "-") == 0)
            operands->text[i] = "<stdin>";
    }
    hgi_findings_sort(&findings);
    well = well && hgi_findings_print(&findings, job->subcommand, format, stdout);
    int code = well ? exit_code(&findings) : hgi_tool_fail(HGI_EXIT_ENVIRONMENT, &problem);
    hgi_findings_free(&findings);
    return code;
}

static int run(const struct job *job, int count, char *const *arguments)
{
    struct hgi_problem problem = { .text = "out of memory" };
    struct hgi_operands operands = { 0 };
    struct hgi_texts allowed = { 0 };
    const char *format_text = NULL;
    enum hgi_format format;
    bool no_secrets = false;
    bool rules = false;
    bool help = false;
    const struct hgi_option common[] = {
        { 0, "format", HGI_OPTION_TEXT, &format_text, "FORM",
          "text (default), gcc (one line each, for editors) or json", 0, 0 },
        { 0, "no-secrets", HGI_OPTION_FLAG, &no_secrets, NULL,
          "do not ask for password_env and password_file", 0, 0 },
        { 0, "help", HGI_OPTION_FLAG, &help, NULL, "this text", 0, 0 },
        { 0 },
    };
    const struct hgi_option table[] = {
        common[0],
        common[1],
        { 0, "allow", HGI_OPTION_TEXTS, &allowed, "RULE", "no warning of this rule; repeatable", 0,
          0 },
        { 0, "rules", HGI_OPTION_FLAG, &rules, NULL, "list the rules", 0, 0 },
        common[2],
        { 0 },
    };
    const struct hgi_option *options = job->lints ? table : common;
    int code = HGI_EXIT_USAGE;
    bool well = hgi_operands_parse(&operands, options, count, arguments, &problem) &&
                hgi_format_parse(&format, format_text, &problem) &&
                hgi_lint_rules_exist(&allowed, &problem);
    if (well && help) {
        fputs(job->about, stdout);
        hgi_options_help(options, stdout);
        code = HGI_EXIT_PASS;
    } else if (well && rules) {
        hgi_lint_list_rules(stdout);
        code = HGI_EXIT_PASS;
    } else if (well && operands.count > 0) {
        code = look_at_all(job, &operands, no_secrets, &allowed, format);
    } else {
        if (well)
            hgi_problem_set(&problem, "%s needs a FILE, or - for standard input", job->subcommand);
        hgi_tool_fail(code, &problem);
    }
    free(operands.text);
    return code;
}

int hgi_check_main(int count, char *const *arguments)
{
    return run(&(struct job) { "check", about_check, false }, count, arguments);
}

int hgi_lint_main(int count, char *const *arguments)
{
    return run(&(struct job) { "lint", about_lint, true }, count, arguments);
}
