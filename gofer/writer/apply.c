/* SPDX-License-Identifier: Apache-2.0 */
/* The writer, from its fence to its last word: see apply.h. */
#include "gofer/writer/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/fence.h"
#include "abi/landlock.h"
#include "abi/types.h"
#include "abi/unfenced.h"
#include "abi/without.h"
#include "fence_writer.h"
#include "gofer/writer/priv.h"

#define CHUNK 262144
#define SAME_MAX 1024 /* names of one object are looked for in so many of the last files */

#define CAP(n) (1ull << (n))
#define CAP_DAC_OVERRIDE 1
#define CAP_FOWNER 3

void apply_say(const struct apply_job *job, enum apply_type type, const char *path, const char *why)
{
    static struct apply_msg m;

    memset(&m, 0, sizeof m);
    m.type = type;
    snprintf(m.path, sizeof m.path, "%s", path);
    snprintf(m.why, sizeof m.why, "%s", why);
    send(job->report, &m, sizeof m, MSG_NOSIGNAL);
}

static int say_failed(const struct apply_job *job, const char *path, const char *doing, int err)
{
    char why[160];

    snprintf(why, sizeof why, "%s: %s", doing, strerror(err));
    apply_say(job, APPLY_FAILED, path, why);
    return -err;
}

/* ---- the fence ---- */

static int landlock(const struct apply_job *job)
{
    /* All of files, directories and links; nothing is executed, no device, socket or FIFO is made. */
    const uint64_t rights = LANDLOCK_WRITE_FILE | LANDLOCK_READ_FILE | LANDLOCK_READ_DIR |
                            LANDLOCK_REMOVE_DIR | LANDLOCK_REMOVE_FILE | LANDLOCK_MAKE_DIR |
                            LANDLOCK_MAKE_REG | LANDLOCK_MAKE_SYM;
    uint64_t more = 0;
    int ruleset, r;

    if ((job->without & SBX_WITHOUT_LANDLOCK) || unfenced("landlock") || landlock_abi() < 2)
        return 0; /* the first ABI refuses every rename into another directory */
    more |= LANDLOCK_REFER;
    if (landlock_abi() >= 3)
        more |= LANDLOCK_TRUNCATE;
    ruleset = landlock_new();
    if (ruleset < 0)
        return ruleset == -EOPNOTSUPP ? 0 : ruleset;
    r = landlock_allow(ruleset, job->dir, rights | more);
    if (r == 0)
        r = landlock_allow(ruleset, job->state, rights | more);
    if (r == 0)
        return landlock_enter(ruleset);
    close(ruleset);
    return r;
}

int apply_fence(const struct apply_job *job)
{
    static const int none[] = { RLIMIT_CORE, RLIMIT_NPROC, RLIMIT_MSGQUEUE, RLIMIT_MEMLOCK };
    int r;

    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    r = fence_limits(none, ARRAY_SIZE(none));
    if (r == 0)
        r = landlock(job);
    if (r == 0)
        r = fence_capabilities(job->root ? CAP(CAP_DAC_OVERRIDE) | CAP(CAP_FOWNER) : 0);
    fence_no_new_code();
    if (r < 0 || (job->without & SBX_WITHOUT_SECCOMP))
        return r;
    return fence_apply(fence_writer, ARRAY_SIZE(fence_writer));
}

/* ---- content ---- */

static int copy_content(const struct apply_job *job, const struct apply_change *a, int to)
{
    const struct change_want want = { a->index };
    struct change_data head;
    static char buf[CHUNK];
    int r = send(job->source, &want, sizeof want, MSG_NOSIGNAL) == sizeof want ? 0 : -EPIPE;

    if (r == 0)
        r = read_all(job->source, &head, sizeof head, EPIPE);
    if (r == 0 && head.size < 0)
        r = head.size > -4096 ? (int)head.size : -EIO;
    if (r == 0 && (uint64_t)head.size > a->head.size)
        r = -EFBIG; /* not what the user agreed to */
    for (int64_t left = r == 0 ? head.size : 0; r == 0 && left > 0;) {
        size_t n = (size_t)MIN(left, (int64_t)sizeof buf);

        r = read_all(job->source, buf, n, EPIPE);
        for (size_t off = 0; r == 0 && off < n;) {
            ssize_t w = write(to, buf + off, n - off);

            if (w < 0 && errno != EINTR)
                r = -errno;
            off += w > 0 ? (size_t)w : 0;
        }
        left -= (int64_t)n;
    }
    return r;
}

struct same {
    uint64_t ino;
    unsigned n;
};

static int stage_file(const struct apply_job *job, int stage, const struct apply_change *a,
                      struct op *op, const char *name)
{
    const struct timespec t[2] = { { 0, UTIME_OMIT }, { a->head.mtime_sec, a->head.mtime_nsec } };
    static struct same last[SAME_MAX];
    static unsigned nlast;
    int fd, r;

    for (unsigned i = 0; a->head.ino && i < MIN(nlast, SAME_MAX); i++) {
        char other[16];

        snprintf(other, sizeof other, "%u", last[i].n);
        if (last[i].ino == a->head.ino && linkat(stage, other, stage, name, 0) == 0)
            return 0;
    }
    fd = openat(stage, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    r = copy_content(job, a, fd);
    if (r == 0 && (fchmod(fd, op->mode) < 0 || futimens(fd, t) < 0))
        r = -errno;
    close(fd);
    if (a->head.ino)
        last[nlast++ % SAME_MAX] = (struct same){ a->head.ino, op->n };
    return r;
}

/* new_ino of an op is the number of its change until here. */
static const struct apply_change *change_of(const struct apply_job *job, const struct op *op)
{
    unsigned lo = 0, hi = job->n;

    while (lo < hi) {
        unsigned mid = lo + (hi - lo) / 2;
        int c = strcmp(op->path, job->changes[mid].path);

        if (c == 0)
            return &job->changes[mid];
        if (c < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

static int stage_all(const struct apply_job *job, int stage, struct plan *p)
{
    for (unsigned i = 0; i < p->n; i++) {
        struct op *op = &p->ops[i];
        const struct apply_change *a = change_of(job, op);
        char name[16];
        struct stat st = { .st_ino = 0 };
        int r;

        if (op->kind != OP_PUT && op->kind != OP_SWAP)
            continue;
        snprintf(name, sizeof name, "%u", op->n);
        if (!a)
            r = -EINVAL;
        else if (S_ISLNK(a->head.mode))
            r = symlinkat(a->link, stage, name) < 0 ? -errno : 0;
        else
            r = stage_file(job, stage, a, op, name);
        if (r == 0 && fstatat(stage, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            r = -errno;
        if (r < 0)
            return say_failed(job, op->path, "could not be copied", -r);
        op->new_ino = st.st_ino;
    }
    return 0;
}

/* ---- all of it ---- */

static int move(const struct apply_job *job, struct journal *j, const struct plan *p)
{
    const char *at = "";
    int r = journal_commit(j, p);

    if (r < 0)
        return say_failed(job, "", "the journal could not be written", -r);
    r = journal_move(j, p, /* again= */ false, &at);
    if (r == -EREMOTEIO)
        apply_say(job, APPLY_FAILED, at,
                  "could not be written, and not all could be taken back; the next --apply there "
                  "tries again");
    else if (r == -ESTALE)
        apply_say(job, APPLY_FAILED, at, "changed on the host meanwhile");
    else if (r < 0)
        say_failed(job, at, "could not be written", -r);
    return r;
}

static int work(const struct apply_job *job)
{
    struct journal j;
    struct plan p;
    const char *what;
    int r = journal_recover(job->state, job->dir, &what);

    if (r < 0)
        return say_failed(job, "", "what an interrupted one left cannot be mended", -r);
    if (what)
        apply_say(job, APPLY_RECOVERED, "", what);
    r = plan_make(job, &p);
    if (r < 0)
        return say_failed(job, "", "the changes cannot be checked", -r);
    if (p.n == 0)
        return 0;
    r = journal_begin(job->state, job->dir, &j);
    if (r < 0)
        return say_failed(job, "", "nothing can be written there", -r);
    r = stage_all(job, j.stage, &p);
    if (r == 0)
        r = move(job, &j, &p);
    if (r == -EREMOTEIO)
        return r; /* the journal stays */
    int e = journal_end(&j);

    if (r == 0 && e < 0)
        apply_say(job, APPLY_NOTE, j.name, "is written in full, but this is left; remove it");
    return r < 0 ? r : (int)p.n;
}

void apply_main(const struct apply_job *job)
{
    struct apply_msg m = { .type = APPLY_DONE };
    int r;

    prctl(PR_SET_NAME, "sbx-writer");
    if (flock(job->dir, LOCK_EX | LOCK_NB) < 0) {
        apply_say(job, APPLY_FAILED, "", "another sbx is writing there; try again");
        _exit(1);
    }
    r = apply_fence(job);
    if (r < 0)
        say_failed(job, "", "the writer cannot be fenced", -r);
    else
        r = work(job);
    if (r < 0)
        _exit(1);
    m.count = (uint32_t)r;
    send(job->report, &m, sizeof m, MSG_NOSIGNAL);
    _exit(0);
}
