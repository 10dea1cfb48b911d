/* Commands and errors of the policy file: which class a command has, what a failure means. */
#include "policy/decode.h"

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "policy/suggest.h"

static uint32_t count_children(const struct hgi_document *document, const struct hgi_node *node)
{
    uint32_t count = 0;
    for (const struct hgi_node *child = hgi_node_first(document, node); child;
         child = hgi_node_next(document, child))
        count++;
    return count;
}

static void to_capitals(char *text)
{
    for (; *text; text++)
        if (*text >= 'a' && *text <= 'z')
            *text = (char)(*text - 'a' + 'A');
}

static int compare_commands(const void *a, const void *b)
{
    return strcmp(((const struct hgi_command_rule *)a)->name,
                  ((const struct hgi_command_rule *)b)->name);
}

/* A command's name in capitals: one or two words of visible characters with a space between them. */
static hg_status command_name(struct hgi_decoder *decoder, const struct hgi_node *node,
                              char out[static HGI_NAME_SIZE])
{
    const char *key = node->item->string;
    size_t length = strlen(key);
    bool well = length > 0 && length < HGI_NAME_SIZE && key[0] != ' ' && key[length - 1] != ' ';
    unsigned spaces = 0;
    for (size_t i = 0; well && i < length; i++) {
        spaces += key[i] == ' ';
        well = key[i] >= ' ' && key[i] <= '~' && spaces <= 1;
    }
    if (!well)
        return hgi_document_fail(decoder->document, node, HGI_AT_KEY,
                                 "not the name of a command; write one like \"MY.CMD\" or \"CLIENT "
                                 "LIST\", of at most %d characters",
                                 HGI_NAME_SIZE - 1);
    memcpy(out, key, length + 1);
    to_capitals(out);
    return HG_OK;
}

static hg_status decode_command(struct hgi_decoder *decoder, const struct hgi_node *node,
                                struct hgi_command_rule *out)
{
    const struct hgi_settings *settings = decoder->settings;
    hg_status status = command_name(decoder, node, out->name);
    if (status == HG_OK)
        status = hgi_decode_expect(decoder, node, HGI_JSON_STRING, "the name of a class");
    if (status < 0)
        return status;
    struct hgi_suggestion suggestion;
    hgi_suggest_begin(&suggestion, node->item->valuestring);
    for (uint32_t i = 0; i < settings->class_count; i++) {
        if (strcmp(settings->classes[i].name, node->item->valuestring) == 0) {
            out->class_index = i;
            return HG_OK;
        }
        hgi_suggest_offer(&suggestion, settings->classes[i].name);
    }
    return hgi_decode_unknown(decoder, node, HGI_AT_VALUE, "class", &suggestion,
                              "define it under \"classes\"");
}

hg_status hgi_decode_commands(struct hgi_decoder *decoder, const struct hgi_node *node, void *base)
{
    (void)base;
    struct hgi_settings *settings = decoder->settings;
    hg_status status = hgi_decode_expect(decoder, node, HGI_JSON_OBJECT, "an object");
    uint32_t count = status < 0 ? 0 : count_children(decoder->document, node);
    if (count == 0)
        return status;
    settings->commands = calloc(count, sizeof *settings->commands);
    if (!settings->commands)
        return hgi_document_no_memory(decoder->document);
    const struct hgi_node *child = hgi_node_first(decoder->document, node);
    for (; child && status == HG_OK; child = hgi_node_next(decoder->document, child)) {
        if (hgi_decode_passes(child))
            continue;
        struct hgi_command_rule *rule = &settings->commands[settings->command_count];
        status = decode_command(decoder, child, rule);
        for (size_t i = 0; status == HG_OK && i < settings->command_count; i++)
            if (strcmp(settings->commands[i].name, rule->name) == 0)
                status = hgi_document_fail(decoder->document, child, HGI_AT_KEY,
                                           "this command stands here twice, in other letters");
        if (status == HG_OK)
            settings->command_count++;
    }
    qsort(settings->commands, settings->command_count, sizeof *settings->commands,
          compare_commands);
    return status;
}

/* --- errors --- */

/* The types that a rule can be about: those an attempt can end with. */
static const struct {
    const char *key;
    hg_status type;
} types[] = {
    { "connection", HG_ERR_CONNECTION },   { "timeout", HG_ERR_TIMEOUT },
    { "validation", HG_ERR_VALIDATION },   { "not_found", HG_ERR_NOT_FOUND },
    { "unavailable", HG_ERR_UNAVAILABLE }, { "serialization", HG_ERR_SERIALIZATION },
    { "server", HG_ERR_SERVER },           { "auth", HG_ERR_AUTH },
    { "protocol", HG_ERR_PROTOCOL },       { "no_memory", HG_ERR_NO_MEMORY },
};

static const char *const recoveries[] = {
    "fail",           "ignore", "retry_with_backoff", "retry_with_delay", "circuit_breaker",
    "wait_and_retry", NULL
};
static const char *const severities[] = { "low", "medium", "high", "critical", NULL };

#define RULE_AT(member) offsetof(struct hgi_error_rule, member)

/* A class's rules do not have the first: the breaker is everybody's. */
static const struct hgi_field rule_fields[] = {
    { .key = "counts", .kind = HGI_FIELD_BOOL, .offset = RULE_AT(counts) },
    { .key = "recovery",
      .kind = HGI_FIELD_CHOICE,
      .offset = RULE_AT(recovery),
      .choices = recoveries },
    { .key = "severity",
      .kind = HGI_FIELD_CHOICE,
      .offset = RULE_AT(severity),
      .choices = severities },
    { .key = "delay",
      .kind = HGI_FIELD_DURATION,
      .offset = RULE_AT(delay_ns),
      .min = 0,
      .max = 3600e9 },
    { .key = NULL },
};

static const struct hgi_field *const class_rule_fields = rule_fields + 1;

/* "server:OOM", or a type. */
static hg_status rule_subject(struct hgi_decoder *decoder, const struct hgi_node *node,
                              struct hgi_error_rule *rule)
{
    static const char prefix[] = "server:";
    const char *key = node->item->string;
    if (strncmp(key, prefix, sizeof prefix - 1) == 0) {
        const char *code = key + sizeof prefix - 1;
        size_t length = strspn(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
        if (length == 0 || code[length] != '\0' || length >= sizeof rule->server_code)
            return hgi_document_fail(decoder->document, node, HGI_AT_KEY,
                                     "after \"server:\" comes an error code in capitals, such as "
                                     "\"server:OOM\"");
        memcpy(rule->server_code, code, length + 1);
        return HG_OK;
    }
    struct hgi_suggestion suggestion;
    hgi_suggest_begin(&suggestion, key);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(types[i].key, key) == 0) {
            rule->type = types[i].type;
            return HG_OK;
        }
        hgi_suggest_offer(&suggestion, types[i].key);
    }
    return hgi_decode_unknown(decoder, node, HGI_AT_KEY, "error", &suggestion,
                              "write a type such as \"timeout\", or \"server:\" and a code");
}

/* Decode all children of `node` into `rules`, which has room, and count them. */
static hg_status decode_rules(struct hgi_decoder *decoder, const struct hgi_node *node,
                              const struct hgi_field *fields, struct hgi_error_rule *rules,
                              uint32_t *count)
{
    const struct hgi_document *document = decoder->document;
    hg_status status = HG_OK;
    const struct hgi_node *child = hgi_node_first(document, node);
    for (; child && status == HG_OK; child = hgi_node_next(document, child)) {
        if (hgi_decode_passes(child))
            continue;
        struct hgi_error_rule *rule = &rules[*count];
        *rule = (struct hgi_error_rule) { .delay_ns = -1 };
        status = rule_subject(decoder, child, rule);
        if (status == HG_OK)
            status = hgi_decode_object(decoder, child, fields, rule);
        if (status == HG_OK) {
            rule->has_recovery = hgi_node_member(document, child, "recovery") != NULL;
            rule->has_severity = hgi_node_member(document, child, "severity") != NULL;
            rule->has_counts = hgi_node_member(document, child, "counts") != NULL;
            *count += 1;
        }
    }
    return status;
}

hg_status hgi_decode_errors(struct hgi_decoder *decoder, const struct hgi_node *node, void *base)
{
    (void)base;
    struct hgi_settings *settings = decoder->settings;
    hg_status status = hgi_decode_expect(decoder, node, HGI_JSON_OBJECT, "an object");
    uint32_t count = status < 0 ? 0 : count_children(decoder->document, node);
    if (count == 0)
        return status;
    settings->rules = calloc(count, sizeof *settings->rules);
    if (!settings->rules)
        return hgi_document_no_memory(decoder->document);
    uint32_t decoded = 0;
    status = decode_rules(decoder, node, rule_fields, settings->rules, &decoded);
    settings->rule_count = decoded;
    return status;
}

/* The rules of the class that it extends first, then its own: the last that fits has the last word. */
hg_status hgi_decode_class_errors(struct hgi_decoder *decoder, const struct hgi_node *node,
                                  void *base)
{
    struct hgi_class *op_class = base;
    struct hgi_settings *settings = decoder->settings;
    hg_status status = hgi_decode_expect(decoder, node, HGI_JSON_OBJECT, "an object");
    uint32_t count = status < 0 ? 0 : count_children(decoder->document, node);
    if (count == 0)
        return status;
    uint32_t first = settings->class_rule_count;
    size_t room = (size_t)first + op_class->rule_count + count;
    struct hgi_error_rule *rules = realloc(settings->class_rules, room * sizeof *rules);
    if (!rules)
        return hgi_document_no_memory(decoder->document);
    settings->class_rules = rules;
    for (uint32_t i = 0; i < op_class->rule_count; i++)
        rules[first + i] = rules[op_class->first_rule + i];
    settings->class_rule_count += op_class->rule_count;
    status = decode_rules(decoder, node, class_rule_fields, rules, &settings->class_rule_count);
    op_class->first_rule = first;
    op_class->rule_count = settings->class_rule_count - first;
    return status;
}
