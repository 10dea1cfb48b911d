/* What a policy holds, decoded: the one form that the parser writes and everything else reads.
 *
 * Immutable once its hg_policy is handed out. Durations are nanoseconds. Every field has its default
 * from hgi_settings_defaults(), so "{}" is a complete policy.
 */
#ifndef HERDGATE_POLICY_SETTINGS_H
#define HERDGATE_POLICY_SETTINGS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <herdgate/breaker.h>
#include <herdgate/error.h>
#include <herdgate/policy.h>

#include "breaker/shm_file.h"

enum {
    HGI_NAME_SIZE = 32,   /* of a class or preset or command, with the terminator */
    HGI_CLASSES_MAX = 32, /* the built-in ones included */
    HGI_POOL_SIZE_MAX = 1024,
    HGI_SETUP_MAX = 8 /* commands of the user's own in a set-up */
};

/* The built-in operation classes. Every class of the user's own is based on one of them. */
enum hgi_class_kind {
    HGI_CLASS_READ,
    HGI_CLASS_WRITE,      /* the same state if run twice */
    HGI_CLASS_WRITE_ONCE, /* not the same state if run twice; also what is not known */
    HGI_CLASS_BLOCKING,
    HGI_CLASS_SCRIPT,
    HGI_CLASS_TRANSACTION,
    HGI_CLASS_CONNECTION, /* changes the connection */
    HGI_CLASS_ADMIN,
    HGI_CLASS_KINDS
};

struct hgi_class {
    /* What every call reads comes first: from here to retry.max_attempts. */
    enum hgi_class_kind kind;
    bool retry_unknown;         /* may be sent again when it may have run */
    bool retry_unfenced;        /* ... also where an older attempt cannot be fenced off */
    int64_t attempt_timeout_ns; /* < 0: none. Blocking: added to the command's own timeout */
    int64_t deadline_ns;        /* < 0: none */
    struct hg_retry retry;
    uint32_t first_rule; /* of hgi_settings.class_rules: what failures mean in this class */
    uint32_t rule_count;
    char name[HGI_NAME_SIZE];
};

/* An override of what a type, or one server code, means. */
struct hgi_error_rule {
    hg_status type;                  /* HG_OK: this rule is about server_code */
    char server_code[HGI_NAME_SIZE]; /* "OOM" */
    bool has_severity;
    bool has_recovery;
    bool has_counts;
    hg_severity severity;
    hg_recovery recovery;
    bool counts;      /* a failure for the breaker */
    int64_t delay_ns; /* of retry_with_delay; < 0: the default */
};

/* A command of the user's file and its class. */
struct hgi_command_rule {
    char name[HGI_NAME_SIZE]; /* upper case */
    uint32_t class_index;
};

enum hgi_transport { HGI_TRANSPORT_TCP, HGI_TRANSPORT_UNIX };

/* Where the server is. Secrets live here and are printed nowhere. */
struct hgi_endpoint {
    enum hgi_transport transport;
    char host[256];
    char path[108]; /* of a unix socket */
    uint16_t port;
    uint32_t database;
    bool tls; /* rediss:// */
    char username[128];
    char password[512];
    char text[128]; /* for messages: "127.0.0.1:6379", "[::1]:6379", "unix:/run/redis.sock" */
};

/* Who may take a connection that comes free while others wait for one; see pool/take.c. */
enum hgi_fairness {
    HGI_FAIRNESS_BOUNDED, /* a running thread, until the first waiter has waited barging_limit */
    HGI_FAIRNESS_FIFO,    /* the first waiter only */
    HGI_FAIRNESS_BARGING  /* whoever comes first */
};

/* Files in PEM; empty: none. */
struct hgi_tls_settings {
    bool insecure;         /* whoever answers is believed */
    char ca_file[256];     /* whom to trust; empty: whom the system trusts */
    char cert_file[256];   /* who we are ... */
    char key_file[256];    /* ... and its key */
    char server_name[256]; /* whom to expect; empty: the host of the URL */
};

struct hgi_pool_settings {
    uint32_t max_size;
    uint32_t min_idle;
    uint32_t max_waiters;
    uint32_t max_connecting;
    enum hgi_fairness fairness;
    int64_t barging_limit_ns;   /* of fairness BOUNDED */
    bool refuse_hopeless;       /* a caller that would wait past its deadline does not queue */
    int64_t acquire_timeout_ns; /* < 0: what is left of the deadline */
    int64_t connect_timeout_ns; /* name, connect and set-up together */
    int64_t dial_backoff_initial_ns;
    int64_t dial_backoff_max_ns;
    int64_t idle_timeout_ns; /* < 0: none; so are the others */
    int64_t max_lifetime_ns; /* jittered by a tenth either way */
    int64_t keepalive_ns;
    int64_t tcp_user_timeout_ns;
    int64_t lease_warning_ns;
    int64_t drain_timeout_ns;
};

struct hgi_budget_settings {
    bool enabled;
    double ratio;          /* retries per call */
    double min_per_second; /* allowed at any rate */
    int64_t window_ns; /* the bucket holds what min_per_second earns in this long, 10 at least */
    double initial;    /* tokens at the start */
};

struct hgi_settings {
    struct hgi_endpoint server;
    struct hgi_tls_settings tls;
    char client_name[64]; /* empty: none */
    uint32_t resp;        /* 2 or 3 */
    char setup[1024];     /* commands of the user's own: words, each terminated; an empty one ends
                              a command */
    uint32_t setup_count;
    uint32_t max_reply_bytes; /* what one reply may take */
    uint32_t max_reply_depth; /* arrays in each other */
    bool proxy;               /* what answers is not the server itself: its refusals prove nothing,
                             and its numbers of clients are not ours */
    struct hgi_pool_settings pool;
    bool breaker_enabled;
    struct hg_breaker_options breaker;
    char breaker_shared[HGI_SHARED_NAME_SIZE]; /* "/name", or empty: this process only */
    struct hgi_budget_settings budget;
    int64_t retry_delay_ns;                    /* of retry_with_delay */
    int64_t condition_poll_ns;                 /* of wait_and_retry */
    int64_t release_ramp_ns;                   /* those who waited are let go over this long */
    struct hgi_class classes[HGI_CLASSES_MAX]; /* the built-in ones first, at their kind's index */
    uint32_t class_count;
    struct hgi_command_rule *commands; /* sorted by name */
    size_t command_count;
    struct hgi_error_rule *rules;
    size_t rule_count;
    struct hgi_error_rule *class_rules; /* of all classes, each class's together */
    uint32_t class_rule_count;
};

struct hg_policy {
    _Atomic uint32_t owners; /* written by retain and drop */
    struct hgi_settings settings;
};

/* All defaults; allocates nothing. */
void hgi_settings_defaults(struct hgi_settings *settings);

/* The class of that name, or NULL. */
const struct hgi_class *hgi_settings_class(const struct hgi_settings *settings, const char *name);

/* Parse a server URL into *out: redis[s]://[user[:password]@]host[:port][/database],
 * unix:///path, plain host:port, IPv6 in brackets. On failure *err says what and where, without the password. */
hg_status hgi_endpoint_parse(struct hgi_endpoint *out, const char *url, struct hg_error *err);

#endif
