/* Server URLs: any text is an endpoint or an error of one line. An endpoint, written as a URL, is read
 * as the same endpoint; what is refused leaves nothing behind. */
#include <herdgate/error.h>

#include "policy/settings.h"
#include "tests/fuzz/property.h"

enum { URL_SIZE = 4096 };

static bool is_one_line(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

/* Percent-encode all that is not a letter or digit, and may be all of it. */
static void put_encoded(char *url, const char *text, const char *kept)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    size_t used = strlen(url);
    for (; *text; text++) {
        bool keeps = strchr(plain, *text) || strchr(kept, *text);
        used += (size_t)snprintf(url + used, URL_SIZE - used, keeps ? "%c" : "%%%02X",
                                 (unsigned char)*text);
        PROPERTY(used < URL_SIZE);
    }
}

static void write_url(char *url, const struct hgi_endpoint *endpoint)
{
    bool is_unix = endpoint->transport == HGI_TRANSPORT_UNIX;
    char tail[64];
    strcpy(url, is_unix ? "unix://" : endpoint->tls ? "rediss://" : "redis://");
    if (endpoint->username[0] || endpoint->password[0]) {
        put_encoded(url, endpoint->username, "");
        if (endpoint->password[0]) {
            strcat(url, ":");
            put_encoded(url, endpoint->password, "");
        }
        strcat(url, "@");
    }
    if (is_unix) {
        put_encoded(url, endpoint->path, "/");
        snprintf(tail, sizeof tail, "?db=%u", (unsigned)endpoint->database);
    } else {
        bool bracketed = strchr(endpoint->host, ':') != NULL || strchr(endpoint->host, '%') != NULL;
        strcat(url, bracketed ? "[" : "");
        strcat(url, endpoint->host);
        strcat(url, bracketed ? "]" : "");
        snprintf(tail, sizeof tail, ":%u/%u", (unsigned)endpoint->port,
                 (unsigned)endpoint->database);
    }
    strcat(url, tail);
}

static void check_endpoint(const struct hgi_endpoint *endpoint)
{
    bool is_unix = endpoint->transport == HGI_TRANSPORT_UNIX;
    struct hgi_endpoint again;
    char url[URL_SIZE];
    PROPERTY(is_unix || endpoint->transport == HGI_TRANSPORT_TCP);
    PROPERTY(is_unix ? endpoint->path[0] == '/' && !endpoint->host[0]
                     : endpoint->host[0] && endpoint->port > 0 && !endpoint->path[0]);
    PROPERTY(memchr(endpoint->text, '\0', sizeof endpoint->text) && endpoint->text[0]);
    PROPERTY(is_one_line(endpoint->text));
    write_url(url, endpoint);
    PROPERTY(hgi_endpoint_parse(&again, url, NULL) == HG_OK);
    PROPERTY(memcmp(&again, endpoint, sizeof again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct hgi_endpoint nothing;
    struct hgi_endpoint endpoint;
    struct hg_error err = HG_ERROR_INIT;
    char *url = exact_copy(data, size, 1);
    memset(&endpoint, 0x5a, sizeof endpoint);
    hg_status status = hgi_endpoint_parse(&endpoint, url, &err);
    if (status == HG_OK) {
        check_endpoint(&endpoint);
    } else {
        PROPERTY(status == HG_ERR_VALIDATION && err.type == status);
        PROPERTY(err.message[0] && is_one_line(err.message));
        PROPERTY(memcmp(&endpoint, &nothing, sizeof nothing) == 0);
    }
    free(url);
    return 0;
}
