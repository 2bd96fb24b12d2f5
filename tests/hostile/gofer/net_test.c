/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A taken sentry against the policy of its network. The host has two servers on its loopback, one
 * that a rule allows and one that none does; the sentry has sockets that the broker made for the
 * first, and tries to get at the second: by an address in a message, by connecting anew, by options,
 * by a socket in the place of a channel, by a stub that it lends one to, and by asking the broker in
 * every way.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/hostfd.h"
#include "abi/hostio.h"
#include "abi/types.h"
#include "broker/protocol.h"
#include "platform/shared/memory.h"
#include "platform/shared/zygote.h"
#include "platform/trap/trap.h"
#include "sentry/fence.h"
#include "tests/hostile/gofer/net_drive.h"

#define ALLOWED 17171 /* TCP and UDP */
#define SECRET 17172

static int secret_tcp = -1, secret_udp = -1;

/* In a helper on the host: who comes to the secret ones has got out. */
static void watch(void)
{
    secret_tcp = drive_server(SOCK_STREAM, SECRET);
    secret_udp = drive_server(SOCK_DGRAM, SECRET);
    drive_server(SOCK_STREAM, ALLOWED);
    drive_server(SOCK_DGRAM, ALLOWED);
    atomic_store(&board->stage, 1);
    for (;;) {
        struct pollfd p[] = { { .fd = secret_tcp, .events = POLLIN },
                              { .fd = secret_udp, .events = POLLIN } };
        char c;

        poll(p, 2, -1);
        if (p[0].revents) {
            close(accept(secret_tcp, NULL, NULL));
            reached("a TCP connection where no rule leads");
        }
        if (p[1].revents) {
            (void)!recv(secret_udp, &c, 1, 0);
            reached("a datagram where no rule leads");
        }
    }
}

/* ---- the broker, asked ---- */

static void ask(const struct sentry_config *cfg, const struct nb_req *m, const void *data, int fd)
{
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(sizeof(int))];
    } ctl = { .h = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
    struct iovec iov[] = { { (void *)(uintptr_t)m, sizeof *m },
                           { (void *)(uintptr_t)data, m->len } };
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = m->len ? 2 : 1 };

    if (fd >= 0) {
        memcpy(CMSG_DATA(&ctl.h), &fd, sizeof fd);
        msg.msg_control = &ctl;
        msg.msg_controllen = sizeof ctl.space;
    }
    if (sendmsg(cfg->net.sock, &msg, MSG_NOSIGNAL) < 0)
        broken("the broker's channel: %s", strerror(errno));
}

static int broker_answer(const struct sentry_config *cfg, struct nb_rep *r)
{
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(sizeof(int))];
    } ctl;
    static char data[NB_DATA_MAX];
    struct iovec iov[] = { { r, sizeof *r }, { data, sizeof data } };
    struct msghdr msg = {
        .msg_iov = iov, .msg_iovlen = 2, .msg_control = &ctl, .msg_controllen = sizeof ctl.space
    };
    struct pollfd p = { .fd = cfg->net.sock, .events = POLLIN };
    int fd = -1;

    if (ppoll(&p, 1, &(struct timespec){ 10, 0 }, NULL) != 1 ||
        recvmsg(cfg->net.sock, &msg, 0) < (ssize_t)sizeof *r)
        broken("the broker does not answer");
    if (CMSG_FIRSTHDR(&msg))
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof fd);
    return fd;
}

static struct nb_addr at(const char *ip, uint16_t port)
{
    struct nb_addr a = { .port = port };

    if (inet_pton(AF_INET, ip, a.ip + 12) == 1)
        a.ip[10] = a.ip[11] = 0xff;
    else
        inet_pton(AF_INET6, ip, a.ip);
    return a;
}

static int connect_by(const struct sentry_config *cfg, unsigned proto, const char *ip, int port)
{
    struct nb_req m = {
        .op = NB_CONNECT, .tag = 7, .proto = proto, .addr = at(ip, (uint16_t)port)
    };
    struct nb_rep r;

    ask(cfg, &m, NULL, -1);
    return broker_answer(cfg, &r);
}

static int allowed_socket(const struct sentry_config *cfg, unsigned proto)
{
    int fd;

    while (!atomic_load(&board->stage))
        usleep(1000);
    fd = connect_by(cfg, proto, "127.0.0.1", ALLOWED);
    if (fd < 0)
        broken("no socket for the server that a rule allows");
    return fd;
}

/* ---- deeds of a fenced child with such a socket ---- */

static int held; /* the socket */
static struct sockaddr_in secret_addr;

static void message(const struct sentry_config *cfg)
{
    struct iovec iov = { (void *)(uintptr_t) "x", 1 };
    struct msghdr msg = { .msg_name = &secret_addr,
                          .msg_namelen = sizeof secret_addr,
                          .msg_iov = &iov,
                          .msg_iovlen = 1 };

    (void)cfg;
    sendmsg(held, &msg, MSG_NOSIGNAL);
}

static void fast_open(const struct sentry_config *cfg)
{
    struct iovec iov = { (void *)(uintptr_t) "x", 1 };
    struct msghdr msg = { .msg_name = &secret_addr,
                          .msg_namelen = sizeof secret_addr,
                          .msg_iov = &iov,
                          .msg_iovlen = 1 };
    const struct sockaddr none = { .sa_family = AF_UNSPEC };

    (void)cfg;
    connect(held, &none, sizeof none);
    sendmsg(held, &msg, MSG_NOSIGNAL | MSG_FASTOPEN);
}

static void connect_anew(const struct sentry_config *cfg)
{
    (void)cfg;
    connect(held, (struct sockaddr *)&secret_addr, sizeof secret_addr);
    (void)!write(held, "x", 1);
}

static void send_to(const struct sentry_config *cfg)
{
    (void)cfg;
    sendto(held, "x", 1, 0, (struct sockaddr *)&secret_addr, sizeof secret_addr);
}

static void multiple(const struct sentry_config *cfg)
{
    struct iovec iov = { (void *)(uintptr_t) "x", 1 };
    struct mmsghdr m = { .msg_hdr = { .msg_name = &secret_addr,
                                      .msg_namelen = sizeof secret_addr,
                                      .msg_iov = &iov,
                                      .msg_iovlen = 1 } };

    (void)cfg;
    sendmmsg(held, &m, 1, 0);
}

static void socket_of_its_own(const struct sentry_config *cfg)
{
    (void)cfg;
    held = socket(AF_INET, SOCK_DGRAM, 0);
    sendto(held, "x", 1, 0, (struct sockaddr *)&secret_addr, sizeof secret_addr);
}

/* A channel's number given up, for the socket to get it: its number is what the fence looks at. */
static void in_place_of_a_channel(const struct sentry_config *cfg)
{
    syscall(SYS_close, HOSTFD_CHANNELS + 7);
    syscall(SYS_close, (1ull << 32) | (HOSTFD_CHANNELS + 7));
    for (int i = 0; i < 200; i++) {
        held = connect_by(cfg, IPPROTO_UDP, "127.0.0.1", ALLOWED);
        if (held >= HOSTFD_CHANNELS && held < HOSTFD_CHANNELS + HOSTFD_NCHANNELS)
            message(cfg);
    }
}

static void duplicated(const struct sentry_config *cfg)
{
    dup3(held, HOSTFD_CHANNELS + 7, 0);
    held = HOSTFD_CHANNELS + 7;
    message(cfg);
}

static void with_sockets(const struct sentry_config *cfg)
{
    static void (*const deeds[])(const struct sentry_config *) = {
        message,  fast_open,         connect_anew,          send_to,
        multiple, socket_of_its_own, in_place_of_a_channel, duplicated
    };
    static const unsigned protos[] = { IPPROTO_UDP, IPPROTO_TCP };

    secret_addr = (struct sockaddr_in){ .sin_family = AF_INET,
                                        .sin_port = htons(SECRET),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    for (unsigned i = 0; i < ARRAY_SIZE(deeds); i++)
        for (unsigned k = 0; k < ARRAY_SIZE(protos); k++) {
            held = allowed_socket(cfg, protos[k]);
            int status = taken_child(cfg, deeds[i]);
            close(held);
            atomic_fetch_add(&board->tries, 1);
            if (!board->bites && (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS))
                reached("deed %u with a socket is not death: wait status %#x", i, status);
        }
    usleep(100000); /* the helper sees what came */
}

/* ---- a stub that is the sentry's accomplice ---- */

/* The calls that a stub makes are no calls of the sentry's: another filter looks at them. */
static struct accomplice {
    int listener, chan_fd;
    char *chan;
    struct seccomp_notif bell; /* which it waits for the answer of */
} stub;

struct errand { /* in its block */
    struct msghdr msg;
    struct iovec iov;
    struct sockaddr_in to;
    struct nb_req data;
};

static void next_bell(void)
{
    struct pollfd p = { .fd = stub.listener, .events = POLLIN };

    memset(&stub.bell, 0, sizeof stub.bell);
    if (ppoll(&p, 1, &(struct timespec){ 10, 0 }, NULL) != 1 ||
        ioctl(stub.listener, SECCOMP_IOCTL_NOTIF_RECV, &stub.bell) < 0)
        broken("a stub does not ring");
}

static void answer_bell(int64_t ans)
{
    struct seccomp_notif_resp r = { .id = stub.bell.id, .val = ans };

    ioctl(stub.listener, SECCOMP_IOCTL_NOTIF_SEND, &r);
}

/* to -1: any number. The number there, or -errno. */
static int lend(int fd, int to, uint32_t flags)
{
    struct seccomp_notif_addfd add = { .id = stub.bell.id,
                                       .flags = flags | (to < 0 ? 0 : SECCOMP_ADDFD_FLAG_SETFD),
                                       .srcfd = (uint32_t)fd,
                                       .newfd = to < 0 ? 0 : (uint32_t)to };
    int r = ioctl(stub.listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);

    return r < 0 ? -errno : r;
}

/* A blank one, up to where it waits for what it is to do. */
static void new_stub(void)
{
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(sizeof(int))];
    } ctl;
    uint64_t nonce;
    struct iovec iov = { &nonce, sizeof nonce };
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl, .msg_controllen = sizeof ctl.space
    };

    if (stub.chan) {
        munmap(stub.chan, CHANNEL_SIZE);
        close(stub.chan_fd);
        close(stub.listener);
        trap.npending = 0;
        zygote_request_locked();
    }
    if (recvmsg(trap.zygote_sock, &msg, MSG_CMSG_CLOEXEC) != sizeof nonce || !CMSG_FIRSTHDR(&msg))
        broken("no stub: %s", strerror(errno));
    memcpy(&stub.listener, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof stub.listener);
    stub.chan_fd = memfd_create("channel", MFD_CLOEXEC);
    if (ftruncate(stub.chan_fd, CHANNEL_SIZE) < 0)
        broken("a channel: %s", strerror(errno));
    stub.chan = mmap(NULL, CHANNEL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, stub.chan_fd, 0);
    ((struct block *)stub.chan)->uc = BLOCK_SIZE - 256;
    next_bell();
    if (lend(stub.chan_fd, -1, SECCOMP_ADDFD_FLAG_SEND) < 0)
        broken("a channel, given: %s", strerror(errno));
    next_bell();
}

/* It sends to fd, with an address or without. Was it sent? */
static bool stub_sends(uint32_t nr, int fd, const struct sockaddr_in *to, const struct nb_req *data)
{
    const uint64_t at = stubs.slot + CHANNEL_OFF + BLOCK_DATA_OFF;
    const uint64_t flags = MSG_NOSIGNAL | MSG_DONTWAIT;
    struct errand *e = (struct errand *)(stub.chan + BLOCK_DATA_OFF);
    struct block_op *op = (struct block_op *)(stub.chan + BLOCK_OPS_OFF);

    e->iov = (struct iovec){ (void *)(at + offsetof(struct errand, data)), sizeof e->data };
    e->msg = (struct msghdr){ .msg_iov = (void *)(at + offsetof(struct errand, iov)),
                              .msg_iovlen = 1 };
    e->data = *data, e->to = to ? *to : (struct sockaddr_in){ 0 };
    e->msg.msg_name = to ? (void *)(at + offsetof(struct errand, to)) : NULL;
    e->msg.msg_namelen = to ? sizeof e->to : 0;
    *op = (struct block_op){ .nr = nr, .a = { (uint64_t)fd, at, flags } };
    if (nr == SYS_sendto) /* passes without an address */
        memcpy(&op->a[2], (uint64_t[]){ 1, flags, (uint64_t)e->msg.msg_name, sizeof e->to }, 32);
    ((struct block *)stub.chan)->nops = 1;
    answer_bell(ANS_OPS);
    next_bell(); /* BELL_EVENT: the filter has trapped it */
    atomic_fetch_add(&board->tries, 1);
    return stub.bell.data.args[0] == BELL_OPS && op->ret > 0;
}

static void with_a_stub(const struct sentry_config *cfg)
{
    static const int numbers[] = { -1,         0,       3, STUB_FILES - 1,
                                   STUB_FILES, 1 << 16, 0 /* the limit's */ };
    const struct platform_config pc = {
        .proc_fd = cfg->proc_fd, .without = cfg->without, .max_workers = 1, .lends = true
    };
    const struct nb_req ask_it = {
        .op = NB_CONNECT, .tag = 8, .proto = IPPROTO_UDP, .addr = at("127.0.0.1", ALLOWED)
    };
    struct rlimit files;
    int socket_fd;

    secret_addr = (struct sockaddr_in){ .sin_family = AF_INET,
                                        .sin_port = htons(SECRET),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socket_fd = allowed_socket(cfg, IPPROTO_UDP);
    getrlimit(RLIMIT_NOFILE, &files);
    if (fence_landlock(cfg) < 0 || cfg->platform->early(&pc) < 0 || fence_put_up(cfg) < 0)
        broken("no platform, or no fences");
    for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++)
        for (unsigned channel = 0; channel < 2; channel++) {
            int to = i + 1 < ARRAY_SIZE(numbers) ? numbers[i] : (int)files.rlim_cur - 1;

            new_stub();
            int got = lend(channel ? cfg->net.sock : socket_fd, to, 0);
            if (i == 0 && got < 0)
                broken("nothing can be lent: %s", strerror(-got));
            if (stub_sends(SYS_sendmsg, got < 0 ? to : got, channel ? NULL : &secret_addr, &ask_it))
                reached("a stub sends by the %s, lent as %d",
                        channel ? "broker's channel" : "socket", got);
            new_stub();
            if (!channel && (got = lend(socket_fd, to, 0)) >= 0 &&
                stub_sends(SYS_sendto, got, &secret_addr, &ask_it))
                reached("a stub sends to an address by the socket, lent as %d", got);
        }
    new_stub(); /* all the numbers that it can have, from below */
    int last = -1, n = 0;
    for (int got; n < 2 * STUB_FILES && (got = lend(socket_fd, -1, 0)) >= 0; n++)
        last = got;
    if (n < 100)
        broken("only %d descriptors could be lent", n);
    if (stub_sends(SYS_sendmsg, last, &secret_addr, &ask_it) ||
        (new_stub(), stub_sends(SYS_sendmsg, last + 1, &secret_addr, &ask_it)))
        reached("a stub that has %d descriptors sends by one of them", n);
    ppoll(NULL, 0, &(struct timespec){ 0, 100000000 }, NULL); /* the helper sees what came */
}

/* ---- the broker, asked for what it may not give ---- */

/* What is said to be closed is closed: nobody keeps a socket from later rules by saying so. */
static void given_up(const struct sentry_config *cfg)
{
    int fd = connect_by(cfg, IPPROTO_UDP, "127.0.0.1", ALLOWED);
    const struct nb_req m = { .op = NB_CANCEL, .tag = 7 };

    if (fd < 0 || hostio_write(fd, "x", 1) != 1)
        broken("a socket that the rules allow does not send");
    ask(cfg, &m, NULL, -1);
    close(connect_by(cfg, IPPROTO_UDP, "127.0.0.1", ALLOWED)); /* done by then */
    atomic_fetch_add(&board->tries, 1);
    if (hostio_write(fd, "x", 1) >= 0)
        reached("a socket that was given up still sends");
    close(fd);
}

static void asking(const struct sentry_config *cfg)
{
    static const char *const ways_to[] = { "127.0.0.1", "::1",        "::ffff:127.0.0.1",
                                           "0.0.0.0",   "::",         "64:ff9b::127.0.0.1",
                                           "127.0.0.2", "::127.0.0.1" };
    int fd = allowed_socket(cfg, IPPROTO_UDP);
    struct nb_rep r;

    taken_fence(cfg);
    for (unsigned i = 0; i < ARRAY_SIZE(ways_to); i++)
        for (unsigned proto = 0; proto < 256; proto++) {
            int got = connect_by(cfg, proto, ways_to[i], SECRET);

            atomic_fetch_add(&board->tries, 1);
            if (got >= 0)
                reached("a socket of protocol %u to %s", proto, ways_to[i]);
        }
    given_up(cfg);
    for (unsigned op = 0; op < 80; op++) /* every request, of every length, with a socket */
        for (unsigned len = 0; len < 40; len++) {
            static const char zeroes[40];
            struct nb_req m = {
                .op = op, .tag = 9, .arg = SECRET, .len = len, .addr = at("127.0.0.1", SECRET)
            };

            if (op == NB_MORE || op == NB_UNLISTEN || op == NB_CANCEL || op == NB_SENDTO ||
                op == NB_SEND) {
                ask(cfg, &m, zeroes, fd);
                continue;
            }
            ask(cfg, &m, zeroes, fd);
            int got = broker_answer(cfg, &r);
            if (got >= 0)
                reached("request %u gives a socket", op);
            if (r.op != NB_ANSWER)
                broken("request %u of length %u: answer %u", op, len, r.op);
        }
    for (int level = 0; level < 60; level++) /* options that lead elsewhere */
        for (int name = 0; name < 80; name++) {
            struct {
                struct nb_opt o;
                int value;
            } d = { { level, name, 1 }, 1 };
            struct nb_req m = { .op = NB_SETOPT, .tag = 9, .len = sizeof d };

            ask(cfg, &m, &d, fd);
            broker_answer(cfg, &r);
            if (r.error == 0 &&
                ((level == SOL_SOCKET &&
                  (name == SO_BINDTODEVICE || name == SO_MARK || name == SO_BROADCAST)) ||
                 (level == IPPROTO_TCP && (name == 19 || name == 23 || name == 30 ||
                                           name == 31)) /* REPAIR, FASTOPEN, ULP */
                 || (level == IPPROTO_IP && (name == 4 || name == 19))))
                reached("option %d of level %d", name, level);
        }
    /* It lives, and knows who is who. */
    if (connect_by(cfg, IPPROTO_UDP, "127.0.0.1", ALLOWED) < 0)
        broken("the broker gives nothing any more");
}

static const struct way *const two_ways[] = { &way_root, &way_user, &way_root_plain,
                                              &way_user_plain, NULL };

const struct attack taken_attacks[] = {
    { .name = "sockets",
      .run = with_sockets,
      .meanwhile = watch,
      .ways = two_ways,
      .option = "--allow-net=127.0.0.1:17171",
      .bites = "sentryfilter",
      .bites_way = &way_user /* as root eBPF holds them */ },
    { .name = "accomplice",
      .run = with_a_stub,
      .meanwhile = watch,
      .ways = two_ways,
      .option = "--allow-net=127.0.0.1:17171",
      .bites = "stubfiles",
      .bites_way = &way_user },
    { .name = "asking",
      .run = asking,
      .meanwhile = watch,
      .ways = two_ways,
      .option = "--allow-net=127.0.0.1:17171",
      .bites = "netpolicy",
      .bites_way = &way_user },
};
const unsigned taken_nattacks = ARRAY_SIZE(taken_attacks);
