/* Commands as they are written, with what the library says of them. test_commands.c holds the
 * library to this list; test_commands_twice.c holds this list to a server, which runs each one
 * twice. Words are parted by spaces; '' is the empty word. */
#ifndef HERDGATE_TESTS_POLICY_COMMAND_SAMPLES_H
#define HERDGATE_TESTS_POLICY_COMMAND_SAMPLES_H

#include <string.h>

#include "policy/commands.h"

/* What a server that runs it twice cannot show. */
enum sample_note {
    PLAIN,
    DOUBT,         /* write_once, although a second run right after the first shows no difference */
    REFUSED_AGAIN, /* write, and the server refuses the second run by name */
    CACHES,        /* read, although the server writes what it has worked out into the key */
    NOT_RUN,       /* not for a test's server */
    NEWER          /* a server may not know it */
};

struct command_sample {
    const char *line;
    enum hgi_class_kind kind;
    int key_index;
    enum sample_note note;
};

/* The keys that the server test makes before each of them. */
static const char *const sample_keys[] = {
    "MSET str 5 str2 hello bits a num 10",
    "MSET weight_a 3 weight_b 2 weight_c 4 weight_d 1 name_a A name_b B name_c C name_d D",
    "RPUSH list a b c d a b c d",
    "RPUSH list2 x y z",
    "SADD set a b c d",
    "SADD set2 b c d e",
    "ZADD zset 1 a 2 b 3 c 4 d",
    "ZADD zset2 1 b 2 c 3 z",
    "HSET hash f1 1 f2 two f3 3",
    "PFADD hll a b c",
    "PFADD hll2 c d e",
    "PFCOUNT hll",
    "PFCOUNT hll2",
    "GEOADD geo 13.361389 38.115556 palermo 15.087269 37.502669 catania",
    "XADD stream 1-1 f v",
    "XADD stream 2-1 f v",
    "XADD stream 3-1 f v",
    "XGROUP CREATE stream g 0",
    "XREADGROUP GROUP g c COUNT 1 STREAMS stream >",
};

#define READ HGI_CLASS_READ
#define WRITE HGI_CLASS_WRITE
#define ONCE HGI_CLASS_WRITE_ONCE
#define BLOCK HGI_CLASS_BLOCKING
#define SCRIPT HGI_CLASS_SCRIPT
#define TRANSACTION HGI_CLASS_TRANSACTION
#define CONNECTION HGI_CLASS_CONNECTION
#define ADMIN HGI_CLASS_ADMIN

static const struct command_sample samples[] = {
    /* strings */
    { "GET str", READ, 1, PLAIN },
    { "MGET str str2", READ, 1, PLAIN },
    { "STRLEN str", READ, 1, PLAIN },
    { "SET str v", WRITE, 1, PLAIN },
    { "SET new v EX 1000", WRITE, 1, PLAIN },
    { "SET str v PX 1000000 XX", WRITE, 1, PLAIN },
    { "SET str v KEEPTTL", WRITE, 1, PLAIN },
    { "SET str NX", WRITE, 1, PLAIN },
    { "SET NX GET", WRITE, 1, PLAIN },
    { "SET new v NX", ONCE, 1, PLAIN },
    { "set new v ex 1000 nx", ONCE, 1, PLAIN },
    { "SET str v GET", ONCE, 1, PLAIN },
    { "SET str v XX GET", ONCE, 1, PLAIN },
    { "SET str v IFEQ 5", ONCE, 1, NEWER },
    { "SETNX new v", ONCE, 1, PLAIN },
    { "SETEX str 1000 v", WRITE, 1, PLAIN },
    { "PSETEX str 1000000 v", WRITE, 1, PLAIN },
    { "MSET str a new b", WRITE, 1, PLAIN },
    { "MSETNX new a new2 b", ONCE, 1, PLAIN },
    { "SETRANGE str2 1 xyz", WRITE, 1, PLAIN },
    { "SETBIT bits 6 1", WRITE, 1, PLAIN },
    { "APPEND str x", ONCE, 1, PLAIN },
    { "INCR num", ONCE, 1, PLAIN },
    { "INCRBYFLOAT num 1.5", ONCE, 1, PLAIN },
    { "DECRBY num 3", ONCE, 1, PLAIN },
    { "GETSET str v", ONCE, 1, PLAIN },
    { "GETDEL str", ONCE, 1, PLAIN },
    { "GETEX str", READ, 1, PLAIN },
    { "GETEX str EX 1000", WRITE, 1, PLAIN },
    { "GETEX str PERSIST", WRITE, 1, PLAIN },
    { "BITFIELD bits GET u8 0", READ, 1, PLAIN },
    { "BITFIELD bits SET u8 0 7 GET u8 0", WRITE, 1, PLAIN },
    { "BITFIELD bits GET u8 0 OVERFLOW SAT INCRBY u8 0 7", ONCE, 1, PLAIN },
    { "BITFIELD_RO bits GET u8 0", READ, 1, PLAIN },
    { "BITOP XOR new str str2", WRITE, 2, PLAIN },
    { "BITOP XOR str str str2", ONCE, 2, PLAIN },
    { "BITOP NOT str2 str2", ONCE, 2, PLAIN },
    { "LCS str str2", READ, 1, PLAIN },
    /* keys */
    { "DEL str", WRITE, 1, PLAIN },
    { "UNLINK str list", WRITE, 1, PLAIN },
    { "EXISTS str", READ, 1, PLAIN },
    { "TOUCH str", READ, 1, PLAIN },
    { "DUMP str", READ, 1, PLAIN },
    { "EXPIRE str 1000", WRITE, 1, PLAIN },
    { "EXPIRE str -1", WRITE, 1, PLAIN },
    { "PEXPIRE str 1000000 XX", WRITE, 1, PLAIN },
    { "EXPIRE str 1000 NX", ONCE, 1, PLAIN },
    { "EXPIREAT str 9999999999 GT", ONCE, 1, DOUBT },
    { "EXPIREAT str 9999999999 LT", ONCE, 1, PLAIN },
    { "PERSIST str", WRITE, 1, PLAIN },
    { "RENAME str new", ONCE, 1, PLAIN },
    { "RENAMENX str new", ONCE, 1, PLAIN },
    { "COPY str new", ONCE, 1, PLAIN },
    { "COPY str str2 REPLACE", WRITE, 1, PLAIN },
    { "COPY str REPLACE", ONCE, 1, PLAIN },
    { "MOVE str 1", ONCE, 1, PLAIN },
    { "SORT list ALPHA", READ, 1, PLAIN },
    { "SORT list ALPHA STORE new", WRITE, 1, PLAIN },
    { "SORT list BY nosort LIMIT 1 3 STORE list", ONCE, 1, PLAIN },
    { "SORT list BY STORE GET STORE LIMIT 0 1", READ, 1, PLAIN },
    { "SORT list BY weight_* STORE weight_a", ONCE, 1, PLAIN },
    { "SORT list BY nosort STORE name_b GET name_*", ONCE, 1, PLAIN },
    { "SORT list BY weight_* GET name_* GET # STORE new", WRITE, 1, PLAIN },
    { "SORT_RO list ALPHA", READ, 1, PLAIN },
    { "OBJECT ENCODING str", READ, 2, PLAIN },
    { "MEMORY USAGE str", READ, 2, PLAIN },
    { "SCAN 0 COUNT 10", READ, 0, PLAIN },
    { "KEYS *", READ, 0, PLAIN },
    { "RANDOMKEY", READ, 0, PLAIN },
    { "FLUSHDB", ONCE, 0, DOUBT },
    { "FLUSHALL", ONCE, 0, DOUBT },
    { "SWAPDB 0 1", ONCE, 0, PLAIN },
    { "RESTORE new 0 payload", ONCE, 1, NOT_RUN },
    { "RESTORE REPLACE 0 REPLACE REPLACE", WRITE, 1, NOT_RUN },
    { "MIGRATE localhost 6380 str 0 1000", ONCE, 3, NOT_RUN },
    { "MIGRATE localhost 6380 '' 0 1000 COPY KEYS str str2", ONCE, 8, NOT_RUN },
    { "MIGRATE localhost 6380 '' 0 1000", ONCE, 0, NOT_RUN },
    { "MIGRATE localhost 6380 '' 0 1000 AUTH keys secret", ONCE, 0, NOT_RUN },
    { "MIGRATE localhost 6380 '' 0 1000 AUTH2 keys secret KEYS str", ONCE, 10, NOT_RUN },
    /* hashes */
    { "HGETALL hash", READ, 1, PLAIN },
    { "HSCAN hash 0", READ, 1, PLAIN },
    { "HSET hash f1 v f9 v", WRITE, 1, PLAIN },
    { "HMSET hash f1 v", WRITE, 1, PLAIN },
    { "HDEL hash f1", WRITE, 1, PLAIN },
    { "HSETNX hash f9 v", ONCE, 1, PLAIN },
    { "HINCRBY hash f1 2", ONCE, 1, PLAIN },
    { "HINCRBYFLOAT hash f1 2", ONCE, 1, PLAIN },
    { "HEXPIRE hash 1000 FIELDS 1 f1", WRITE, 1, NEWER },
    { "HEXPIRE hash 1000 NX FIELDS 1 f1", ONCE, 1, NEWER },
    { "HEXPIRE hash 1000 FIELDS 1 NX", WRITE, 1, NEWER },
    { "HPERSIST hash FIELDS 1 f1", WRITE, 1, NEWER },
    { "HGETDEL hash FIELDS 1 f1", ONCE, 1, NEWER },
    { "HGETEX hash FIELDS 1 f1", READ, 1, NEWER },
    { "HGETEX hash EX 1000 FIELDS 1 f1", WRITE, 1, NEWER },
    { "HSETEX hash EX 1000 FIELDS 1 f1 v", WRITE, 1, NEWER },
    { "HSETEX hash FNX FIELDS 1 f9 v", ONCE, 1, NEWER },
    /* lists */
    { "LRANGE list 0 -1", READ, 1, PLAIN },
    { "LPUSH list x", ONCE, 1, PLAIN },
    { "RPUSHX list x", ONCE, 1, PLAIN },
    { "LINSERT list BEFORE b x", ONCE, 1, PLAIN },
    { "LPOP list", ONCE, 1, PLAIN },
    { "LMPOP 1 list LEFT", ONCE, 2, PLAIN },
    { "LMPOP 2 list list2 LEFT", ONCE, 2, PLAIN },
    { "RPOPLPUSH list list2", ONCE, 1, PLAIN },
    { "LMOVE list list2 LEFT RIGHT", ONCE, 1, PLAIN },
    { "LSET list 0 x", WRITE, 1, PLAIN },
    { "LREM list 1 a", ONCE, 1, PLAIN },
    { "LREM list -1 a", ONCE, 1, PLAIN },
    { "LREM list 0 a", WRITE, 1, PLAIN },
    { "LTRIM list 0 2", WRITE, 1, PLAIN },
    { "LTRIM list -3 -1", WRITE, 1, PLAIN },
    { "LTRIM list 1 0", WRITE, 1, PLAIN },
    { "LTRIM list -1 -2", WRITE, 1, PLAIN },
    { "LTRIM list 1 -1", ONCE, 1, PLAIN },
    { "LTRIM list 0 -2", ONCE, 1, PLAIN },
    { "LTRIM list 2 4", ONCE, 1, PLAIN },
    /* sets */
    { "SMEMBERS set", READ, 1, PLAIN },
    { "SINTERCARD 2 set set2", READ, 2, PLAIN },
    { "SADD set x", WRITE, 1, PLAIN },
    { "SREM set a", WRITE, 1, PLAIN },
    { "SPOP set", ONCE, 1, PLAIN },
    { "SMOVE set set2 a", ONCE, 1, PLAIN },
    { "SUNIONSTORE set set set2", WRITE, 1, PLAIN },
    { "SINTERSTORE set set set2", WRITE, 1, PLAIN },
    { "SDIFFSTORE new set set2", WRITE, 1, PLAIN },
    { "SDIFFSTORE set2 set set2", ONCE, 1, PLAIN },
    { "PFADD hll x", WRITE, 1, PLAIN },
    { "PFCOUNT hll", READ, 1, CACHES },
    { "PFMERGE hll hll2", WRITE, 1, PLAIN },
    /* sorted sets */
    { "ZRANGE zset 0 -1", READ, 1, PLAIN },
    { "ZUNION 2 zset zset2", READ, 2, PLAIN },
    { "ZADD zset 9 a 8 b", WRITE, 1, PLAIN },
    { "ZADD zset XX GT CH 9 a", WRITE, 1, PLAIN },
    { "ZADD zset 5 NX", WRITE, 1, PLAIN },
    { "ZADD zset NX 9 new", ONCE, 1, PLAIN },
    { "ZADD zset XX INCR 5 a", ONCE, 1, PLAIN },
    { "ZINCRBY zset 1 a", ONCE, 1, PLAIN },
    { "ZREM zset a", WRITE, 1, PLAIN },
    { "ZPOPMIN zset", ONCE, 1, PLAIN },
    { "ZMPOP 1 zset MIN", ONCE, 2, PLAIN },
    { "ZREMRANGEBYRANK zset 0 0", ONCE, 1, PLAIN },
    { "ZREMRANGEBYSCORE zset 0 2", WRITE, 1, PLAIN },
    { "ZREMRANGEBYLEX zset [a [b", WRITE, 1, PLAIN },
    { "ZUNIONSTORE new 2 zset zset2", WRITE, 1, PLAIN },
    { "ZUNIONSTORE zset 2 zset zset2", ONCE, 1, PLAIN },
    { "ZINTERSTORE zset 2 zset zset2", ONCE, 1, PLAIN },
    { "ZDIFFSTORE new 2 zset zset2", WRITE, 1, PLAIN },
    { "ZRANGESTORE new zset 0 1", WRITE, 1, PLAIN },
    { "ZRANGESTORE zset zset 1 -1", ONCE, 1, PLAIN },
    { "GEOADD geo 13 38 palermo", WRITE, 1, PLAIN },
    { "GEOADD geo NX 13 38 new", ONCE, 1, PLAIN },
    { "GEOSEARCH geo FROMMEMBER palermo BYRADIUS 9 km", READ, 1, PLAIN },
    { "GEOSEARCHSTORE new geo FROMMEMBER palermo BYRADIUS 999 km", WRITE, 1, PLAIN },
    { "GEORADIUS geo 15 37 200 km", READ, 1, PLAIN },
    { "GEORADIUS geo 15 37 200 km COUNT 1 STORE new", WRITE, 1, PLAIN },
    { "GEORADIUS geo 15 37 200 km STOREDIST geo", ONCE, 1, PLAIN },
    { "GEORADIUSBYMEMBER geo palermo 200 km ASC", READ, 1, PLAIN },
    { "GEORADIUSBYMEMBER geo STORE 200 km", READ, 1, PLAIN },
    { "GEORADIUSBYMEMBER geo palermo 200 km STORE new", WRITE, 1, PLAIN },
    /* streams */
    { "XRANGE stream - +", READ, 1, PLAIN },
    { "XINFO STREAM stream", READ, 2, PLAIN },
    { "XADD stream * f v", ONCE, 1, PLAIN },
    { "XADD stream 9-* f v", ONCE, 1, PLAIN },
    { "XADD stream 9-9 f *", WRITE, 1, REFUSED_AGAIN },
    { "XADD stream 9 f *", WRITE, 1, REFUSED_AGAIN },
    { "XADD stream NOMKSTREAM MAXLEN ~ 100 LIMIT 5 9-9 f v", WRITE, 1, REFUSED_AGAIN },
    { "XADD stream NOMKSTREAM MAXLEN ~ 100 LIMIT 5 * f v", ONCE, 1, PLAIN },
    { "XADD stream MINID = 2 * 9-9 1-1", ONCE, 1, PLAIN },
    { "XADD stream MAXLEN 2 9-9 f v", WRITE, 1, REFUSED_AGAIN },
    { "XDEL stream 1-1", WRITE, 1, PLAIN },
    { "XTRIM stream MAXLEN 2", WRITE, 1, PLAIN },
    { "XTRIM stream MINID = 2-1", WRITE, 1, PLAIN },
    { "XTRIM long MAXLEN ~ 10 LIMIT 0", WRITE, 1, PLAIN },
    { "XTRIM long MAXLEN ~ 10 LIMIT 100", ONCE, 1, PLAIN },
    { "XTRIM long MAXLEN ~ 10", ONCE, 1, DOUBT },
    { "XACK stream g 1-1", WRITE, 1, PLAIN },
    { "XSETID stream 9-9", WRITE, 1, PLAIN },
    { "XCLAIM stream g c2 0 1-1", ONCE, 1, DOUBT },
    { "XGROUP CREATE stream h 0", WRITE, 2, REFUSED_AGAIN },
    { "XGROUP DESTROY stream g", WRITE, 2, PLAIN },
    { "XREAD COUNT 2 STREAMS stream 0", READ, 4, PLAIN },
    { "XREADGROUP GROUP g c STREAMS stream >", ONCE, 5, PLAIN },
    { "XREADGROUP GROUP g BLOCK COUNT 5 STREAMS stream >", ONCE, 7, PLAIN },
    /* what waits */
    { "BLPOP list 1", BLOCK, 1, NOT_RUN },
    { "BZMPOP 1 2 zset zset2 MIN", BLOCK, 3, NOT_RUN },
    { "XREAD BLOCK 100 STREAMS stream 0", BLOCK, 4, NOT_RUN },
    { "XREADGROUP GROUP g c BLOCK 100 STREAMS stream >", BLOCK, 7, NOT_RUN },
    { "WAIT 1 100", BLOCK, 0, NOT_RUN },
    { "WAITAOF 1 0 100", BLOCK, 0, NOT_RUN },
    /* scripts, transactions, messages */
    { "EVAL return 1 str", SCRIPT, 3, NOT_RUN },
    { "EVAL return 0", SCRIPT, 0, NOT_RUN },
    { "EVALSHA abc 2 str str2", SCRIPT, 3, NOT_RUN },
    { "FCALL f 1 str", SCRIPT, 3, NOT_RUN },
    { "EVAL_RO return 1 str", READ, 3, NOT_RUN },
    { "FCALL_RO f 0", READ, 0, NOT_RUN },
    { "SCRIPT LOAD return", WRITE, 0, PLAIN },
    { "SCRIPT EXISTS abc", READ, 0, PLAIN },
    { "SCRIPT FLUSH", ADMIN, 0, NOT_RUN },
    { "FUNCTION LIST", READ, 0, PLAIN },
    { "FUNCTION LOAD code", ONCE, 0, NOT_RUN },
    { "FUNCTION LOAD REPLACE code", WRITE, 0, NOT_RUN },
    { "FUNCTION LOAD REPLACE", ONCE, 0, NOT_RUN },
    { "FUNCTION RESTORE payload", ONCE, 0, NOT_RUN },
    { "FUNCTION RESTORE payload FLUSH", WRITE, 0, NOT_RUN },
    { "MULTI", TRANSACTION, 0, NOT_RUN },
    { "EXEC", TRANSACTION, 0, NOT_RUN },
    { "WATCH str", TRANSACTION, 1, NOT_RUN },
    { "PUBLISH channel message", ONCE, 0, DOUBT },
    { "SPUBLISH channel message", ONCE, 1, DOUBT },
    /* connection */
    { "PING", READ, 0, PLAIN },
    { "SELECT 1", CONNECTION, 0, NOT_RUN },
    { "HELLO 3", CONNECTION, 0, NOT_RUN },
    { "CLIENT LIST", READ, 0, PLAIN },
    { "CLIENT KILL ID 1", ADMIN, 0, NOT_RUN },
    { "CLIENT SETNAME x", CONNECTION, 0, NOT_RUN },
    /* administration */
    { "CONFIG GET maxmemory", READ, 0, PLAIN },
    { "CONFIG SET maxmemory 0", ADMIN, 0, NOT_RUN },
    { "INFO", READ, 0, PLAIN },
    { "ACL WHOAMI", READ, 0, PLAIN },
    { "ACL LOG", READ, 0, PLAIN },
    { "ACL LOG reset", ADMIN, 0, NOT_RUN },
    { "ACL SETUSER x", ADMIN, 0, NOT_RUN },
    { "SLOWLOG GET", READ, 0, PLAIN },
    { "SLOWLOG RESET", ADMIN, 0, NOT_RUN },
    { "LATENCY LATEST", READ, 0, PLAIN },
    { "MEMORY PURGE", ADMIN, 0, NOT_RUN },
    { "DEBUG SLEEP 1", ADMIN, 0, NOT_RUN },
    { "COMMAND", READ, 0, PLAIN },
    { "COMMAND COUNT", READ, 0, PLAIN },
    { "SHUTDOWN NOSAVE", ADMIN, 0, NOT_RUN },
};

#undef READ
#undef WRITE
#undef ONCE
#undef BLOCK
#undef SCRIPT
#undef TRANSACTION
#undef CONNECTION
#undef ADMIN

enum { WORDS_MAX = 32 };

/* A line as argv; the words point into `room`. */
struct words {
    int argc;
    const char *argv[WORDS_MAX];
    size_t lengths[WORDS_MAX];
    char room[512];
};

static inline struct words *split(struct words *w, const char *line)
{
    char *next = NULL;
    w->argc = 0;
    strncpy(w->room, line, sizeof w->room - 1);
    w->room[sizeof w->room - 1] = '\0';
    for (char *word = strtok_r(w->room, " ", &next); word && w->argc < WORDS_MAX;
         word = strtok_r(NULL, " ", &next)) {
        w->argv[w->argc] = strcmp(word, "''") == 0 ? "" : word;
        w->lengths[w->argc] = strlen(w->argv[w->argc]);
        w->argc++;
    }
    return w;
}

#endif
