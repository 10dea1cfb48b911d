/* The section "server" of the policy file: where the server is, who we are there, and how a connection to
 * it is set up. What may be a secret is never quoted. */
#include "policy/decode.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cjson/cJSON.h>

#include "breaker/error.h"

static hg_status decode_url(struct hgi_decoder *decoder, const struct hgi_node *node, void *base)
{
    (void)base;
    struct hg_error err = HG_ERROR_INIT;
    hg_status status = hgi_decode_expect(decoder, node, HGI_JSON_STRING, "a URL in a string");
    if (status == HG_OK &&
        hgi_endpoint_parse(&decoder->settings->server, node->item->valuestring, &err) < 0)
        status = hgi_document_fail(decoder->document, node, HGI_AT_VALUE, "%s", err.message);
    return status;
}

/* A secret: it is never quoted. */
static hg_status keep_secret(struct hgi_decoder *decoder, const struct hgi_node *node,
                             const char *secret)
{
    char *out = decoder->settings->server.password;
    if (secret[0] == '\0' || strlen(secret) >= sizeof decoder->settings->server.password)
        return hgi_document_fail(
            decoder->document, node, HGI_AT_VALUE, "the password is %s; it may have 1 to %zu bytes",
            secret[0] ? "too long" : "empty", sizeof decoder->settings->server.password - 1);
    hgi_copy_text(out, sizeof decoder->settings->server.password, secret);
    return HG_OK;
}

static hg_status decode_password(struct hgi_decoder *decoder, const struct hgi_node *node,
                                 void *base)
{
    (void)base;
    hg_status status = hgi_decode_expect(decoder, node, HGI_JSON_STRING, "a string");
    return status < 0 ? status : keep_secret(decoder, node, node->item->valuestring);
}

static hg_status decode_password_env(struct hgi_decoder *decoder, const struct hgi_node *node,
                                     void *base)
{
    (void)base;
    char name[128];
    hg_status status = hgi_decode_name(decoder, node, HGI_AT_VALUE, name, sizeof name);
    if (status < 0 || decoder->without_secrets)
        return status;
    /* The host sets its environment before it loads policies. */
    const char *secret = getenv(name); /* NOLINT(concurrency-mt-unsafe) */
    if (!secret)
        return hgi_document_fail(decoder->document, node, HGI_AT_VALUE,
                                 "the environment has no variable %s; set it", name);
    return keep_secret(decoder, node, secret);
}

static hg_status decode_password_file(struct hgi_decoder *decoder, const struct hgi_node *node,
                                      void *base)
{
    (void)base;
    hg_status status = hgi_decode_expect(decoder, node, HGI_JSON_STRING, "a path");
    if (status < 0 || decoder->without_secrets)
        return status;
    char quoted[HGI_QUOTE_SIZE];
    char secret[1024];
    FILE *file = fopen(node->item->valuestring, "re");
    if (!file && errno == ENOMEM)
        return hgi_document_no_memory(decoder->document);
    if (!file)
        return hgi_document_fail(decoder->document, node, HGI_AT_VALUE, "cannot open \"%s\": %s",
                                 hgi_quote(quoted, node->item->valuestring),
                                 strerrordesc_np(errno));
    setvbuf(file, NULL, _IONBF, 0); /* or a buffer would keep a copy */
    size_t length = fread(secret, 1, sizeof secret - 1, file);
    int error = ferror(file) ? errno : 0;
    fclose(file);
    secret[length] = '\0';
    size_t line = strcspn(secret, "\r\n"); /* the first line is the password */
    if (error)
        status =
            hgi_document_fail(decoder->document, node, HGI_AT_VALUE, "cannot read \"%s\": %s",
                              hgi_quote(quoted, node->item->valuestring), strerrordesc_np(error));
    else if (line < length && secret[line] == '\0')
        status = hgi_document_fail(decoder->document, node, HGI_AT_VALUE,
                                   "the password in \"%s\" has a zero byte; it must be text",
                                   hgi_quote(quoted, node->item->valuestring));
    secret[line] = '\0';
    if (status == HG_OK)
        status = keep_secret(decoder, node, secret);
    explicit_bzero(secret, sizeof secret);
    return status;
}

/* Which of two would hold must not depend on the order of an object's keys. */
static hg_status one_password(struct hgi_decoder *decoder, const struct hgi_node *node)
{
    static const char *const keys[] = { "password", "password_env", "password_file" };
    const char *found = NULL;
    const struct hgi_node *child = hgi_node_first(decoder->document, node);
    for (; child; child = hgi_node_next(decoder->document, child)) {
        for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
            if (strcmp(child->item->string, keys[i]) != 0)
                continue;
            if (found)
                return hgi_document_fail(decoder->document, child, HGI_AT_KEY,
                                         "\"%s\" gives the password already; remove one of the two",
                                         found);
            found = keys[i];
        }
    }
    return HG_OK;
}

static hg_status decode_username(struct hgi_decoder *decoder, const struct hgi_node *node,
                                 void *base)
{
    (void)base;
    return hgi_decode_name(decoder, node, HGI_AT_VALUE, decoder->settings->server.username,
                           sizeof decoder->settings->server.username);
}

static hg_status decode_client_name(struct hgi_decoder *decoder, const struct hgi_node *node,
                                    void *base)
{
    (void)base;
    return hgi_decode_name(decoder, node, HGI_AT_VALUE, decoder->settings->client_name,
                           sizeof decoder->settings->client_name);
}

/* What would leave a new connection in a state in which the replies to callers' commands are no longer
 * theirs, or would undo the set-up. `words` lie one behind the other, an empty one at the end. */
static bool is_no_setup(const char *words)
{
    static const char *const names[] = { "MULTI",        "EXEC",        "DISCARD",
                                         "WATCH",        "SUBSCRIBE",   "PSUBSCRIBE",
                                         "SSUBSCRIBE",   "UNSUBSCRIBE", "PUNSUBSCRIBE",
                                         "SUNSUBSCRIBE", "MONITOR",     "RESET",
                                         "QUIT",         "HELLO" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcasecmp(words, names[i]) == 0)
            return true;
    return strcasecmp(words, "CLIENT") == 0 && strcasecmp(words + strlen(words) + 1, "REPLY") == 0;
}

/* One command of "setup", its words one behind the other, an empty one at the end. */
static hg_status decode_command(struct hgi_decoder *decoder, const struct hgi_node *node,
                                size_t *used)
{
    struct hgi_settings *settings = decoder->settings;
    const char *const words = settings->setup + *used;
    hg_status status =
        hgi_decode_expect(decoder, node, HGI_JSON_ARRAY, "a command as an array of its words");
    if (status < 0)
        return status;
    const struct hgi_node *word = hgi_node_first(decoder->document, node);
    if (!word)
        return hgi_document_fail(decoder->document, node, HGI_AT_VALUE, "a command has a name");
    for (; word; word = hgi_node_next(decoder->document, word)) {
        status = hgi_decode_expect(decoder, word, HGI_JSON_STRING, "a word in a string");
        if (status < 0)
            return status;
        const char *text = word->item->valuestring;
        size_t size = strlen(text) + 1;
        if (size == 1)
            return hgi_document_fail(decoder->document, word, HGI_AT_VALUE, "an empty word");
        if (size + 1 > sizeof settings->setup - *used)
            return hgi_document_fail(decoder->document, word, HGI_AT_VALUE,
                                     "the commands are too long; all of them may have %zu bytes",
                                     sizeof settings->setup);
        memcpy(settings->setup + *used, text, size);
        *used += size;
    }
    settings->setup[(*used)++] = '\0';
    settings->setup_count++;
    if (is_no_setup(words))
        return hgi_document_fail(
            decoder->document, hgi_node_first(decoder->document, node), HGI_AT_VALUE,
            "this command is not for the set-up: it would change what callers' "
            "commands are answered; use hg_call() or hg_acquire() for it");
    return HG_OK;
}

static hg_status decode_setup(struct hgi_decoder *decoder, const struct hgi_node *node, void *base)
{
    (void)base;
    size_t used = 0;
    hg_status status = hgi_decode_expect(decoder, node, HGI_JSON_ARRAY, "an array of commands");
    if (status < 0)
        return status;
    decoder->settings->setup_count = 0;
    const struct hgi_node *each = hgi_node_first(decoder->document, node);
    for (; each && status == HG_OK; each = hgi_node_next(decoder->document, each)) {
        if (decoder->settings->setup_count == HGI_SETUP_MAX)
            return hgi_document_fail(decoder->document, each, HGI_AT_VALUE,
                                     "too many commands; the limit is %d", HGI_SETUP_MAX);
        status = decode_command(decoder, each, &used);
    }
    return status;
}

/* A member of settings.tls: a file, or a name. */
static hg_status decode_tls_text(struct hgi_decoder *decoder, const struct hgi_node *node,
                                 void *base)
{
    struct hgi_tls_settings *tls = &decoder->settings->tls;
    const char *key = node->item->string;
    char *out = tls->server_name;
    (void)base;
    static_assert(sizeof tls->ca_file == sizeof tls->server_name, "one size for all");
    if (strcmp(key, "ca_file") == 0)
        out = tls->ca_file;
    else if (strcmp(key, "cert_file") == 0)
        out = tls->cert_file;
    else if (strcmp(key, "key_file") == 0)
        out = tls->key_file;
    hg_status status = hgi_decode_expect(decoder, node, HGI_JSON_STRING, "a string");
    if (status < 0)
        return status;
    const char *text = node->item->valuestring;
    if (!*text || strlen(text) >= sizeof tls->server_name)
        return hgi_document_fail(decoder->document, node, HGI_AT_VALUE,
                                 "%s; it may have 1 to %zu bytes", *text ? "too long" : "empty",
                                 sizeof tls->server_name - 1);
    memcpy(out, text, strlen(text) + 1);
    return HG_OK;
}

static const struct hgi_field tls_fields[] = {
    { .key = "ca_file", .kind = HGI_FIELD_OWN, .own = decode_tls_text },
    { .key = "cert_file", .kind = HGI_FIELD_OWN, .own = decode_tls_text },
    { .key = "key_file", .kind = HGI_FIELD_OWN, .own = decode_tls_text },
    { .key = "server_name", .kind = HGI_FIELD_OWN, .own = decode_tls_text },
    { .key = "insecure",
      .kind = HGI_FIELD_BOOL,
      .offset = offsetof(struct hgi_settings, tls.insecure) },
    { .key = NULL },
};

static hg_status decode_tls(struct hgi_decoder *decoder, const struct hgi_node *node, void *base)
{
    (void)base;
    hg_status status = hgi_decode_object(decoder, node, tls_fields, decoder->settings);
    const struct hgi_tls_settings *tls = &decoder->settings->tls;
    if (status == HG_OK && !tls->cert_file[0] != !tls->key_file[0])
        status = hgi_document_fail(decoder->document, node, HGI_AT_VALUE,
                                   "\"cert_file\" and \"key_file\" go together; give both");
    return status;
}

static const struct hgi_field url_field[] = {
    { .key = "url", .kind = HGI_FIELD_OWN, .own = decode_url },
    { .key = NULL },
};

static const struct hgi_field server_fields[] = {
    { .key = "url", .kind = HGI_FIELD_SEEN },
    { .key = "username", .kind = HGI_FIELD_OWN, .own = decode_username },
    { .key = "password", .kind = HGI_FIELD_OWN, .own = decode_password },
    { .key = "password_env", .kind = HGI_FIELD_OWN, .own = decode_password_env },
    { .key = "password_file", .kind = HGI_FIELD_OWN, .own = decode_password_file },
    { .key = "client_name", .kind = HGI_FIELD_OWN, .own = decode_client_name },
    { .key = "tls", .kind = HGI_FIELD_OWN, .own = decode_tls },
    { .key = "setup", .kind = HGI_FIELD_OWN, .own = decode_setup },
    { .key = "resp",
      .kind = HGI_FIELD_COUNT,
      .offset = offsetof(struct hgi_settings, resp),
      .min = 2,
      .max = 3 },
    { .key = "proxy", .kind = HGI_FIELD_BOOL, .offset = offsetof(struct hgi_settings, proxy) },
    { .key = "max_reply_bytes",
      .kind = HGI_FIELD_COUNT,
      .offset = offsetof(struct hgi_settings, max_reply_bytes),
      .min = 1024,
      .max = INT32_MAX },
    { .key = "max_reply_depth",
      .kind = HGI_FIELD_COUNT,
      .offset = offsetof(struct hgi_settings, max_reply_depth),
      .min = 1,
      .max = 1024 },
    { .key = NULL },
};

/* The URL first, wherever it stands: what the other keys say goes on top of it. */
hg_status hgi_decode_server(struct hgi_decoder *decoder, const struct hgi_node *node, void *base)
{
    (void)base;
    hg_status status = hgi_decode_expect(decoder, node, HGI_JSON_OBJECT, "an object");
    if (status < 0)
        return status;
    const struct hgi_node *url = hgi_node_member(decoder->document, node, "url");
    status = one_password(decoder, node);
    if (url && status == HG_OK)
        status = hgi_decode_field(decoder, url, url_field, decoder->settings);
    if (status == HG_OK)
        status = hgi_decode_object(decoder, node, server_fields, decoder->settings);
    return status;
}
