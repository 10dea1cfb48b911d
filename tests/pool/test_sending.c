/* Sending on one connection, to a peer whose every reading the test does itself. */
#include <criterion/criterion.h>

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "breaker/clock.h"
#include "pool/conn.h"
#include "tests/pool/support.h"

static int peer = -1;

/* In place of the system's: whenever somebody waits, the peer takes all that has come, so that there is
 * always room for a little more. */
/* The names are the linker's. NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming) */
int __real_ppoll(struct pollfd *entries, nfds_t count, const struct timespec *timeout,
                 const sigset_t *mask);
int __wrap_ppoll(struct pollfd *entries, nfds_t count, const struct timespec *timeout,
                 const sigset_t *mask);
int __wrap_ppoll(struct pollfd *entries, nfds_t count, const struct timespec *timeout,
                 const sigset_t *mask)
{
    char bytes[1 << 16];
    while (recv(peer, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        continue;
    return __real_ppoll(entries, count, timeout, mask);
}
/* NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming) */

static struct hgi_conn *connect_to_peer(void)
{
    int ends[2];
    hg_policy *policy = parse_policy("{}");
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    peer = ends[1];
    struct hgi_conn *conn = hgi_conn_wrap(ends[0], &policy->settings, HGI_NS_PER_S);
    hg_policy_drop(policy);
    cr_assert_not_null(conn);
    return conn;
}

static void send_much(int64_t deadline_ns, enum hgi_io_kind wanted)
{
    enum { SIZE = 8 << 20 };
    char *bytes = calloc(1, SIZE);
    struct hgi_conn *conn = connect_to_peer();
    struct hgi_span span = { .end_ns = deadline_ns };
    struct hgi_io io = hgi_conn_send(conn, bytes, SIZE, &span);
    cr_assert_eq(io.kind, wanted);
    cr_assert_eq(io.sent == SIZE, wanted == HGI_IO_OK);
    hgi_conn_close(conn);
    close(peer);
    free(bytes);
}

Test(sending, a_peer_that_takes_little_by_little_gets_all_in_time, .timeout = 120)
{
    send_much(HGI_NEVER, HGI_IO_OK);
}

Test(sending, a_peer_that_takes_little_by_little_does_not_stretch_the_deadline, .timeout = 120)
{
    send_much(hgi_now_ns(), HGI_IO_TIMEOUT);
}
