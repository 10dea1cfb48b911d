/* What may be shown of a server's error.
 *
 * An error can repeat what it was sent: `ERR unknown command 'AUHT', with args beginning with: ...`
 * shows the password. So nothing of the server's own words is copied. What is shown comes from the
 * list below: if the server's text begins with a known one, that known text; else the code alone.
 *
 * Invariant: every byte written is from this file, or is of the code (see hgi_server_error_code()).
 */
#include <stdio.h>
#include <string.h>

#include "policy/classify.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define ONE_SERVER " (herdgate speaks to one server; this is a cluster)"

struct known_text {
    const char *begins; /* how the server's text begins */
    const char *shown;  /* what is shown for it; NULL: the same words */
};

/* A longer text stands before the shorter one that it begins with. */
static const struct known_text known[] = {
    { "LOADING Redis is loading the dataset in memory", NULL },
    { "LOADING Valkey is loading the dataset in memory", NULL },
    { "BUSY Redis is busy running a script", NULL },
    { "BUSY Valkey is busy running a script", NULL },
    { "BUSY Redis is busy running a module command", NULL },
    { "BUSY Valkey is busy running a module command", NULL },
    { "MASTERDOWN Link with MASTER is down", NULL },
    { "CLUSTERDOWN Hash slot not served", NULL },
    { "CLUSTERDOWN The cluster is down and only accepts read commands", NULL },
    { "CLUSTERDOWN The cluster is down", NULL },
    { "TRYAGAIN Multiple keys request during rehashing of slot", NULL },
    { "NOREPLICAS Not enough good replicas to write", NULL },
    { "OOM command not allowed when used memory > 'maxmemory'", NULL },
    { "MISCONF Redis is configured to save RDB snapshots", NULL },
    { "MISCONF Valkey is configured to save RDB snapshots", NULL },
    { "MISCONF Redis is configured to persist data to AOF", NULL },
    { "MISCONF Valkey is configured to persist data to AOF", NULL },
    { "MISCONF Errors writing to the AOF file", NULL },
    { "READONLY You can't write against a read only replica", NULL },
    { "MOVED ", "MOVED" ONE_SERVER },
    { "ASK ", "ASK" ONE_SERVER },
    { "CROSSSLOT ", "CROSSSLOT" ONE_SERVER },
    { "NOAUTH Authentication required", NULL },
    { "NOAUTH HELLO must be called with the client already authenticated", NULL },
    { "WRONGPASS invalid username-password pair or user is disabled", NULL },
    { "DENIED Redis is running in protected mode", NULL },
    { "DENIED Valkey is running in protected mode", NULL },
    { "NOPERM this user has no permissions to run the ",
      "NOPERM this user has no permissions to run the command" },
    { "NOPERM this user has no permissions to access one of the keys", NULL },
    { "NOPERM this user has no permissions to access one of the channels", NULL },
    { "NOPERM No permissions to access a key", NULL },
    { "NOPERM No permissions to access a channel", NULL },
    { "NOPERM User ", "NOPERM this user has no permissions to run the command" },
    { "NOPROTO unsupported protocol version", NULL },
    { "WRONGTYPE Operation against a key holding the wrong kind of value", NULL },
    { "WRONGTYPE Key is not a valid HyperLogLog string value", NULL },
    { "INVALIDOBJ Corrupted HLL object detected", NULL },
    { "BUSYKEY Target key name already exists", NULL },
    { "BUSYGROUP Consumer Group name already exists", NULL },
    { "NOGROUP No such key ", "NOGROUP no such key or consumer group" },
    { "NOGROUP No such consumer group ", "NOGROUP no such consumer group" },
    { "UNBLOCKED client unblocked via CLIENT UNBLOCK", NULL },
    { "UNBLOCKED force unblock from blocking operation", NULL },
    { "UNBLOCKED the stream key no longer exists", NULL },
    { "NOSCRIPT No matching script", NULL },
    { "EXECABORT Transaction discarded because of previous errors", NULL },
    { "EXECABORT Transaction discarded", NULL },
    { "NOTBUSY No scripts in execution right now", NULL },
    { "UNKILLABLE Sorry the script already executed write commands", NULL },
    { "IOERR error or timeout connecting to the client", NULL },
    { "IOERR error or timeout", NULL },
    { "ERR max number of clients reached", NULL },
    { "ERR max number of clients + cluster connections reached", NULL },
    { "ERR unknown command", NULL },
    { "ERR unknown subcommand", NULL },
    { "ERR Unknown subcommand", NULL },
    { "ERR wrong number of arguments", NULL },
    { "ERR syntax error", NULL },
    { "ERR value is not an integer or out of range", NULL },
    { "ERR value is not a valid float", NULL },
    { "ERR value is out of range", NULL },
    { "ERR hash value is not an integer", NULL },
    { "ERR hash value is not a float", NULL },
    { "ERR increment or decrement would overflow", NULL },
    { "ERR increment would produce NaN or Infinity", NULL },
    { "ERR decrement would overflow", NULL },
    { "ERR bit offset is not an integer or out of range", NULL },
    { "ERR bit is not an integer or out of range", NULL },
    { "ERR offset is out of range", NULL },
    { "ERR index out of range", NULL },
    { "ERR string exceeds maximum allowed size", NULL },
    { "ERR min or max is not a float", NULL },
    { "ERR min or max not valid string range item", NULL },
    { "ERR invalid expire time", NULL },
    { "ERR timeout is negative", NULL },
    { "ERR timeout is out of range", NULL },
    { "ERR timeout is not a float or out of range", NULL },
    { "ERR timeout is not an integer or out of range", NULL },
    { "ERR invalid cursor", NULL },
    { "ERR no such key", NULL },
    { "ERR source and destination objects are the same", NULL },
    { "ERR DB index is out of range", NULL },
    { "ERR invalid DB index", NULL },
    { "ERR SELECT is not allowed in cluster mode", NULL },
    { "ERR AUTH <password> called without any password configured", NULL },
    { "ERR Client sent AUTH, but no password is set", NULL },
    { "ERR Client names cannot contain spaces, newlines or special characters", NULL },
    { "ERR MULTI calls can not be nested", NULL },
    { "ERR EXEC without MULTI", NULL },
    { "ERR DISCARD without MULTI", NULL },
    { "ERR WATCH inside MULTI is not allowed", NULL },
    { "ERR Command not allowed inside a transaction", NULL },
    { "ERR Can't execute ", "ERR this connection is subscribed: the command is not allowed on it" },
    { "ERR Protocol error", NULL },
    { "ERR DUMP payload version or checksum are wrong", NULL },
    { "ERR Bad data format", NULL },
    { "ERR Invalid stream ID specified as stream command argument", NULL },
    { "ERR The ID specified in XADD is equal or smaller than the target stream top item", NULL },
    { "ERR The ID specified in XADD must be greater than 0-0", NULL },
    { "ERR Number of keys can't be greater than number of args", NULL },
    { "ERR Number of keys can't be negative", NULL },
    { "ERR Error compiling script", NULL },
    { "ERR Error running script", NULL },
    { "ERR user_script", "ERR error in a script" },
    { "ERR DEBUG command not allowed", NULL },
    { "ERR operation not permitted", NULL },
};

static const struct known_text *find(const char *text, size_t length)
{
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        size_t begins = strlen(known[i].begins);
        if (begins <= length && memcmp(known[i].begins, text, begins) == 0)
            return &known[i];
    }
    return NULL;
}

void hgi_server_error_text(const char *text, size_t length, char *out, size_t size)
{
    char code[HGI_NAME_SIZE];
    const struct known_text *text_known = find(text, length);
    if (size == 0)
        return;
    if (text_known)
        snprintf(out, size, "%s", text_known->shown ? text_known->shown : text_known->begins);
    else if (hgi_server_error_code(text, length, code))
        snprintf(out, size, "%s%s", code, strlen(code) < length ? " (more is not shown)" : "");
    else
        snprintf(out, size, "an error without a code (not shown)");
}
