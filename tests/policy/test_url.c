/* Server URLs: what each form means, what is refused, and that no message repeats a part of one. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "policy/settings.h"

static struct hgi_endpoint endpoint;

static const char *parse(const char *url)
{
    static struct hg_error err;
    err = (struct hg_error)HG_ERROR_INIT;
    return hgi_endpoint_parse(&endpoint, url, &err) == HG_OK ? "" : err.message;
}

static void tcp(const char *url, const char *host, unsigned port, unsigned database)
{
    cr_assert_str_empty(parse(url), "%s", url);
    cr_assert_eq(endpoint.transport, HGI_TRANSPORT_TCP);
    cr_assert_str_eq(endpoint.host, host);
    cr_assert_eq(endpoint.port, port);
    cr_assert_eq(endpoint.database, database);
}

static void refused(const char *url, const char *says)
{
    struct hgi_endpoint empty;
    memset(&empty, 0, sizeof empty);
    const char *message = parse(url);
    cr_assert_not_null(strstr(message, says), "%s: \"%s\" lacks: %s", url, message, says);
    cr_assert_eq(memcmp(&endpoint, &empty, sizeof empty), 0, "%s: left something behind", url);
}

Test(url, a_host_alone_has_the_usual_port_and_database)
{
    tcp("redis://example.net", "example.net", 6379, 0);
    tcp("example.net", "example.net", 6379, 0);
    tcp("redis://example.net/", "example.net", 6379, 0);
    tcp("REDIS://127.0.0.1", "127.0.0.1", 6379, 0);
    cr_assert_str_eq(endpoint.text, "127.0.0.1:6379");
}

Test(url, port_and_database_are_read_up_to_their_limits)
{
    tcp("redis://h:1/0", "h", 1, 0);
    tcp("h:65535/65535", "h", 65535, 65535);
    refused("h:0", "port");
    refused("h:65536", "port");
    refused("h:", "port");
    refused("h:4294973675", "port"); /* 6379 in 32 bits */
    refused("h:+1", "port");
    refused("h/65536", "database");
    refused("h/-1", "database");
    refused("h/1/2", "database");
}

Test(url, ipv6_addresses_stand_in_brackets)
{
    tcp("redis://[::1]:7000/3", "::1", 7000, 3);
    cr_assert_str_eq(endpoint.text, "[::1]:7000");
    tcp("[fe80::1%eth0]", "fe80::1%eth0", 6379, 0);
    refused("::1", "brackets");
    refused("[::1", "without its ']'");
    refused("[::1]7000", "between ']' and the port");
    refused("[]:7000", "no host");
    refused("[example.net]", "no host name has");
    refused("[fe80::1%]", "no host name has");
}

Test(url, user_and_password_are_percent_decoded)
{
    tcp("redis://app:p%40ss%3a%2F@h/1", "h", 6379, 1);
    cr_assert_str_eq(endpoint.username, "app");
    cr_assert_str_eq(endpoint.password, "p@ss:/");
    tcp("redis://:only@h", "h", 6379, 0);
    cr_assert_str_eq(endpoint.username, "");
    cr_assert_str_eq(endpoint.password, "only");
    tcp("redis://user@h", "h", 6379, 0);
    cr_assert_str_eq(endpoint.username, "user");
    cr_assert_str_eq(endpoint.password, "");
    tcp("redis://u:a@b@h", "h", 6379, 0); /* the last '@' ends it */
    cr_assert_str_eq(endpoint.password, "a@b");
    refused("redis://u:%4@h", "two hexadecimal digits");
    refused("redis://u:%zz@h", "two hexadecimal digits");
    refused("redis://u:%@h", "two hexadecimal digits");
    refused("redis://u:a%00b@h", "zero byte");
}

Test(url, a_socket_has_an_absolute_path)
{
    cr_assert_str_empty(parse("unix:///run/a%20b.sock?db=7"));
    cr_assert_eq(endpoint.transport, HGI_TRANSPORT_UNIX);
    cr_assert_str_eq(endpoint.path, "/run/a b.sock");
    cr_assert_eq(endpoint.database, 7);
    cr_assert_str_empty(parse("unix://u:p@/s"));
    cr_assert_str_eq(endpoint.username, "u");
    cr_assert_str_eq(endpoint.password, "p");
    refused("unix://", "absolute path");
    refused("unix:///", "absolute path");
    refused("unix://run/redis.sock", "absolute path");
    refused("unix:/run/redis.sock", "unix:///run/redis.sock");
    refused("/run/redis.sock", "unix:///run/redis.sock");
    refused("unix:///s?timeout=1", "the only one is ?db=3");
    refused("unix:///s#x", "the only one is ?db=3");
    refused("unix:///s?db=x", "database");
    refused("unix:///a%0ab", "control character");
}

Test(url, what_is_no_server_is_refused)
{
    refused("", "empty");
    refused("redis://", "no host");
    refused("redis://:6379", "no host");
    refused("redis://@", "no host");
    refused("http://h", "scheme is not known");
    refused("rediss://", "no host");
    refused("redis://h?db=1", "a database is written /3");
    refused("redis://h#1", "a database is written /3");
    refused("redis://a b", "no host name has");
    refused("redis://h\n", "no host name has");
    refused("redis://h\xc3\xa9", "no host name has");
    refused("redis://u:pa/ss@h", "%2F");
}

Test(url, each_part_has_room_up_to_its_field_and_no_further)
{
    char url[2000];
    char part[1200];
    static const struct {
        const char *format;
        size_t most;
    } parts[] = { { "redis://%s", sizeof endpoint.host - 1 },
                  { "redis://%s@h", sizeof endpoint.username - 1 },
                  { "redis://:%s@h", sizeof endpoint.password - 1 },
                  { "unix:///%s", sizeof endpoint.path - 2 } };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        for (size_t length = parts[i].most; length <= parts[i].most + 1; length++) {
            memset(part, 'a', length);
            part[length] = '\0';
            char *out = strstr(parts[i].format, "%s") ? url : NULL;
            size_t head = (size_t)(strstr(parts[i].format, "%s") - parts[i].format);
            snprintf(out, sizeof url, "%.*s%s%s", (int)head, parts[i].format, part,
                     parts[i].format + head + 2);
            if (length == parts[i].most)
                cr_assert_str_empty(parse(url), "%s", parts[i].format);
            else
                refused(url, "too long; the limit is");
        }
    }
}

Test(url, no_message_repeats_a_part_of_it)
{
    static const char *const urls[] = {
        "redis://u:hunter2@h:99999", "redis://u:hunter2@",
        "redis://hunter2:x",         "redis://u:hunter2/@h",
        "redis://u:hunter2?@h",      "hunter2://h",
        "redis://u:hunter2%@h",      "redis://h/hunter2",
        "redis://u:hunter2%00@h",    "unix://hunter2",
        "unix:///s?hunter2",         "redis://[hunter2",
        "redis://hunter2 x@a b",     "/hunter2",
        "redis://h?hunter2",         "unix:///hunter2%0a",
        "rediss://u:hunter2@h:0",    "redis://hunter2:hunter2:hunter2",
    };
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        const char *message = parse(urls[i]);
        cr_assert_str_neq(message, "", "%s is accepted", urls[i]);
        cr_assert_null(strstr(message, "hunter2"), "%s", message);
    }
}

Test(url, null_is_an_error)
{
    struct hg_error err = HG_ERROR_INIT;
    cr_assert_eq(hgi_endpoint_parse(&endpoint, NULL, &err), HG_ERR_VALIDATION);
    cr_assert_eq(hgi_endpoint_parse(&endpoint, "http://h", NULL), HG_ERR_VALIDATION);
}
