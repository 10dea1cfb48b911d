/* Policy files: any text is a policy or an error with its place. A policy is accepted each time, also
 * with white space around it, and all that it holds is within limits; an error's line and column are
 * in the text, its message is one valid line, and its pointer leads to the value that stands there. */
#include <cjson/cJSON.h>

#include "breaker/options.h"
#include "policy/decode.h"
#include "policy/examine.h"
#include "policy/utf8.h"
#include "tests/fuzz/property.h"

static const char name[] = "fuzz.json";

/* Files and the environment are not for a fuzzer to read. */
static hg_status examine(hg_policy **out, const char *text, size_t size,
                         struct hgi_mistake *mistake, struct hg_error *err)
{
    struct hgi_examination examination = { .without_secrets = true };
    hg_status status = hgi_policy_examine(out, text, size, name, &examination, err);
    if (mistake)
        *mistake = examination.mistake;
    return status;
}

static void check_class(const struct hgi_class *op_class)
{
    const struct hg_retry *retry = &op_class->retry;
    PROPERTY(memchr(op_class->name, '\0', sizeof op_class->name) && op_class->name[0]);
    PROPERTY(op_class->kind < HGI_CLASS_KINDS);
    PROPERTY(retry->max_attempts >= 1 && retry->max_attempts <= 1000);
    PROPERTY(retry->initial_delay_ns >= 0 && retry->max_delay_ns <= INT64_C(3600000000000));
    PROPERTY(retry->max_attempts == 1 || retry->initial_delay_ns <= retry->max_delay_ns);
    PROPERTY(retry->multiplier >= 1 && retry->multiplier <= 100);
    PROPERTY(retry->jitter_ratio >= 0 && retry->jitter_ratio <= 1);
    for (uint32_t n = 0; n < retry->max_attempts; n += 1 + n) {
        int64_t delay_ns = hg_retry_delay_jittered(retry, n, 0, 0.999);
        PROPERTY(delay_ns >= 0 && delay_ns <= 2 * retry->max_delay_ns);
    }
}

static void check_policy(const struct hg_policy *policy)
{
    const struct hgi_settings *settings = &policy->settings;
    struct hg_breaker_options breaker;
    PROPERTY(settings->class_count >= HGI_CLASS_KINDS && settings->class_count <= HGI_CLASSES_MAX);
    for (uint32_t i = 0; i < settings->class_count; i++)
        check_class(&settings->classes[i]);
    PROPERTY(!settings->classes[HGI_CLASS_WRITE_ONCE].retry_unknown);
    for (size_t i = 0; i < settings->command_count; i++) {
        PROPERTY(settings->commands[i].class_index < settings->class_count);
        PROPERTY(i == 0 || strcmp(settings->commands[i - 1].name, settings->commands[i].name) < 0);
    }
    for (size_t i = 0; i < settings->rule_count; i++)
        PROPERTY((settings->rules[i].type == HG_OK) == (settings->rules[i].server_code[0] != '\0'));
    PROPERTY(settings->pool.max_size >= 1 && settings->pool.max_size <= HGI_POOL_SIZE_MAX);
    PROPERTY(settings->pool.min_idle <= settings->pool.max_size);
    PROPERTY(hgi_options_read(&breaker, &settings->breaker, NULL) == HG_OK);
}

/* The same in other places of a text. */
static void check_accepted(const char *text, size_t size)
{
    hg_policy *policy;
    char *wider = malloc(size + 4);
    PROPERTY(wider);
    wider[0] = '\n';
    wider[1] = '\t';
    memcpy(wider + 2, text, size);
    wider[size + 2] = '\r';
    wider[size + 3] = ' ';
    hg_status status = examine(&policy, wider, size + 4, NULL, NULL);
    PROPERTY(size + 4 > HGI_TEXT_MAX || status == HG_OK);
    hg_policy_drop(policy);
    /* Nothing that ends early is a policy. */
    while (size > 0 && strchr(" \t\r\n", text[size - 1]))
        size--;
    PROPERTY(size > 0 && examine(&policy, text, size - 1, NULL, NULL) == HG_ERR_VALIDATION);
    free(wider);
}

static void check_line(const char *message)
{
    size_t length = strlen(message);
    for (size_t at = 0; at < length;) {
        size_t width = hgi_utf8_width(message + at, length - at);
        PROPERTY(width > 0 && (unsigned char)message[at] >= 0x20 && message[at] != 0x7f);
        at += width;
    }
}

/* At most one column behind the last character of a line that there is. */
static void check_place(const struct hgi_mistake *mistake, const char *text, size_t size)
{
    size_t line = 1;
    size_t columns = 1;
    PROPERTY(mistake->line >= 1 && mistake->column >= 1);
    for (size_t i = 0; i < size && line <= mistake->line; i++) {
        if (text[i] == '\n')
            line++;
        else if (line == mistake->line && ((unsigned char)text[i] & 0xc0) != 0x80)
            columns++;
    }
    PROPERTY(mistake->line <= line && mistake->column <= columns);
}

/* The node that a step of a pointer leads to, or NULL; *step is moved behind it. */
static const struct hgi_node *take_step(const struct hgi_document *document,
                                        const struct hgi_node *node, const char **step)
{
    char key[HGI_POINTER_SIZE];
    size_t used = 0;
    const char *at = *step + 1;
    for (; *at && *at != '/'; at++) {
        if (*at == '~')
            at++;
        key[used++] = at[-1] != '~' ? *at : *at == '0' ? '~' : '/';
    }
    key[used] = '\0';
    *step = at;
    if (node->kind == HGI_JSON_ARRAY) {
        const struct hgi_node *child = hgi_node_first(document, node);
        for (unsigned long left = strtoul(key, NULL, 10); child && left > 0; left--)
            child = hgi_node_next(document, child);
        return child;
    }
    return hgi_node_member(document, node, key);
}

/* Of a text that is JSON: the pointer leads to what stands at the line and column. */
static void check_pointer(const struct hgi_mistake *mistake, const char *text, size_t size)
{
    /* Cut, or with characters that are shown as escapes: not to be read back. */
    if (strlen(mistake->pointer) > 100 || strchr(mistake->pointer, '\\') ||
        strncmp(mistake->pointer, "...", 3) == 0)
        return;
    PROPERTY(mistake->pointer[0] == '/' || mistake->pointer[0] == '\0');
    struct hgi_document document;
    char *copy = exact_copy((const uint8_t *)text, size, 1);
    if (hgi_document_open(&document, copy, size, name, NULL, NULL) == HG_OK) {
        const struct hgi_node *node = document.nodes;
        for (const char *step = mistake->pointer; node && *step;)
            node = take_step(&document, node, &step);
        PROPERTY(node);
        size_t line;
        size_t column;
        hgi_document_position(&document, node->offset, &line, &column);
        bool at_value = line == mistake->line && column == mistake->column;
        hgi_document_position(&document, node->key_offset, &line, &column);
        PROPERTY(at_value || (line == mistake->line && column == mistake->column));
    }
    hgi_document_close(&document);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hg_error err = HG_ERROR_INIT;
    struct hgi_mistake mistake;
    hg_policy *policy;
    char *text = exact_copy(data, size, 0);
    hg_status status = examine(&policy, text, size, &mistake, &err);
    PROPERTY(err.type == status && (status == HG_OK) == (policy != NULL));
    if (status == HG_OK) {
        check_policy(policy);
        check_accepted(text, size);
    } else {
        PROPERTY(status == HG_ERR_VALIDATION);
        PROPERTY(strncmp(err.message, name, strlen(name)) == 0);
        check_line(err.message);
        if (size <= HGI_TEXT_MAX) {
            check_place(&mistake, text, size);
            check_pointer(&mistake, text, size);
        }
    }
    hg_policy_drop(policy);
    free(text);
    return 0;
}
