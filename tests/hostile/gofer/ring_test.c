/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A taken sentry with the restricted ring in its hands: every operation with every flag, on fixed
 * and on raw descriptors; forged slots; every registration; a trampled queue. It may read files that
 * the gofer put into the table, and nothing else.
 */
#include "gofer/ring.h"
#include "tests/hostile/gofer/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/hostio.h"
#include "abi/types.h"

#define OPS 256        /* the field has 8 bits */
#define REGISTERS 64   /* more than there are */
#define NO_ANSWER 1000 /* no completion came */

static struct {
    int fd;
    unsigned char *rings;
    struct io_uring_sqe *sqes;
    uint64_t seq; /* of the last entry */
} ring;

static _Atomic uint32_t *at(uint32_t off)
{
    return (void *)(ring.rings + off);
}

static void ring_map(int fd)
{
    const struct io_uring_params *p = &gofer_ring_params;
    size_t len = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe) + 65536;

    ring.fd = fd;
    ring.rings = mmap(NULL, len & ~4095ul, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (ring.rings == MAP_FAILED) /* a ring is no longer than it must be */
        ring.rings = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ring.sqes = mmap(NULL, p->sq_entries * sizeof(*ring.sqes), PROT_READ | PROT_WRITE, MAP_SHARED,
                     fd, IORING_OFF_SQES);
    if (ring.rings == MAP_FAILED || ring.sqes == MAP_FAILED)
        broken("the ring cannot be mapped: %s", strerror(errno));
}

/* One entry, as it is; its result. */
static int ring_do(const struct io_uring_sqe *sqe)
{
    const struct io_uring_params *p = &gofer_ring_params;
    uint32_t tail = atomic_load(at(p->sq_off.tail)), head;
    uint64_t seq = ++ring.seq;
    int res = NO_ANSWER;

    ring.sqes[tail & (p->sq_entries - 1)] = *sqe;
    ring.sqes[tail & (p->sq_entries - 1)].user_data = seq;
    atomic_store(at(p->sq_off.array) + (tail & (p->sq_entries - 1)), tail & (p->sq_entries - 1));
    atomic_store(at(p->sq_off.tail), tail + 1);
    syscall(SYS_io_uring_enter, ring.fd, 1, 0, IORING_ENTER_GETEVENTS, NULL, 0);
    head = atomic_load(at(p->cq_off.head));
    for (; head != atomic_load(at(p->cq_off.tail)); head++) {
        const struct io_uring_cqe *c = (void *)(ring.rings + p->cq_off.cqes);
        if (c[head & (p->cq_entries - 1)].user_data == seq) /* else of one before, come late */
            res = c[head & (p->cq_entries - 1)].res;
        atomic_store(at(p->cq_off.head), head + 1);
    }
    atomic_fetch_add(&board->tries, 1);
    return res;
}

/* The last one's result where the file system made it wait, on a thread of the host's: what is not cached. */
static int ring_await(int res)
{
    const struct io_uring_params *p = &gofer_ring_params;
    const struct io_uring_cqe *c = (void *)(ring.rings + p->cq_off.cqes);

    for (int i = 0; i < 2000 && res == NO_ANSWER; i++) {
        uint32_t head = atomic_load(at(p->cq_off.head));

        for (; head != atomic_load(at(p->cq_off.tail)); head++) {
            if (c[head & (p->cq_entries - 1)].user_data == ring.seq)
                res = c[head & (p->cq_entries - 1)].res;
            atomic_store(at(p->cq_off.head), head + 1);
        }
        if (res == NO_ANSWER)
            hostio_nap(1000000);
    }
    return res;
}

static int open_slot(void)
{
    struct gw_request r = ch_request(GW_OPEN, ch.root, 8);

    r.flags = GW_WANT_SLOT;
    if (ch_ask(r, "dir/file", 8) != 0 || !(ch.ans.rep.flags & GW_SLOT))
        broken("no slot: %d, flags %#x", ch.ans.rep.error, ch.ans.rep.flags);
    return (int)ch.ans.rep.value;
}

static bool begin(const struct sentry_config *cfg)
{
    if (cfg->gofer_ring < 0) {
        atomic_fetch_add(&board->tries, 1); /* said at the end: no io_uring here */
        snprintf(board->why, sizeof(board->why), "no io_uring on this host");
        return false;
    }
    ring_map(cfg->gofer_ring);
    taken_fence(cfg);
    ch_open(cfg);
    return true;
}

static bool admitted(unsigned op)
{
    return op == IORING_OP_READ || op == IORING_OP_WRITE || op == IORING_OP_FSYNC ||
           op == IORING_OP_POLL_ADD || op == IORING_OP_ASYNC_CANCEL;
}

static char buf[4096];
static struct iovec iov = { buf, sizeof(buf) };

static void one_op(unsigned op, unsigned flags, int fd)
{
    struct io_uring_sqe sqe = { .opcode = (uint8_t)op, .flags = (uint8_t)flags, .fd = fd };

    sqe.addr = op == IORING_OP_READV || op == IORING_OP_WRITEV ? (uintptr_t)&iov : (uintptr_t)buf;
    sqe.len = op == IORING_OP_READV || op == IORING_OP_WRITEV ? 1 : 100;
    int r = ring_do(&sqe);
    if (admitted(op) && flags == IOSQE_FIXED_FILE)
        r = ring_await(r);
    /* EINVAL of an operation that there is not, EOPNOTSUPP of flags that it never takes */
    if (r == -EACCES || r == -EINVAL || (r == -EOPNOTSUPP && flags & ~(unsigned)IOSQE_FIXED_FILE))
        return;
    if (admitted(op) && flags == IOSQE_FIXED_FILE) {
        if (r == NO_ANSWER && (op == IORING_OP_READ || op == IORING_OP_WRITE))
            broken("operation %u is admitted and gives no result", op);
        if (op == IORING_OP_WRITE && r >= 0)
            reached("operation %u wrote to slot %d: %d", op, fd, r);
        return;
    }
    reached("operation %u with flags %#x on %d gives %d", op, flags, fd, r);
}

static void operations(const struct sentry_config *cfg)
{
    static const unsigned flags[] = {
        0, 1, 2, 3, 4, 5, 8, 9, 16, 17, 32, 33, 64, 65, 128, 129, 255
    };

    if (!begin(cfg))
        return;
    int slot = open_slot();
    for (unsigned op = 0; op < OPS; op++)
        for (unsigned i = 0; i < ARRAY_SIZE(flags); i++) {
            const int fds[] = { slot, slot + 1, 0, 1, ch.sock, ring.fd, -1, AT_FDCWD };
            for (unsigned k = 0; k < ARRAY_SIZE(fds) && !atomic_load(&board->reached); k++)
                one_op(op, flags[i], fds[k]);
        }
    memset(buf, 0, sizeof(buf));
    struct io_uring_sqe sqe = { .opcode = IORING_OP_READ,
                                .flags = IOSQE_FIXED_FILE,
                                .fd = slot,
                                .addr = (uintptr_t)buf,
                                .len = 100 };
    int r = ring_await(ring_do(&sqe));
    if (!atomic_load(&board->reached) && (r != 6 || memcmp(buf, "inside", 6) != 0))
        broken("afterwards a read gives %d", r);
    ch_alive("operations of the ring");
}

/* The canary by its name, which needs no descriptor. */
static void opens(const struct sentry_config *cfg)
{
    struct io_uring_sqe sqe = { .fd = AT_FDCWD };
    char path[200];

    if (!begin(cfg))
        return;
    strcpy(path, in_top("out/canary"));
    sqe.addr = (uintptr_t)path;
    for (unsigned flags = 0; flags < 2; flags++) {
        sqe.flags = (uint8_t)flags;
        sqe.opcode = IORING_OP_OPENAT;
        int fd = ring_do(&sqe);
        if (fd >= 0 && fd != NO_ANSWER)
            judge_fd(fd, "opened through the ring");
        sqe.opcode = IORING_OP_UNLINKAT;
        ring_do(&sqe); /* the test program looks whether it is there */
    }
    ch_alive("opens through the ring");
}

/* Slots that are not ours to know, and edges of what is admitted. */
static void slots(const struct sentry_config *cfg)
{
    static const uint64_t edges[] = { 0,
                                      1,
                                      6,
                                      4096,
                                      0x7ffff000,
                                      0x7fffffff,
                                      0x80000000,
                                      0xffffffff,
                                      0x7fffffffffffffff,
                                      0x8000000000000000,
                                      ~0ull,
                                      0xffffffff81000000,
                                      0x00007ffffffff000 };

    if (!begin(cfg))
        return;
    int slot = open_slot();
    for (int s = -2; s < 1200; s++) {
        struct io_uring_sqe sqe = { .opcode = IORING_OP_READ,
                                    .flags = IOSQE_FIXED_FILE,
                                    .fd = s,
                                    .addr = (uintptr_t)buf,
                                    .len = sizeof(buf) };
        int r = ring_do(&sqe);
        if (s != slot && r != -EBADF)
            reached("a read of slot %d, which nobody gave, gives %d", s, r);
    }
    for (unsigned op = 0; op < OPS; op++)
        for (unsigned i = 0; admitted(op) && i < ARRAY_SIZE(edges); i++) {
            struct io_uring_sqe sqe = { .opcode = (uint8_t)op,
                                        .flags = IOSQE_FIXED_FILE,
                                        .fd = slot };
            sqe.addr = edges[i];
            sqe.len = 100;
            ring_do(&sqe);
            sqe.off = edges[i];
            ring_do(&sqe);
            sqe.addr = (uintptr_t)buf;
            ring_do(&sqe);
            sqe.len = (uint32_t)edges[i] & 0xfff;
            sqe.rw_flags = (int)edges[i];
            ring_do(&sqe);
            sqe.personality = (uint16_t)edges[i];
            ring_do(&sqe);
        }
    /* a slot closed is gone, and is another file's later */
    uint32_t gone = (uint32_t)slot;
    ch_ask(ch_request(GW_CLOSE, 0, 4), &gone, 4);
    ch_alive("closing a slot"); /* and the closing is done */
    struct io_uring_sqe sqe = { .opcode = IORING_OP_READ,
                                .flags = IOSQE_FIXED_FILE,
                                .fd = slot,
                                .addr = (uintptr_t)buf,
                                .len = 100 };
    int r = ring_do(&sqe);
    if (r != -EBADF)
        broken("a slot that was closed gives %d", r);
    ch_alive("slots");
}

/* ---- what the filter keeps from it ---- */

static unsigned reg_op;

static void do_register(const struct sentry_config *cfg)
{
    int fd = 1;
    struct io_uring_files_update up = { .offset = 3, .fds = (uintptr_t)&fd };
    long r = syscall(SYS_io_uring_register, cfg->gofer_ring, reg_op, &up, 1);

    if (r >= 0)
        reached("registration %u gives %ld", reg_op, r);
    _exit(r >= 0 ? 0 : 1);
}

static void do_setup(const struct sentry_config *cfg)
{
    struct io_uring_params p = { 0 };

    (void)cfg;
    if (syscall(SYS_io_uring_setup, 8, &p) >= 0)
        reached("a ring of its own");
    _exit(0);
}

static void registers(const struct sentry_config *cfg)
{
    for (reg_op = 0; cfg->gofer_ring >= 0 && reg_op < REGISTERS && !board->reached; reg_op++) {
        int status = taken_child(cfg, do_register);
        atomic_fetch_add(&board->tries, 1);
        if (!board->bites && (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS))
            reached("registration %u is not death: %#x", reg_op, status);
    }
    int status = taken_child(cfg, do_setup);
    atomic_fetch_add(&board->tries, 1);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
        reached("a ring of its own is not death: %#x", status);
    taken_fence(cfg);
    ch_open(cfg);
    ch_alive("registrations");
}

/* Heads, tails and indices that are nonsense: the host kernel's to bear; the gofer never looks. */
static void trampled(const struct sentry_config *cfg)
{
    if (!begin(cfg))
        return;
    int slot = open_slot();
    const struct io_uring_params *p = &gofer_ring_params;
    for (int i = 0; i < 3000; i++) {
        for (unsigned k = 0; k < p->sq_entries; k++) {
            uint64_t *w = (void *)&ring.sqes[k];
            for (unsigned j = 0; j < sizeof(*ring.sqes) / 8; j++)
                w[j] = ch_random();
            ring.sqes[k].opcode = (uint8_t)(ch_random() % 60);
            ring.sqes[k].addr = (uintptr_t)buf; /* our own memory is not the aim */
            ring.sqes[k].len = 64;
            atomic_store(at(p->sq_off.array) + k, (uint32_t)ch_random() % (2 * p->sq_entries));
        }
        atomic_store(at(p->sq_off.tail),
                     atomic_load(at(p->sq_off.tail)) + (uint32_t)ch_random() % 9);
        if (ch_random() % 8 == 0)
            atomic_store(at(p->cq_off.head), (uint32_t)ch_random());
        syscall(SYS_io_uring_enter, ring.fd, (uint32_t)ch_random() % 16, 0,
                (uint32_t)ch_random() & ~(uint32_t)IORING_ENTER_SQ_WAIT, buf, ch_random() % 64);
        atomic_fetch_add(&board->tries, 1);
    }
    uint32_t gone = (uint32_t)slot;
    ch_ask(ch_request(GW_CLOSE, 0, 4), &gone, 4);
    open_slot(); /* the gofer still puts files in and takes them out */
    ch_alive("a trampled ring");
}

static const struct way *const all_ways[] = { &way_root, &way_user, &way_user_plain, NULL };

const struct attack taken_attacks[] = {
    { "operations", operations, NULL, NULL, NULL, false, true, all_ways, "ring", &way_root, NULL,
      false },
    { "opens", opens, NULL, NULL, NULL, false, true, all_ways, "ring,emptyroot,landlock", &way_user,
      NULL, false },
    { "slots", slots, NULL, NULL, NULL, false, true, all_ways, NULL, NULL, NULL, false },
    { "registers", registers, NULL, NULL, NULL, false, true, all_ways, "sentryfilter", &way_root,
      NULL, false },
    { "trampled", trampled, NULL, NULL, NULL, false, true, all_ways, NULL, NULL, NULL, false },
};
const unsigned taken_nattacks = ARRAY_SIZE(taken_attacks);
