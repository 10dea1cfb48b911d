/* Server URLs.
 *
 *     redis://[user[:password]@]host[:port][/database]     also without "redis://"
 *     unix://[user[:password]@]/path[?db=database]
 *
 * What stands before the last '@' of the authority is user and password, percent-encoded. No message
 * repeats a part of the URL: a misplaced '/' in a password makes it look like a host, so every part
 * may be the secret.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "breaker/error.h"
#include "policy/settings.h"

enum { PORT_DEFAULT = 6379, PORT_MAX = 65535, DATABASE_MAX = 65535 };

/* A part of the URL. */
struct part {
    const char *at;
    size_t length;
};

static struct part part_of(const char *at, const char *end)
{
    return (struct part) { at, (size_t)(end - at) };
}

static int hex_value(char digit)
{
    static const char digits[] = "0123456789abcdef";
    const char *found =
        digit ? strchr(digits, digit | ('A' <= digit && digit <= 'F' ? 0x20 : 0)) : NULL;
    return found ? (int)(found - digits) : -1;
}

/* Undo percent-encoding into a field; `what` names the part in messages. */
static hg_status decode(char *out, size_t size, struct part part, const char *what,
                        struct hg_error *err)
{
    size_t used = 0;
    for (size_t i = 0; i < part.length; i++) {
        char byte = part.at[i];
        if (byte == '%') {
            int high = i + 2 < part.length ? hex_value(part.at[i + 1]) : -1;
            int low = high >= 0 ? hex_value(part.at[i + 2]) : -1;
            if (low < 0)
                return hgi_error_set(err, HG_ERR_VALIDATION,
                                     "the URL's %s has a '%%' without two hexadecimal digits; "
                                     "write %%25 for '%%'",
                                     what);
            byte = (char)(high * 16 + low);
            i += 2;
        }
        if (byte == '\0')
            return hgi_error_set(err, HG_ERR_VALIDATION, "the URL's %s has a zero byte (%%00)",
                                 what);
        if (used + 1 >= size)
            return hgi_error_set(err, HG_ERR_VALIDATION,
                                 "the URL's %s is too long; the limit is %zu bytes", what,
                                 size - 1);
        out[used++] = byte;
    }
    out[used] = '\0';
    return HG_OK;
}

static bool parse_number(struct part part, uint32_t max, uint32_t *out)
{
    uint32_t value = 0;
    if (part.length == 0 || part.length > 9)
        return false;
    for (size_t i = 0; i < part.length; i++) {
        if (part.at[i] < '0' || part.at[i] > '9')
            return false;
        value = value * 10 + (uint32_t)(part.at[i] - '0');
    }
    *out = value;
    return value <= max;
}

/* user[:password], without the '@'. */
static hg_status parse_userinfo(struct hgi_endpoint *out, struct part userinfo,
                                struct hg_error *err)
{
    const char *end = userinfo.at + userinfo.length;
    const char *colon = memchr(userinfo.at, ':', userinfo.length);
    hg_status status = decode(out->username, sizeof out->username,
                              part_of(userinfo.at, colon ? colon : end), "user name", err);
    if (status < 0 || !colon)
        return status;
    return decode(out->password, sizeof out->password, part_of(colon + 1, end), "password", err);
}

static hg_status parse_database(struct hgi_endpoint *out, struct part part, struct hg_error *err)
{
    if (!parse_number(part, DATABASE_MAX, &out->database))
        return hgi_error_set(err, HG_ERR_VALIDATION,
                             "the URL's database must be a number from 0 to %d", DATABASE_MAX);
    return HG_OK;
}

static hg_status parse_port(struct hgi_endpoint *out, struct part part, struct hg_error *err)
{
    uint32_t port;
    if (!parse_number(part, PORT_MAX, &port) || port == 0)
        return hgi_error_set(err, HG_ERR_VALIDATION, "the URL's port must be a number from 1 to %d",
                             PORT_MAX);
    out->port = (uint16_t)port;
    return HG_OK;
}

static bool is_host(struct part host, bool bracketed)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    static const char address[] = "abcdefABCDEF0123456789:.";
    const char *allowed = bracketed ? address : plain;
    size_t length = strspn(host.at, allowed);
    const char *zone = bracketed ? memchr(host.at, '%', host.length) : NULL;
    if (zone && zone + 1 < host.at + host.length) /* fe80::1%eth0 */
        return length == (size_t)(zone - host.at) &&
               strspn(zone + 1, plain) >= (size_t)(host.at + host.length - zone - 1);
    return length >= host.length;
}

/* host[:port] or [address][:port]. */
static hg_status parse_host(struct hgi_endpoint *out, struct part part, struct hg_error *err)
{
    const char *end = part.at + part.length;
    bool bracketed = part.length > 0 && part.at[0] == '[';
    struct part host;
    const char *rest;
    if (bracketed) {
        rest = memchr(part.at, ']', part.length);
        if (!rest)
            return hgi_error_set(err, HG_ERR_VALIDATION,
                                 "the URL's host has a '[' without its ']'");
        host = part_of(part.at + 1, rest);
        rest++;
    } else {
        rest = memchr(part.at, ':', part.length);
        rest = rest ? rest : end;
        host = part_of(part.at, rest);
        if (rest < end && memchr(rest + 1, ':', (size_t)(end - rest - 1)))
            return hgi_error_set(err, HG_ERR_VALIDATION,
                                 "the URL's host has more than one ':'; write an IPv6 address in "
                                 "brackets, [::1]:6379");
    }
    if (host.length == 0)
        return hgi_error_set(err, HG_ERR_VALIDATION,
                             "the URL has no host; write redis://host:port/database");
    if (host.length >= sizeof out->host)
        return hgi_error_set(err, HG_ERR_VALIDATION, "the URL's host is too long; the limit is %zu",
                             sizeof out->host - 1);
    if (!is_host(host, bracketed))
        return hgi_error_set(err, HG_ERR_VALIDATION,
                             "the URL's host has a character that no host name has");
    memcpy(out->host, host.at, host.length);
    out->host[host.length] = '\0';
    if (rest == end)
        return HG_OK;
    if (*rest != ':')
        return hgi_error_set(err, HG_ERR_VALIDATION, "the URL has text between ']' and the port");
    return parse_port(out, part_of(rest + 1, end), err);
}

/* Cut "user:password@" from the front of the authority and decode it. */
static hg_status take_userinfo(struct hgi_endpoint *out, struct part *authority,
                               struct hg_error *err)
{
    const char *at = memrchr(authority->at, '@', authority->length);
    if (!at)
        return HG_OK;
    hg_status status = parse_userinfo(out, part_of(authority->at, at), err);
    *authority = part_of(at + 1, authority->at + authority->length);
    return status;
}

static hg_status parse_tcp(struct hgi_endpoint *out, const char *text, struct hg_error *err)
{
    const char *tail = text + strcspn(text, "/?#");
    struct part authority = part_of(text, tail);
    out->transport = HGI_TRANSPORT_TCP;
    out->port = PORT_DEFAULT;
    if (strchr(tail, '@'))
        return hgi_error_set(
            err, HG_ERR_VALIDATION,
            "the URL has an '@' behind its host; in a password, write / as %%2F, ? "
            "as %%3F and # as %%23");
    hg_status status = take_userinfo(out, &authority, err);
    if (status == HG_OK)
        status = parse_host(out, authority, err);
    if (status < 0)
        return status;
    if (*tail == '/' && tail[1]) {
        status = parse_database(out, part_of(tail + 1, tail + strlen(tail)), err);
        if (status < 0)
            return status;
    } else if (*tail == '?' || *tail == '#') {
        return hgi_error_set(err, HG_ERR_VALIDATION,
                             "the URL has a '%c' behind its host; a database is written /3", *tail);
    }
    if (strchr(out->host, ':'))
        snprintf(out->text, sizeof out->text, "[%.110s]:%u", out->host, (unsigned)out->port);
    else
        snprintf(out->text, sizeof out->text, "%.110s:%u", out->host, (unsigned)out->port);
    return HG_OK;
}

static hg_status parse_unix(struct hgi_endpoint *out, const char *text, struct hg_error *err)
{
    static const char db[] = "db=";
    const char *query = text + strcspn(text, "?#");
    const char *slash = memchr(text, '/', (size_t)(query - text));
    struct part authority = part_of(text, slash ? slash : query);
    out->transport = HGI_TRANSPORT_UNIX;
    hg_status status = take_userinfo(out, &authority, err);
    if (status < 0)
        return status;
    if (authority.length > 0 || !slash || slash + 1 == query)
        return hgi_error_set(err, HG_ERR_VALIDATION,
                             "the URL needs an absolute path; write unix:///run/redis.sock");
    status = decode(out->path, sizeof out->path, part_of(slash, query), "socket path", err);
    if (status < 0)
        return status;
    if (*query == '#' || (*query == '?' && strncmp(query + 1, db, sizeof db - 1) != 0))
        return hgi_error_set(err, HG_ERR_VALIDATION,
                             "the URL has an option that is not known; the only one is ?db=3");
    if (*query == '?') {
        const char *number = query + sizeof db;
        status = parse_database(out, part_of(number, number + strlen(number)), err);
        if (status < 0)
            return status;
    }
    snprintf(out->text, sizeof out->text, "unix:%s", out->path);
    return HG_OK;
}

/* The path goes into messages, the host is checked anyway: nothing that ends a line. */
static bool has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

static bool has_scheme(const char **rest, const char *url, const char *scheme)
{
    size_t length = strlen(scheme);
    if (strncasecmp(url, scheme, length) != 0)
        return false;
    *rest = url + length;
    return true;
}

static hg_status parse(struct hgi_endpoint *out, const char *url, struct hg_error *err)
{
    const char *rest;
    if (!*url)
        return hgi_error_set(err, HG_ERR_VALIDATION,
                             "the URL is empty; write redis://host:port/database");
    if (has_scheme(&rest, url, "redis://"))
        return parse_tcp(out, rest, err);
    if (has_scheme(&rest, url, "unix://"))
        return parse_unix(out, rest, err);
    if (has_scheme(&rest, url, "rediss://")) {
        out->tls = true;
        return parse_tcp(out, rest, err);
    }
    if (*url == '/' || has_scheme(&rest, url, "unix:"))
        return hgi_error_set(err, HG_ERR_VALIDATION,
                             "a unix socket is written as a URL: unix:///run/redis.sock");
    if (strstr(url, "://"))
        return hgi_error_set(err, HG_ERR_VALIDATION,
                             "the URL's scheme is not known; use redis://, rediss:// or unix://");
    return parse_tcp(out, url, err);
}

hg_status hgi_endpoint_parse(struct hgi_endpoint *out, const char *url, struct hg_error *err)
{
    struct hgi_endpoint endpoint;
    memset(&endpoint, 0, sizeof endpoint);
    memset(out, 0, sizeof *out);
    if (!url)
        return hgi_error_set(err, HG_ERR_VALIDATION, "the URL is NULL");
    hg_status status = parse(&endpoint, url, err);
    if (status == HG_OK && has_control(endpoint.path))
        status =
            hgi_error_set(err, HG_ERR_VALIDATION, "the URL's socket path has a control character");
    if (status == HG_OK)
        *out = endpoint;
    explicit_bzero(&endpoint, sizeof endpoint);
    return status;
}
