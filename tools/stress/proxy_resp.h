/* Where one RESP reply ends and the next begins, in bytes that come in any pieces. Pure.
 *
 *     struct hgi_resp resp = { 0 };
 *     while (length > 0) {
 *         size_t used = hgi_resp_scan(&resp, bytes, length, &event);
 *         if (event == HGI_RESP_REPLY)
 *             replies++;
 *         bytes += used, length -= used;
 *     }
 *
 * RESP2 and RESP3, whatever the hiredis at hand knows: it looks at lengths and line ends only, keeps
 * no byte, and its size does not depend on what comes. An attribute belongs to the reply that it
 * stands before. What is not RESP, nests deeper than HGI_RESP_DEPTH or is streamed without a length
 * (`$?`, which no server sends) is LOST: no boundary can be seen from there on.
 *
 * hiredis' own reader can tell the offset too, but it holds a whole value in memory until its last
 * byte is there, and in version 0.14.1 takes RESP3 for an error.
 */
#ifndef HERDGATE_TOOLS_STRESS_PROXY_RESP_H
#define HERDGATE_TOOLS_STRESS_PROXY_RESP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HGI_RESP_DEPTH = 64 };

enum hgi_resp_event {
    HGI_RESP_MORE,  /* all bytes were looked at, and nothing ended with the last one */
    HGI_RESP_REPLY, /* a reply (or a request) ended with the last byte that was looked at */
    HGI_RESP_PUSH,  /* a push message ended there, which is no reply */
    HGI_RESP_LOST
};

enum hgi_resp_state { HGI_RESP_TYPE, HGI_RESP_LINE, HGI_RESP_BULK, HGI_RESP_ASTRAY };

struct hgi_resp {
    bool requests; /* the bytes are a client's: a line that has no type is a request by itself */

    enum hgi_resp_state state;
    char type;     /* of what is being read */
    bool push;     /* the value at the top is a push message */
    bool returned; /* the line's last byte was a carriage return */
    bool negative; /* the line's number: its sign, how many digits it has, its amount */
    uint8_t digits;
    uint64_t amount;
    uint64_t left; /* bytes of the bulk, its line end included */
    uint32_t depth;
    struct {
        uint64_t left;  /* values that are still to come */
        bool attribute; /* they describe the value after them, and count for nothing */
    } level[HGI_RESP_DEPTH];
};

/* Look at bytes up to the end of a reply, or all of them. Returns how many: at least one, of at least
 * one. */
size_t hgi_resp_scan(struct hgi_resp *resp, const char *bytes, size_t length,
                     enum hgi_resp_event *event);

#endif
