/* herdgate-policy schema: the JSON Schema of policy files, the one that is installed. */
#include <stdio.h>

#include "tools/common/exit_codes.h"
#include "tools/policy/tool.h"

static const unsigned char schema[] = {
#include "schema.inc"
};

static const char about[] = "herdgate-policy schema: the JSON Schema of policy files\n"
                            "\n"
                            "usage: herdgate-policy schema > herdgate.schema.json\n"
                            "\n"
                            "Editors use it for the file that names it: \"$schema\": "
                            "\"herdgate.schema.json\".\n";

int hgi_schema_main(int count, char *const *arguments)
{
    struct hgi_problem problem;
    bool help = false;
    const struct hgi_option table[] = {
        { 0, "help", HGI_OPTION_FLAG, &help, NULL, "this text", 0, 0 },
        { 0 },
    };
    if (!hgi_options_parse(table, count, arguments, &problem))
        return hgi_tool_fail(HGI_EXIT_USAGE, &problem);
    if (help)
        fputs(about, stdout);
    else
        fwrite(schema, 1, sizeof schema, stdout);
    return HGI_EXIT_PASS;
}
