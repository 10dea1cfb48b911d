/* Every thread and every process draws numbers of its own. A plain program: it runs under
 * ThreadSanitizer, and forks while it has one thread. */
#include <pthread.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/random.h"
#include "tests/tools/check.h"

enum { THREADS = 64 };

static void *draw_first(void *out)
{
    *(uint64_t *)out = hgi_random_u64();
    return NULL;
}

static uint64_t first_of_a_thread(void)
{
    uint64_t number;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, draw_first, &number) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    return number;
}

/* What a child sends back: its own draw, one of a thread of its own, and its child's. */
struct draws {
    uint64_t own, thread, grandchild;
};

static void read_whole(int fd, void *out, size_t size)
{
    CHECK(read(fd, out, size) == (ssize_t)size);
}

static void in_grandchild(int fd)
{
    uint64_t number = hgi_random_u64();
    CHECK(write(fd, &number, sizeof number) == (ssize_t)sizeof number);
    _exit(0);
}

static pid_t fork_with_pipe(int ends[2])
{
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    return child;
}

static void wait_for(pid_t child)
{
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void in_child(int fd)
{
    int ends[2];
    struct draws draws = { .own = hgi_random_u64() };
    pid_t grandchild = fork_with_pipe(ends);
    if (grandchild == 0)
        in_grandchild(ends[1]);
    read_whole(ends[0], &draws.grandchild, sizeof draws.grandchild);
    wait_for(grandchild);
    draws.thread = first_of_a_thread();
    CHECK(write(fd, &draws, sizeof draws) == (ssize_t)sizeof draws);
    _exit(0);
}

static int order(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static void check_all_differ(uint64_t *numbers, size_t count)
{
    qsort(numbers, count, sizeof *numbers, order);
    for (size_t i = 1; i < count; i++)
        CHECK(numbers[i] != numbers[i - 1]);
}

static void a_forked_child_does_not_draw_its_parents_numbers(void)
{
    struct draws draws[2];
    hgi_random_seed(99);
    uint64_t before = hgi_random_u64();
    for (int i = 0; i < 2; i++) {
        int ends[2];
        pid_t child = fork_with_pipe(ends);
        if (child == 0)
            in_child(ends[1]);
        read_whole(ends[0], &draws[i], sizeof draws[i]);
        wait_for(child);
    }
    uint64_t parent = hgi_random_u64();
    uint64_t all[] = {
        before,       parent,          draws[0].own,       draws[0].thread, draws[0].grandchild,
        draws[1].own, draws[1].thread, draws[1].grandchild
    };
    check_all_differ(all, sizeof all / sizeof all[0]);

    hgi_random_seed(99);
    CHECK(hgi_random_u64() == before);
    CHECK(hgi_random_u64() == parent); /* forking did not disturb the parent's sequence */
}

static void every_thread_draws_its_own_numbers(void)
{
    pthread_t threads[THREADS];
    uint64_t numbers[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, draw_first, &numbers[i]) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    check_all_differ(numbers, THREADS);
}

static void a_seed_is_for_its_thread_alone(void)
{
    hgi_random_seed(5);
    uint64_t first = hgi_random_u64(), second = hgi_random_u64();
    hgi_random_seed(5);
    CHECK(hgi_random_u64() == first);
    uint64_t other = first_of_a_thread();
    CHECK(other != first && other != second);
    CHECK(hgi_random_u64() == second);
}

int main(void)
{
    RUN(a_forked_child_does_not_draw_its_parents_numbers); /* first: it wants one thread */
    RUN(every_thread_draws_its_own_numbers);
    RUN(a_seed_is_for_its_thread_alone);
    return 0;
}
