/* A breaker in POSIX shared memory: opened, looked at, left for its successor.
 *
 * shm_file.c makes and finds the file, segment.c judges what is in it; here it is mapped behind the
 * process's private pages. No lock lies in shared memory and none is waited for: a process killed at
 * any instruction leaves a word that the machine can go on from.
 *
 * A retired segment is final. A process that meets one opens the name again and maps what it finds over
 * the old pages, in one step of the kernel's: other threads see the one segment or the other, and an
 * exchange that began on the old word fails on the new one, which begins at a generation of its own.
 * Until that has worked, tried at most once in RETRY_NS, calls pass.
 */
#include "breaker/shared.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "breaker/clock.h"
#include "breaker/core.h"
#include "breaker/error.h"
#include "breaker/options.h"
#include "breaker/segment.h"

#define RETRY_NS (250 * HGI_NS_PER_MS)
#define PATIENCE_NS (5 * HGI_NS_PER_S) /* for one who removes a name: that takes microseconds */

enum { TRIES = 1000 };

static hg_status cannot_map(const struct hgi_shm_file *shm, int error, struct hg_error *err)
{
    hgi_error_set(err, HG_ERR_NO_MEMORY, "shared breaker %s (%s): cannot map it: %s", shm->name,
                  shm->path, strerrordesc_np(error));
    if (err)
        err->sys_errno = error;
    return HG_ERR_NO_MEMORY;
}

static uint64_t load_word(hg_breaker *breaker)
{
    /* [B1] acquire: what was before the state began; pairs with [B1] in exchange() of breaker.c, in
     * whatever process. */
    return atomic_load_explicit(&breaker->word, memory_order_acquire);
}

/* --- a file that holds a segment worth mapping --- */

/* Map an open file's segment and judge it, as this process sees it. On an error nothing is mapped. */
static hg_status map_segment(const struct hgi_shm_file *shm, int fd, struct hgi_segment **out,
                             struct hg_breaker_options *options, struct hg_error *err)
{
    struct hg_error inner = HG_ERROR_INIT;
    void *mapped = mmap(NULL, HGI_SEGMENT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED)
        return cannot_map(shm, errno, err);
    hg_status status = hgi_segment_check(mapped, hgi_time_namespace(), options, &inner);
    if (status < 0) {
        munmap(mapped, HGI_SEGMENT_SIZE);
        return hgi_error_set(err, status, "shared breaker %s (%s) %s", shm->name, shm->path,
                             inner.message);
    }
    *out = mapped;
    return HG_OK;
}

/* What is wanted of a name. */
struct want {
    const struct hgi_shm_file *shm;
    const struct hg_breaker_options *options; /* if it has to be made */
    bool may_create;
    uint32_t generation; /* to begin at, if made */
    int64_t patience_ns; /* for another one who removes it */
};

static hg_status create(const struct want *want, int *fd, struct hg_error *err)
{
    struct hgi_segment content;
    struct hg_breaker_options made = *want->options;
    if (made.seed == 0)
        made.seed = hgi_breaker_seed(want);
    hgi_segment_fill(&content, &made, want->generation & HGI_GENERATION_MAX, hgi_time_namespace());
    return hgi_shm_create(want->shm, &content, fd, err);
}

/* The name's segment, mapped; made if there is none; a retired one that was left behind is removed.
 * `found`: the settings that are in it. */
static hg_status obtain(const struct want *want, struct hgi_segment **segment,
                        struct hg_breaker_options *found, struct hg_error *err)
{
    const struct hgi_shm_file *shm = want->shm;
    /* Each turn but the last is one that another process took part in. */
    for (int i = 0; i < TRIES; i++) {
        int fd;
        hg_status status = hgi_shm_attach(shm, &fd, err);
        if (status == HG_ERR_NOT_FOUND && want->may_create) {
            status = create(want, &fd, err);
            if (status == HG_OK && fd < 0)
                continue;
        }
        if (status < 0)
            return status;
        status = map_segment(shm, fd, segment, found, err);
        bool retired =
            status == HG_OK && hgi_word_state(load_word(&(*segment)->breaker)) == HGI_RETIRED;
        if (retired) {
            munmap(*segment, HGI_SEGMENT_SIZE);
            status = hgi_shm_unlink(shm, fd, want->patience_ns, err);
        }
        close(fd);
        if (status < 0 || !retired)
            return status;
    }
    return hgi_error_set(err, HG_ERR_TIMEOUT,
                         "shared breaker %s (%s) was removed and made anew all the time", shm->name,
                         shm->path);
}

/* --- the handle --- */

static size_t whole_pages(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (size + page - 1) / page * page;
}

/* Where the segment lies. */
static hg_breaker *breaker_of(struct hgi_shared *shared)
{
    return (hg_breaker *)((char *)shared + shared->private_size);
}

/* Put a mapped segment behind the private pages, over whatever is there. */
static bool move_segment(struct hgi_shared *shared, struct hgi_segment *segment)
{
    return mremap(segment, HGI_SEGMENT_SIZE, HGI_SEGMENT_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
                  breaker_of(shared)) != MAP_FAILED;
}

/* Private pages, with the segment behind them. NULL: errno says why. */
static struct hgi_shared *make_pages(struct hgi_segment *segment)
{
    size_t private_size = whole_pages(sizeof(struct hgi_shared) + sizeof(struct hgi_local));
    size_t shared_size = whole_pages(HGI_SEGMENT_SIZE);
    void *pages = mmap(NULL, private_size + shared_size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return NULL;
    struct hgi_shared *shared = pages;
    shared->private_size = private_size;
    shared->shared_size = shared_size;
    if (move_segment(shared, segment))
        return shared;
    int error = errno;
    hgi_shared_unmap(shared);
    errno = error;
    return NULL;
}

void hgi_shared_unmap(struct hgi_shared *shared)
{
    munmap(shared, shared->private_size + shared->shared_size);
}

static hg_status begin(struct hgi_shared *shared, const struct hgi_shm_file *shm,
                       const struct hg_breaker_options *options, const struct hgi_shared_how *how,
                       struct hg_error *err)
{
    hg_breaker *breaker = breaker_of(shared);
    struct hgi_segment *segment = (struct hgi_segment *)breaker;
    struct hgi_local *local = hgi_local_of(breaker);
    shared->shm = *shm;
    shared->may_create = !how->only_attach;
    local->shared = shared;
    local->counters = segment->counters;
    local->window = (struct hgi_window *)segment->window; /* used if the segment's flags say so */
    return hgi_local_begin(local, load_word(breaker), options, how->clock, how->clock_arg, err);
}

/* Tell who came with other settings than those that hold, or refuse. */
static hg_status compare(const struct hgi_shm_file *shm, const struct hg_breaker_options *wanted,
                         const struct hg_breaker_options *found, struct hg_error *err)
{
    char difference[256];
    hgi_error_clear(err);
    if (!hgi_options_differ(found, wanted, difference, sizeof difference))
        return HG_OK;
    if (wanted->on_mismatch == HG_MISMATCH_REFUSE)
        return hgi_error_set(
            err, HG_ERR_VALIDATION,
            "shared breaker %s has other settings than this process came with: %s; "
            "unlink it, so that they can change, or come with the same",
            shm->name, difference);
    hgi_error_message(err, "shared breaker %s keeps the settings that it has: %s", shm->name,
                      difference);
    return HG_OK;
}

hg_status hgi_shared_open(hg_breaker **out, const char *name,
                          const struct hg_breaker_options *options,
                          const struct hgi_shared_how *how, struct hg_error *err)
{
    struct hg_breaker_options wanted, found;
    struct hgi_segment *segment = NULL;
    struct hgi_shm_file shm;
    if (!out)
        return hgi_error_set(err, HG_ERR_VALIDATION, "a shared breaker: out is NULL; give one");
    *out = NULL;
    hg_status status = hgi_options_read(&wanted, options, err);
    if (status == HG_OK)
        status = hgi_shm_init(&shm, how->directory, name, err);
    if (status < 0)
        return status;
    const struct want want = {
        .shm = &shm,
        .options = &wanted,
        .may_create = !how->only_attach,
        /* Permits of a segment before it may be out, in other processes; which, nobody here can know. */
        .generation = (uint32_t)(hgi_breaker_seed(&found) >> 32),
        .patience_ns = PATIENCE_NS,
    };
    status = obtain(&want, &segment, &found, err);
    if (status < 0)
        return status;
    if (how->only_attach)
        wanted = found;
    status = compare(&shm, &wanted, &found, err);
    struct hgi_shared *shared = status == HG_OK ? make_pages(segment) : NULL;
    if (!shared) {
        int error = errno;
        munmap(segment, HGI_SEGMENT_SIZE);
        return status < 0 ? status : cannot_map(&shm, error, err);
    }
    status = begin(shared, &shm, &wanted, how, err);
    if (status < 0)
        hgi_shared_unmap(shared);
    else
        *out = breaker_of(shared);
    return status;
}

/* --- what others did --- */

bool hgi_shared_is_moving(hg_breaker *breaker, uint64_t *left)
{
    const struct hgi_shared *shared = hgi_local_of(breaker)->shared;
    /* [R1] acquire: 0 means that the mapped segment's first word is in `seen`; pairs with [R1] in
     * find_transition(). */
    if (atomic_load_explicit(&shared->reopening, memory_order_acquire) == 0)
        return false;
    /* relaxed: stored before the segment was mapped, which interrupts all processors. */
    *left = atomic_load_explicit(&shared->left, memory_order_relaxed);
    return true;
}

/* Hand what was found in the word to the listeners, once. Gives the word. anew: it is that of another
 * segment, which the caller has just mapped, and is done with by this; `before` is what was seen when
 * the old one still was. Should that have changed, a thread that made a transition on the new segment
 * has told of it already, or one that made the old one's last was late: the word says which. */
static uint64_t find_transition(hg_breaker *breaker, bool anew, uint64_t before)
{
    struct hgi_local *local = hgi_local_of(breaker);
    struct hgi_events *events = &local->events;
    struct hgi_event_node *node = hgi_events_begin(events);
    uint64_t seen = hgi_events_seen(events);
    bool found = false;
    uint64_t word, order;
    do {
        word = load_word(breaker);
        /* Not told of yet: at least 1 more, even if the generations are the same. */
        order = hgi_events_order(seen + (anew && seen == before), hgi_word_generation(word));
        /* [R1] acquire: set before another segment was mapped; pairs with [R1] in reopen(). What that
         * is told as is the reopening thread's affair. That a 0 comes with its `seen` is asked for by
         * C11 alone: the exchange of it below finds the last one, and no processor makes it before it
         * knows this branch. So no test sees this one; those of hgi_shared_is_moving() are seen. */
        if (order == seen || hgi_word_state(word) == HGI_RETIRED ||
            (!anew && atomic_load_explicit(&local->shared->reopening, memory_order_acquire) != 0))
            break;
        found = hgi_events_found(events, &seen, order);
    } while (!found);
    if (found && node) {
        hgi_breaker_fill_event(breaker, &node->event, word, hgi_breaker_now(breaker));
        node->event.elsewhere = true;
        node->order = order;
        node->anew = anew;
    }
    if (anew) /* [R1] release: the segment is mapped and told of; pairs with [R1] above and below. */
        atomic_store_explicit(&local->shared->reopening, 0, memory_order_release);
    hgi_events_end(events, node, found); /* listeners are called with nothing held */
    return word;
}

/* Map the successor of a segment that ended in this word. */
static bool map_successor(hg_breaker *breaker, uint64_t retired)
{
    struct hgi_shared *shared = hgi_local_of(breaker)->shared;
    struct hg_breaker_options found;
    /* Far from the generations of permits that are still out. No patience: callers are waiting. */
    const struct want want = {
        .shm = &shared->shm,
        .options = &hgi_local_of(breaker)->options,
        .may_create = shared->may_create,
        .generation = hgi_word_generation(retired) + HGI_GENERATION_MAX / 4 +
                      (uint32_t)(hgi_breaker_seed(shared) >> 49),
    };
    struct hgi_segment *segment = NULL;
    if (obtain(&want, &segment, &found, NULL) < 0)
        return false;
    if (move_segment(shared, segment))
        return true;
    munmap(segment, HGI_SEGMENT_SIZE);
    return false;
}

/* Leave a retired segment for its successor; one thread does. */
static void reopen(hg_breaker *breaker)
{
    struct hgi_shared *shared = hgi_local_of(breaker)->shared;
    uint32_t nobody = 0;
    int64_t now_ns = hgi_now_ns();
    /* relaxed: when to try again, no more. */
    if (now_ns < atomic_load_explicit(&shared->next_try_ns, memory_order_relaxed))
        return;
    /* [R1] acquire: what the last one did; pairs with [R1] below. relaxed: another thread is at it. */
    if (!atomic_compare_exchange_strong_explicit(&shared->reopening, &nobody, 1,
                                                 memory_order_acquire, memory_order_relaxed))
        return;
    uint64_t word = load_word(breaker);
    if (hgi_word_state(word) == HGI_RETIRED) {
        uint64_t before = hgi_events_seen(&hgi_local_of(breaker)->events);
        /* relaxed: see hgi_shared_is_moving(). */
        atomic_store_explicit(&shared->left, before, memory_order_relaxed);
        if (map_successor(breaker, word)) {
            find_transition(breaker, true, before);
            return;
        }
        atomic_store_explicit(&shared->next_try_ns, now_ns + RETRY_NS, memory_order_relaxed);
    }
    /* [R1] release: as in find_transition(), with which it pairs. */
    atomic_store_explicit(&shared->reopening, 0, memory_order_release);
}

uint64_t hgi_shared_look(hg_breaker *breaker)
{
    if (hgi_word_state(load_word(breaker)) == HGI_RETIRED)
        reopen(breaker);
    uint64_t word = load_word(breaker);
    return hgi_shared_has_news(breaker, word) && hgi_word_state(word) != HGI_RETIRED
               ? find_transition(breaker, false, 0)
               : word;
}

/* --- the end of a name --- */

static void retire(struct hgi_segment *segment)
{
    hg_breaker *breaker = &segment->breaker;
    struct hgi_step step;
    uint64_t word = load_word(breaker);
    do
        step = hgi_machine_step(&breaker->machine, word, HGI_RETIRE, 0, 0);
    while (step.word != word &&
           /* [B1] release, acquire: as exchange() of breaker.c, with which it pairs. */
           !atomic_compare_exchange_weak_explicit(&breaker->word, &word, step.word,
                                                  memory_order_acq_rel, memory_order_acquire));
}

hg_status hgi_shared_unlink(const char *directory, const char *name, struct hg_error *err)
{
    struct hgi_shm_file shm;
    struct hg_breaker_options found;
    struct hgi_segment *segment = NULL;
    int fd = -1;
    hg_status status = hgi_shm_init(&shm, directory, name, err);
    if (status == HG_OK)
        status = hgi_shm_attach(&shm, &fd, err);
    if (status < 0)
        return status;
    status = map_segment(&shm, fd, &segment, &found, err);
    if (status == HG_OK) {
        /* First retired, then removed: killed in between, it leaves a name that the next one cleans
         * up, and not two segments that both live. */
        retire(segment);
        munmap(segment, HGI_SEGMENT_SIZE);
        status = hgi_shm_unlink(&shm, fd, PATIENCE_NS, err);
    }
    close(fd);
    if (status == HG_OK)
        hgi_error_clear(err);
    return status;
}

/* --- public --- */

hg_status hg_breaker_open_shared(hg_breaker **out, const char *name,
                                 const struct hg_breaker_options *options, struct hg_error *err)
{
    static const struct hgi_shared_how usual;
    return hgi_shared_open(out, name, options, &usual, err);
}

hg_status hg_breaker_attach_shared(hg_breaker **out, const char *name, struct hg_error *err)
{
    static const struct hgi_shared_how existing = { .only_attach = true };
    return hgi_shared_open(out, name, NULL, &existing, err);
}

hg_status hg_breaker_unlink_shared(const char *name, struct hg_error *err)
{
    return hgi_shared_unlink(NULL, name, err);
}
