/* SPDX-License-Identifier: Apache-2.0 */
/* See net_drive.h. */
#include "tests/hostile/gofer/net_drive.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/types.h"
#include "broker/policy.h"

#define SYNC 0xfeedu /* the tag of a question that is always answered at once */
#define ANSWER_MS 10000

/* ---- the host's side ---- */

enum { UP = 1, COUNT, COUNTED };

static struct counts *counts; /* shared; of the broker, when it was asked for */

void drive_share(void)
{
    counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

int drive_server(int type, int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), on = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
        (type == SOCK_STREAM && listen(fd, 4096) < 0))
        broken("port %d: %s", port, strerror(errno));
    return fd;
}

static pid_t broker_pid(void)
{
    char path[64], name[32] = "";
    int pid = 0;

    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)board->front, (int)board->front);
    FILE *f = fopen(path, "re");

    while (f && fscanf(f, "%d", &pid) == 1) {
        snprintf(path, sizeof path, "/proc/%d/comm", pid);
        FILE *c = fopen(path, "re");

        if (!c || !fgets(name, sizeof name, c))
            name[0] = 0;
        if (c)
            fclose(c);
        if (strcmp(name, "sbx-net\n") == 0)
            break;
        pid = 0;
    }
    if (f)
        fclose(f);
    return pid;
}

static void count(void)
{
    char path[64], line[128];
    pid_t pid = broker_pid();
    unsigned n = 0;

    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "re");

    while (f && fgets(line, sizeof line, f))
        sscanf(line, "VmData: %u", &counts->kib);
    if (f)
        fclose(f);
    for (int fd = 0; fd < 20000; fd++) {
        struct stat st;

        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
        n += lstat(path, &st) == 0;
    }
    counts->fds = n;
}

/* Who comes to the forbidden ports has got out. Nobody is taken at the allowed one: its queue is long. */
void drive_watch(void)
{
    int tcp = drive_server(SOCK_STREAM, DRIVE_ALLOWED + 1),
        udp = drive_server(SOCK_DGRAM, DRIVE_ALLOWED + 1);

    drive_server(SOCK_STREAM, DRIVE_ALLOWED);
    drive_server(SOCK_DGRAM, DRIVE_ALLOWED);
    atomic_store(&board->stage, UP);
    for (;;) {
        struct pollfd p[] = { { .fd = tcp, .events = POLLIN }, { .fd = udp, .events = POLLIN } };
        char c;

        if (poll(p, 2, 5) > 0) {
            if (p[0].revents) {
                close(accept(tcp, NULL, NULL));
                reached("a TCP connection where no rule leads");
            }
            if (p[1].revents && recv(udp, &c, 1, 0) >= 0)
                reached("a datagram where no rule leads");
        }
        if (atomic_load(&board->stage) == COUNT) {
            count();
            atomic_store(&board->stage, COUNTED);
        }
    }
}

struct counts drive_counted(void)
{
    atomic_store(&board->stage, COUNT);
    while (atomic_load(&board->stage) != COUNTED)
        usleep(1000);
    return *counts;
}

/* ---- the channel ---- */

int drive_chan;
bool drive_gave_up;

void drive_tell(const struct nb_req *m, size_t head, const void *data, size_t n, int fd)
{
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(sizeof(int))];
    } ctl = { .h = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
    struct iovec iov[] = { { (void *)(uintptr_t)m, head }, { (void *)(uintptr_t)data, n } };
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = n ? 2 : 1 };

    if (fd >= 0) {
        memcpy(CMSG_DATA(&ctl.h), &fd, sizeof fd);
        msg.msg_control = &ctl;
        msg.msg_controllen = sizeof ctl.space;
    }
    struct pollfd p = { .fd = drive_chan, .events = POLLOUT };

    if (poll(&p, 1, ANSWER_MS) != 1)
        broken("the broker takes nothing any more");
    if (sendmsg(drive_chan, &msg, MSG_NOSIGNAL) < 0 && errno != EMSGSIZE && errno != ETOOMANYREFS)
        broken("the broker's channel: %s", strerror(errno));
    atomic_fetch_add(&board->tries, 1);
}

/* 127.0.0.1 in one of its forms; or none, of a socket that was given up on its way. */
static bool is_peer(int fd, uint16_t port, char name[INET6_ADDRSTRLEN])
{
    const struct net_ip home = { { [10] = 0xff, 0xff, 127, 0, 0, 1 } };
    struct sockaddr_storage ss = { 0 };
    const struct sockaddr_in6 *in6 = (const void *)&ss;
    const struct sockaddr_in *in = (const void *)&ss;
    socklen_t n = sizeof ss;
    struct net_ip ip = { { [10] = 0xff, 0xff } };

    if (getpeername(fd, (struct sockaddr *)&ss, &n) < 0)
        return errno == ENOTCONN && drive_gave_up;
    if (ss.ss_family == AF_INET)
        memcpy(ip.b + 12, &in->sin_addr, 4);
    else
        memcpy(ip.b, &in6->sin6_addr, 16);
    inet_ntop(AF_INET6, ip.b, name, INET6_ADDRSTRLEN);
    ip = net_normal(&ip);
    return ntohs(in->sin_port) == port && memcmp(&ip, &home, sizeof ip) == 0;
}

/*
 * Connected to what the rule allows, of the kind that was asked for by that tag (its high half), and with nothing
 * that would let it go elsewhere. Of TCP's nameserver it is one end of a pair.
 */
static void judge_socket(int fd, const struct nb_rep *r)
{
    char name[INET6_ADDRSTRLEN] = "none";
    int type = -1, domain = -1, listening = -1, proto = -1;
    socklen_t n = sizeof(int);

    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n);
    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n);
    getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &proto, &n);
    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &n);
    if (domain == AF_UNIX && type == SOCK_STREAM && r->peer.port == 53)
        return;
    if ((domain != AF_INET && domain != AF_INET6) || listening != 0 ||
        (type != SOCK_STREAM && type != SOCK_DGRAM) ||
        (((r->tag & 0xffff) == BY_PROTO || (r->tag & 0xffff) == BY_PLACE) &&
         proto != (int)(r->tag >> 16) && proto != IPPROTO_ICMPV6))
        reached("a socket of domain %d, type %d, protocol %d, listening %d for tag %#x", domain,
                type, proto, listening, r->tag);
    else if (proto != IPPROTO_ICMP && proto != IPPROTO_ICMPV6 && !is_peer(fd, DRIVE_ALLOWED, name))
        reached("a socket that is connected to [%s]; tag %#x, protocol %d, %s", name, r->tag, proto,
                strerror(errno));
    if (!(fcntl(fd, F_GETFL) & O_NONBLOCK))
        reached("a socket that waits");
}

struct drive_have drive_have = { -1, 0, 0 };

/* All answers up to that of a question which is asked last. They come in order, and soon. */
void drive_drain(void)
{
    static char data[NB_DATA_MAX];
    const struct nb_req sync = { .op = NB_GETOPT, .tag = SYNC };

    drive_tell(&sync, sizeof sync, NULL, 0, -1);
    for (;;) {
        union {
            struct cmsghdr h;
            char space[CMSG_SPACE(4 * sizeof(int))];
        } ctl;
        struct nb_rep r;
        struct iovec iov[] = { { &r, sizeof r }, { data, sizeof data } };
        struct msghdr msg = {
            .msg_iov = iov, .msg_iovlen = 2, .msg_control = &ctl, .msg_controllen = sizeof ctl.space
        };
        struct pollfd p = { .fd = drive_chan, .events = POLLIN };
        int fd = -1;

        if (poll(&p, 1, ANSWER_MS) != 1) {
            if (board->bites)
                reached("the broker hangs");
            broken("the broker does not answer");
        }
        ssize_t len = recvmsg(drive_chan, &msg, MSG_CMSG_CLOEXEC);
        if (len < (ssize_t)sizeof r || r.len != (size_t)len - sizeof r)
            broken("an answer of %zd bytes (%s)", len, strerror(errno));
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        if (c)
            memcpy(&fd, CMSG_DATA(c), sizeof fd);
        if (c && (c->cmsg_len != CMSG_LEN(sizeof fd) || r.error))
            reached("more than one descriptor, or one with an error");
        if (r.op != NB_ANSWER && r.op != NB_POLICY)
            reached("message %u where nothing listens", r.op);
        if (r.error > 0 || r.error < -4095)
            broken("error %d", r.error);
        if (r.tag == SYNC && fd < 0)
            return;
        drive_have.error = r.error;
        if (fd < 0)
            continue;
        judge_socket(fd, &r);
        drive_have.given++;
        if (drive_have.last >= 0)
            close(drive_have.last);
        drive_have.last = fd;
    }
}

struct nb_addr drive_addr(const char *ip, uint16_t port)
{
    struct nb_addr a = { .port = port };

    if (inet_pton(AF_INET, ip, a.ip + 12) == 1)
        a.ip[10] = a.ip[11] = 0xff;
    else
        inet_pton(AF_INET6, ip, a.ip);
    return a;
}

/* A socket to what is allowed; it is the caller's. */
int drive_allowed(unsigned proto, uint32_t tag, const void *opts, uint32_t n)
{
    const struct nb_req m = { .op = NB_CONNECT,
                              .tag = tag,
                              .proto = proto,
                              .len = n,
                              .addr = drive_addr("127.0.0.1", DRIVE_ALLOWED) };

    while (atomic_load(&board->stage) < UP)
        usleep(1000);
    if (drive_have.last >= 0)
        close(drive_have.last);
    drive_have.last = -1;
    drive_tell(&m, sizeof m, opts, n, -1);
    for (int i = 0; i < 200 && drive_have.last < 0; i++) {
        drive_drain();
        usleep(drive_have.last < 0 ? 5000 : 0);
    }
    int fd = drive_have.last;

    drive_have.last = -1;
    if (fd < 0)
        broken("no socket for what a rule allows: %s", strerror(-drive_have.error));
    return fd;
}

void drive_cancel(uint32_t tag)
{
    const struct nb_req m = { .op = NB_CANCEL, .tag = tag };

    drive_tell(&m, sizeof m, NULL, 0, -1);
}

/* It lives, gives what it may, and has what it had. */
void drive_judge(struct counts before)
{
    struct counts now = { 0 };

    close(drive_allowed(IPPROTO_UDP, 1, NULL, 0));
    drive_cancel(1);
    drive_drain();
    for (int i = 0; i < 50; i++) { /* queries end by their time */
        now = drive_counted();
        if (now.fds <= before.fds && now.kib <= before.kib + 512)
            return;
        usleep(200000);
    }
    broken("the broker has %u descriptors and %u KiB, before it had %u and %u", now.fds, now.kib,
           before.fds, before.kib);
}

struct counts drive_begin(const struct sentry_config *cfg)
{
    drive_chan = cfg->net.sock;
    close(drive_allowed(IPPROTO_UDP, 1, NULL, 0)); /* what is made but once has been */
    close(drive_allowed(IPPROTO_TCP, 2, NULL, 0));
    drive_cancel(1);
    drive_cancel(2);
    drive_drain();
    return drive_counted();
}
