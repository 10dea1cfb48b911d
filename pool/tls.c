/* TLS: OpenSSL as hiredis_ssl has it, on a BIO of our own.
 *
 * The SSL object is ours, given to the context by redisInitiateSSL(), so that users who take the raw
 * context find it encrypted. hiredis would shake hands with blocking calls that no deadline bounds, and
 * send by write(), which raises SIGPIPE. So the socket is non-blocking when it begins: it sends the first
 * message and leaves, with the session in the context. Then our BIO takes over, which sends with
 * MSG_NOSIGNAL, and the handshake goes on under the deadline. (Of that first write, SIGPIPE is blocked in
 * the pool's threads, where all dials are.)
 *
 * Who answers is checked here, because hiredis does not: the chain and the name, or the address, that
 * was dialled. On unless `insecure` says otherwise.
 *
 * Reading waits in recv() at most once per call and then takes what is there, so that a record that
 * drips is waited for outside, by the clock.
 */
#include "pool/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <hiredis/hiredis.h>
#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "breaker/clock.h"
#include "breaker/error.h"
#include "pool/fork.h"

enum { RECORD_SIZE = 16384 }; /* bytes of ours that a TLS record holds at most */

struct hgi_tls {
    SSL *ssl; /* the context's, once it is started */
    int fd;
    bool may_block; /* the next recv() may */
    int error;      /* errno of the last failed send() or recv(); 0: none, or the end */
    size_t taken;
};

bool hgi_tls_is_built(void)
{
    return true;
}

/* --- the BIO --- */

static int bio_write(BIO *bio, const char *bytes, int length)
{
    struct hgi_tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t sent;
    do
        sent = send(tls->fd, bytes, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        BIO_set_retry_write(bio);
    else if (sent < 0)
        tls->error = errno;
    return (int)sent;
}

static int bio_read(BIO *bio, char *bytes, int size)
{
    struct hgi_tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    int flags = tls->may_block ? 0 : MSG_DONTWAIT;
    tls->may_block = false;
    ssize_t length = recv(tls->fd, bytes, (size_t)size, flags);
    if (length < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        BIO_set_retry_read(bio);
    else if (length < 0)
        tls->error = errno;
    return (int)length;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH; /* nothing is kept here, so it always is flushed */
}

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

static void make_method(void)
{
    BIO_METHOD *made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "herdgate");
    if (made && BIO_meth_set_write(made, bio_write) && BIO_meth_set_read(made, bio_read) &&
        BIO_meth_set_ctrl(made, bio_control))
        method = made;
    else
        BIO_meth_free(made);
}

/* --- the session --- */

static SSL *failed(SSL_CTX *settings, char *text, size_t size, const char *what)
{
    unsigned long code = ERR_peek_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    snprintf(text, size, "TLS: %s%s%s", what, reason ? ": " : "", reason ? reason : "");
    ERR_clear_error();
    SSL_CTX_free(settings);
    return NULL;
}

/* Whom to expect: a name, which is also told to the server, or an address. */
static bool expect(SSL *ssl, const char *name, bool insecure)
{
    unsigned char address[sizeof(struct in6_addr)];
    bool is_address =
        inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
    if (!is_address && SSL_set_tlsext_host_name(ssl, name) != 1)
        return false;
    if (insecure)
        return true;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return is_address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1
                      : SSL_set1_host(ssl, name) == 1;
}

static SSL *new_session(const struct hgi_endpoint *endpoint,
                        const struct hgi_tls_settings *settings, char *text, size_t size)
{
    ERR_clear_error();
    SSL_CTX *made = SSL_CTX_new(TLS_client_method());
    if (!made)
        return failed(made, text, size, "cannot begin");
    SSL_CTX_set_min_proto_version(made, TLS1_2_VERSION);
    SSL_CTX_set_mode(made, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(made, SSL_OP_IGNORE_UNEXPECTED_EOF); /* an end is an end */
    SSL_CTX_set_verify(made, settings->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    bool trusted = settings->ca_file[0]
                       ? SSL_CTX_load_verify_locations(made, settings->ca_file, NULL) == 1
                       : SSL_CTX_set_default_verify_paths(made) == 1;
    if (!trusted && !settings->insecure)
        return failed(made, text, size, "cannot read server.tls.ca_file");
    if (settings->cert_file[0] &&
        (SSL_CTX_use_certificate_chain_file(made, settings->cert_file) != 1 ||
         SSL_CTX_use_PrivateKey_file(made, settings->key_file, SSL_FILETYPE_PEM) != 1))
        return failed(made, text, size, "cannot use server.tls.cert_file with key_file");
    SSL *ssl = SSL_new(made);
    const char *name = settings->server_name[0] ? settings->server_name : endpoint->host;
    if (!ssl || !expect(ssl, name, settings->insecure)) {
        SSL_free(ssl);
        return failed(made, text, size, "cannot expect the server's name");
    }
    SSL_CTX_free(made); /* the session has it */
    return ssl;
}

/* What the library's last answer means: what to wait for, the end, or an error. */
static ssize_t answer(struct hgi_tls *tls, int result, short *wants)
{
    *wants = 0;
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        *wants = POLLIN;
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_WANT_WRITE:
        *wants = POLLOUT;
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        errno = tls->error ? tls->error : ECONNRESET;
        ERR_clear_error();
        return -1;
    default:
        ERR_clear_error();
        errno = EPROTO;
        return -1;
    }
}

/* Did the handshake fail because of who answers? Then `text` says so. */
static bool is_refused(const SSL *ssl, char *text, size_t size)
{
    long verified = SSL_get_verify_result(ssl);
    if (verified == X509_V_OK || SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE)
        return false;
    snprintf(text, size, "TLS: the server's certificate is refused: %s",
             X509_verify_cert_error_string(verified));
    return true;
}

/* Until the deadline. False: `text` says why not. */
static bool shake_hands(struct hgi_tls *tls, int64_t deadline_ns, char *text, size_t size)
{
    for (;;) {
        hgi_handshake_step_begin();
        ERR_clear_error();
        int result = SSL_connect(tls->ssl);
        hgi_handshake_step_end();
        if (result == 1)
            return true;
        if (is_refused(tls->ssl, text, size))
            return false;
        unsigned long code = ERR_peek_error();
        const char *reason = code ? ERR_reason_error_string(code) : NULL;
        char why[96];
        hgi_copy_text(why, sizeof why, reason ? reason : "the server closed");
        short wants;
        if (answer(tls, result, &wants) >= 0 || errno != EAGAIN) {
            snprintf(text, size, "TLS: the handshake failed: %s", why);
            return false;
        }
        int64_t left_ns = deadline_ns - hgi_now_ns();
        struct timespec left = hgi_timespec(left_ns > 0 ? left_ns : 0);
        struct pollfd entry = { .fd = tls->fd, .events = wants };
        if (left_ns <= 0 || ppoll(&entry, 1, &left, NULL) == 0) {
            snprintf(text, size, "TLS: connected, but the handshake did not end in time");
            return false;
        }
    }
}

static bool set_blocking(redisContext *context, bool on)
{
    int flags = fcntl(context->fd, F_GETFL);
    if (flags < 0 ||
        fcntl(context->fd, F_SETFL, on ? flags & ~O_NONBLOCK : flags | O_NONBLOCK) != 0)
        return false;
    context->flags = on ? context->flags | REDIS_BLOCK : context->flags & ~REDIS_BLOCK;
    return true;
}

/* Give the session to the context, and it our BIO. */
static bool begin(struct hgi_tls *tls, redisContext *context, char *text, size_t size)
{
    pthread_once(&method_once, make_method);
    BIO *bio = method ? BIO_new(method) : NULL;
    if (!bio || !set_blocking(context, false) || redisInitiateSSL(context, tls->ssl) != REDIS_OK) {
        /* A quick server may have answered already. */
        if (!is_refused(tls->ssl, text, size))
            snprintf(text, size, "TLS: the handshake failed: %s",
                     context->err ? context->errstr : "out of memory");
        BIO_free(bio);
        SSL_free(tls->ssl);
        return false;
    }
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio);
    SSL_set_mode(tls->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return true;
}

struct hgi_tls *hgi_tls_start(redisContext *context, const struct hgi_endpoint *endpoint,
                              const struct hgi_tls_settings *settings, int64_t deadline_ns,
                              char *text, size_t text_size)
{
    struct hgi_tls *tls = calloc(1, sizeof *tls);
    if (!tls) {
        snprintf(text, text_size, "out of memory");
        return NULL;
    }
    tls->fd = context->fd;
    hgi_handshake_step_begin();
    tls->ssl = new_session(endpoint, settings, text, text_size);
    bool begun = tls->ssl && begin(tls, context, text, text_size);
    hgi_handshake_step_end();
    if (!begun) {
        free(tls);
        return NULL;
    }
    if (!shake_hands(tls, deadline_ns, text, text_size) || !set_blocking(context, true)) {
        /* The context is freed by the caller, and the session with it: it must not meet `tls`. */
        SSL_set_bio(tls->ssl, NULL, NULL);
        free(tls);
        return NULL;
    }
    return tls;
}

void hgi_tls_free(struct hgi_tls *tls)
{
    free(tls);
}

/* --- bytes --- */

ssize_t hgi_tls_send(struct hgi_tls *tls, const char *bytes, size_t length, short *wants)
{
    int part = length > RECORD_SIZE ? RECORD_SIZE : (int)length;
    ERR_clear_error();
    tls->error = 0;
    tls->taken = 0;
    int sent = SSL_write(tls->ssl, bytes, part);
    if (sent > 0)
        return sent;
    tls->taken = (size_t)part;
    ssize_t result = answer(tls, sent, wants);
    if (result == 0) { /* it has said that it reads no more */
        errno = EPIPE;
        return -1;
    }
    return -1;
}

size_t hgi_tls_taken(const struct hgi_tls *tls)
{
    return tls->taken;
}

ssize_t hgi_tls_receive(struct hgi_tls *tls, char *bytes, size_t size, bool may_block, short *wants)
{
    ERR_clear_error();
    tls->error = 0;
    tls->may_block = may_block;
    int length = SSL_read(tls->ssl, bytes, size > INT32_MAX ? INT32_MAX : (int)size);
    tls->may_block = false;
    return length > 0 ? length : answer(tls, length, wants);
}

bool hgi_tls_is_quiet(struct hgi_tls *tls)
{
    char byte;
    short wants;
    ERR_clear_error();
    tls->error = 0;
    int length = SSL_peek(tls->ssl, &byte, 1);
    return length <= 0 && answer(tls, length, &wants) < 0 && errno == EAGAIN;
}
