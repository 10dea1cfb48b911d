/* What the sections of the tour share. */
#ifndef HERDGATE_TOOLS_EXAMPLE_EXAMPLE_H
#define HERDGATE_TOOLS_EXAMPLE_EXAMPLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <herdgate/herdgate.h>

#include "tools/common/private_server.h"

enum { TOUR_KEYS = 24, TOUR_KEY_SIZE = 64 };

/* An address that nobody answers at: a fault that needs no server to suffer it. */
#define TOUR_NOWHERE "unix:///nonexistent/retry-example.sock"

struct tour {
    struct hgi_private_server
        *server;     /* the tour's own; NULL: a given one, which is left in peace */
    const char *url; /* of either */
    bool colour;
    size_t keys; /* that were used, to be deleted at the end */
    char key[TOUR_KEYS][TOUR_KEY_SIZE];
};

/* The sections. False: the environment failed (not the demonstration); stderr says how. */
bool tour_presets(struct tour *tour);
bool tour_successes(struct tour *tour);
bool tour_delays(struct tour *tour);
bool tour_recovery(struct tour *tour);
bool tour_errors(struct tour *tour);
bool tour_contexts(struct tour *tour);

/* --- tour.c: pools and keys --- */

/* A pool on the tour's server, or on `url`, under a policy of this JSON text. NULL: stderr says. */
hg_pool *tour_open(const struct tour *tour, const char *url, const char *json, hg_log_fn log,
                   void *log_arg);
hg_policy *tour_policy(const char *json);
void tour_close(hg_pool *pool); /* NULL does nothing */

/* "retry-example:PID:name", remembered for tour_clean(). Lives as long as the tour. */
const char *tour_key(struct tour *tour, const char *name);

/* Delete the keys that were handed out, and forget them. */
bool tour_clean(struct tour *tour);

/* One command with a trace: arguments are C strings, NULL at the end. */
hg_status tour_command(hg_pool *pool, redisReply **reply, struct hg_trace *trace,
                       struct hg_error *err, const char *const *arguments);

/* Print what failed to stderr and return false. */
bool tour_failed(const char *what, const char *why);

/* --- show.c: what is printed --- */

void show_section(const struct tour *tour, char letter, const char *title);
void show_step(const struct tour *tour, const char *format, ...) HG_PRINTF(2, 3);
void show_text(const char *text); /* a paragraph, wrapped */
void show_fact(const char *label, const char *format, ...) HG_PRINTF(2, 3);

/* "OK at attempt 3 of 5", or the error's type and message. */
void show_result(hg_status status, const struct hg_error *err);

/* Where the time of a call went, and each retry with its cause. */
void show_trace(const struct hg_trace *trace);

/* A log hook that prints its events as lines; arg is not used. It leaves out what the pool logs of its
 * own dials, which goes on beside the calls. */
void show_log(void *arg, const struct hg_log_event *event);

/* Nanoseconds as exact milliseconds, "168.75", into `out` and returned. */
const char *show_ms(char *out, size_t size, int64_t ns);

/* Nanoseconds for people, "12.3 us" or "0", into `out` and returned. */
const char *show_time(char *out, size_t size, int64_t ns);

/* --- stage.c: faults on cue, with the tour's own server only --- */

/* How a server is mended that was stopped, paused, or kept busy with a script. */
enum stage_cure { STAGE_RESTART, STAGE_RESUME, STAGE_KILL_SCRIPT };

/* Who brings the server back while a call is retrying: at its retry before attempt `before`. Give
 * stage_log() as log hook and the stage as its argument. */
struct stage {
    struct hgi_private_server *server;
    enum stage_cure cure;
    uint32_t before; /* 0: never */
    bool failed;     /* the server did not come back */
};

void stage_log(void *arg, const struct hg_log_event *event);

/* Mend it now. False: stderr says. */
bool stage_mend(struct hgi_private_server *server, enum stage_cure cure);

/* A thread that mends the server after a while; the server is its own until it is joined. */
struct stage_later {
    struct hgi_private_server *server;
    enum stage_cure cure;
    int64_t when_ns;
    bool well;
    pthread_t thread;
};

bool stage_mend_later(struct stage_later *later, struct hgi_private_server *server,
                      enum stage_cure cure, int64_t after_ns);
bool stage_join(struct stage_later *later); /* false: it could not be mended */

/* Keep the server busy with a script that never ends: soon it answers BUSY to everybody. */
bool stage_make_busy(struct hgi_private_server *server);

/* A listener on 127.0.0.1 that greets every client as a mail server would. */
struct stage_stranger {
    int fd;
    char url[48];
    pthread_t thread;
};

bool stage_stranger_start(struct stage_stranger *stranger);
void stage_stranger_stop(struct stage_stranger *stranger);

#endif
