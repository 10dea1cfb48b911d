/* The server that a tool is pointed at; see target.h. */
#include "tools/common/target.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Undo percent-encoding of `length` bytes into a field. */
static bool decode(char *out, size_t size, const char *text, size_t length)
{
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned byte = (unsigned char)text[i];
        if (byte == '%') {
            char digits[3] = "";
            if (i + 2 >= length || strspn(text + i + 1, "0123456789abcdefABCDEF") < 2)
                return false;
            memcpy(digits, text + i + 1, 2);
            byte = (unsigned)strtoul(digits, NULL, 16);
            i += 2;
        }
        if (byte == 0 || used + 1 >= size)
            return false;
        out[used++] = (char)byte;
    }
    out[used] = '\0';
    return true;
}

/* [user[:password]@] in front of what is left; moves *at past it. */
static bool parse_login(struct hgi_target *out, const char **at, const char *end)
{
    const char *last = NULL;
    for (const char *c = *at; c < end; c++) {
        if (*c == '@')
            last = c;
    }
    if (!last)
        return true;
    const char *colon = memchr(*at, ':', (size_t)(last - *at));
    const char *user_end = colon ? colon : last;
    bool well = decode(out->user, sizeof out->user, *at, (size_t)(user_end - *at)) &&
                (!colon || decode(out->password, sizeof out->password, colon + 1,
                                  (size_t)(last - colon - 1)));
    *at = last + 1;
    return well;
}

static bool parse_number(uint32_t *out, const char *text, size_t length, uint32_t most)
{
    char digits[12] = "";
    if (length == 0 || length >= sizeof digits || strspn(text, "0123456789") < length)
        return false;
    memcpy(digits, text, length);
    unsigned long number = strtoul(digits, NULL, 10);
    *out = (uint32_t)number;
    return number <= most;
}

static bool parse_tcp(struct hgi_target *out, const char *at)
{
    const char *end = at + strcspn(at, "/?");
    uint32_t port = 6379;
    if (!parse_login(out, &at, end))
        return false;
    const char *host_end = at < end && *at == '[' ? memchr(at, ']', (size_t)(end - at)) : NULL;
    const char *colon =
        memchr(host_end ? host_end : at, ':', (size_t)(end - (host_end ? host_end : at)));
    if (*at == '[' && !host_end)
        return false;
    const char *host = at + (host_end != NULL);
    const char *stop = host_end ? host_end : (colon ? colon : end);
    if (colon && !parse_number(&port, colon + 1, (size_t)(end - colon - 1), 65535))
        return false;
    if (stop == host || !decode(out->host, sizeof out->host, host, (size_t)(stop - host)))
        return false;
    out->port = (uint16_t)port;
    return *end != '/' || !end[1] || parse_number(&out->database, end + 1, strlen(end + 1), 65535);
}

static bool parse_unix(struct hgi_target *out, const char *at)
{
    const char *query = strchr(at, '?');
    const char *end = query ? query : at + strlen(at);
    if (*at != '/' && !parse_login(out, &at, end))
        return false;
    if (query && (strncmp(query, "?db=", 4) != 0 ||
                  !parse_number(&out->database, query + 4, strlen(query + 4), 65535)))
        return false;
    return *at == '/' && decode(out->socket, sizeof out->socket, at, (size_t)(end - at));
}

/* How it is called in messages. */
static void name_it(struct hgi_target *target)
{
    if (target->socket[0])
        snprintf(target->text, sizeof target->text, "unix:%s", target->socket);
    else
        snprintf(target->text, sizeof target->text, strchr(target->host, ':') ? "[%s]:%u" : "%s:%u",
                 target->host, (unsigned)target->port);
}

bool hgi_target_parse(struct hgi_target *out, const char *url, struct hgi_problem *problem)
{
    bool well = false;
    *out = (struct hgi_target) { .given = true };
    if (strncmp(url, "redis://", 8) == 0)
        well = parse_tcp(out, url + 8);
    else if (strncmp(url, "unix://", 7) == 0)
        well = parse_unix(out, url + 7);
    else if (!strstr(url, "://"))
        well = parse_tcp(out, url);
    if (!well)
        return hgi_problem_set(problem, "the URL is none of redis://[user[:password]@]host[:port]"
                                        "[/database] and unix://[user[:password]@]/path[?db=n]");
    name_it(out);
    return true;
}

static bool copy(char *field, size_t size, const char *text, const char *flag,
                 struct hgi_problem *problem)
{
    if (text && (size_t)snprintf(field, size, "%s", text) >= size)
        return hgi_problem_set(problem, "%s: too long", flag);
    return true;
}

bool hgi_target_from_flags(struct hgi_target *out, const struct hgi_target_flags *flags,
                           struct hgi_problem *problem)
{
    const char *password = flags->password ? flags->password : getenv("REDISCLI_AUTH");
    *out = (struct hgi_target) { .port = 6379, .host = "127.0.0.1" };
    if (flags->url && (flags->host || flags->port || flags->socket))
        return hgi_problem_set(problem, "-u stands alone: not together with -h, -p or -s");
    if (flags->socket && (flags->host || flags->port))
        return hgi_problem_set(problem, "-s stands alone: not together with -h or -p");
    if (flags->url && !hgi_target_parse(out, flags->url, problem))
        return false;
    out->given = flags->url || flags->host || flags->port || flags->socket;
    if (flags->port)
        out->port = (uint16_t)flags->port;
    if (!copy(out->host, sizeof out->host, flags->host, "-h", problem) ||
        !copy(out->socket, sizeof out->socket, flags->socket, "-s", problem) ||
        !copy(out->user, sizeof out->user, flags->user, "--user", problem) ||
        !copy(out->password, sizeof out->password, password, "the password", problem))
        return false;
    name_it(out);
    return true;
}

/* Append with everything encoded but letters, digits and what `plain` names. */
static bool encode(char *out, size_t size, const char *text, const char *plain)
{
    size_t used = strlen(out);
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                      (byte >= '0' && byte <= '9') || strchr(plain, byte);
        if (used + 4 >= size)
            return false;
        if (letter)
            out[used++] = (char)byte;
        else
            used += (size_t)snprintf(out + used, size - used, "%%%02X", byte);
        out[used] = '\0';
    }
    return true;
}

bool hgi_target_url(char *out, size_t size, const struct hgi_target *target)
{
    char number[32];
    bool local = target->socket[0] != '\0';
    bool six = strchr(target->host, ':') != NULL;
    snprintf(out, size, "%s://", local ? "unix" : "redis");
    if (target->password[0] &&
        !(encode(out, size, target->user, "-._~") && encode(out, size, ":", ":") &&
          encode(out, size, target->password, "-._~") && encode(out, size, "@", "@")))
        return false;
    if (local) {
        snprintf(number, sizeof number, "?db=%" PRIu32, target->database);
        return encode(out, size, target->socket, "-._~/") &&
               (!target->database || encode(out, size, number, "?="));
    }
    snprintf(number, sizeof number, ":%u/%" PRIu32, (unsigned)target->port, target->database);
    return encode(out, size, six ? "[" : "", "[") && encode(out, size, target->host, "-._~:") &&
           encode(out, size, six ? "]" : "", "]") && encode(out, size, number, ":/");
}

void hgi_target_words(char *out, size_t size, const struct hgi_target *target)
{
    char url[1024] = "";
    struct hgi_target plain = *target;
    plain.user[0] = plain.password[0] = '\0';
    hgi_target_url(url, sizeof url, &plain);
    bool user = target->user[0] && !strchr(target->user, '\'');
    snprintf(out, size, "-u '%s'%s%s%s%s", url, user ? " --user '" : "", user ? target->user : "",
             user ? "'" : "", target->password[0] ? "  # its password in $REDISCLI_AUTH" : "");
}

/* An answer that must not be an error. */
static bool expect(redisReply *reply, const char *what, struct hgi_problem *problem)
{
    bool well = reply && reply->type != REDIS_REPLY_ERROR;
    if (reply && !well)
        hgi_problem_set(problem, "%s: %s", what, reply->str);
    freeReplyObject(reply);
    return well;
}

struct hgi_wire *hgi_target_connect(const struct hgi_target *target, int64_t timeout_ns,
                                    struct hgi_problem *problem)
{
    struct hgi_wire *wire =
        target->socket[0] ? hgi_wire_open_unix(target->socket, timeout_ns, problem)
                          : hgi_wire_open_tcp(target->host, target->port, timeout_ns, problem);
    bool well = wire != NULL;
    if (well && target->password[0]) {
        redisReply *reply =
            target->user[0]
                ? hgi_wire_command(wire, problem, "AUTH %s %s", target->user, target->password)
                : hgi_wire_command(wire, problem, "AUTH %s", target->password);
        well = expect(reply, target->text, problem);
    }
    if (well && target->database)
        well = expect(hgi_wire_command(wire, problem, "SELECT %u", (unsigned)target->database),
                      target->text, problem);
    if (well)
        well = expect(hgi_wire_command(wire, problem, "PING"), target->text, problem);
    if (!well) {
        hgi_wire_close(wire);
        return NULL;
    }
    return wire;
}
