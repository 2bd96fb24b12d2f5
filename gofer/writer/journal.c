/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal: one file for each directory that is written to, in the caller's state directory and not
 * in the tree, which may come from strangers and hold whatever it likes.
 *
 *   staging NAME   a stage of that name is being filled: the next writer removes it
 *   moving NAME    everything is staged, renames follow: the next writer does what is not done
 *   moved NAME     nothing but the stage's removal is left
 *
 * Each state replaces the last by a rename behind an fsync. Every move can be done again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/types.h"
#include "gofer/writer/priv.h"

#define MAGIC "sbx-apply 1 "
#define STAGE ".sbx-apply-"
#define NEW "new"
#define OPS_MAX 10000000u

struct journal_head {
    char text[64]; /* MAGIC, state, name of the stage; a line */
    uint32_t nops, zero;
};

static int write_all(int fd, const void *p, size_t n)
{
    const char *at = p;

    while (n > 0) {
        ssize_t r = write(fd, at, n);

        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return r < 0 ? -errno : -EIO;
        at += r;
        n -= (size_t)r;
    }
    return 0;
}

int read_all(int fd, void *p, size_t n, int ended)
{
    char *at = p;

    while (n > 0) {
        ssize_t r = read(fd, at, n);

        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return r < 0 ? -errno : -ended;
        at += r;
        n -= (size_t)r;
    }
    return 0;
}

/* Small pieces, one write for many of them. */
struct out {
    int fd, error;
    size_t used;
    char buf[65536];
};

static void put(struct out *o, const void *p, size_t n)
{
    if (o->used + n > sizeof o->buf) {
        o->error = o->error ? o->error : write_all(o->fd, o->buf, o->used);
        o->used = 0;
    }
    memcpy(o->buf + o->used, p, n); /* n is at most a path */
    o->used += n;
}

static int put_state(const struct journal *j, const char *state, const struct plan *p)
{
    struct journal_head h = { .nops = p ? p->n : 0 };
    struct out *o = malloc(sizeof *o);
    char tmp[80];
    int r;

    if (!o)
        return -ENOMEM;
    snprintf(h.text, sizeof h.text, MAGIC "%s %s\n", state, j->name);
    snprintf(tmp, sizeof tmp, "%s." NEW, j->file);
    o->fd = openat(j->state, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    o->error = 0;
    o->used = 0;
    if (o->fd < 0) {
        r = -errno;
        free(o);
        return r;
    }
    put(o, &h, sizeof h);
    for (unsigned i = 0; p && i < p->n; i++) {
        put(o, &p->ops[i], offsetof(struct op, path));
        put(o, p->ops[i].path, p->ops[i].path_len);
    }
    r = o->error ? o->error : write_all(o->fd, o->buf, o->used);
    if (r == 0 && fsync(o->fd) < 0)
        r = -errno;
    if (r == 0 && renameat(j->state, tmp, j->state, j->file) < 0)
        r = -errno;
    if (r < 0)
        unlinkat(j->state, tmp, 0);
    else if (fsync(j->state) < 0)
        r = -errno;
    close(o->fd);
    free(o);
    return r;
}

static int read_ops(int fd, uint32_t n, struct plan *p)
{
    if (n > OPS_MAX)
        return -EBADMSG;
    for (uint32_t i = 0; i < n; i++) {
        char path[4096];
        struct op raw, *op;
        int r = read_all(fd, &raw, offsetof(struct op, path), EBADMSG);

        if (r == 0 && (raw.path_len == 0 || raw.path_len >= sizeof path || raw.n != i ||
                       raw.kind < OP_MKDIR || raw.kind > OP_ATTR))
            r = -EBADMSG;
        if (r == 0)
            r = read_all(fd, path, raw.path_len, EBADMSG);
        if (r < 0)
            return r;
        path[raw.path_len] = 0;
        if (!changes_path_ok(path, raw.path_len))
            return -EBADMSG;
        op = plan_add(p, raw.kind, path);
        if (!op)
            return -ENOMEM;
        raw.path = op->path;
        *op = raw;
    }
    return 0;
}

/* A journal's file is named by the directory that it is of. */
static int journal_name(int dir, struct journal *j)
{
    struct stat st;

    if (fstat(dir, &st) < 0)
        return -errno;
    snprintf(j->file, sizeof j->file, "apply-%llx-%llx", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    return 0;
}

bool apply_interrupted(int state, int dir)
{
    struct journal j;

    char half[sizeof j.file + 8]; /* it was ended while it wrote the journal */

    if (journal_name(dir, &j) < 0)
        return false;
    snprintf(half, sizeof half, "%s." NEW, j.file);
    return faccessat(state, j.file, F_OK, 0) == 0 || faccessat(state, half, F_OK, 0) == 0;
}

static bool stage_name_ok(const char *name)
{
    return strncmp(name, STAGE, strlen(STAGE)) == 0 && strlen(name) == strlen(STAGE) + 16 &&
           strspn(name + strlen(STAGE), "0123456789abcdef") == 16;
}

static int open_stage(struct journal *j)
{
    j->stage = openat(j->dir, j->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return j->stage < 0 ? -errno : 0;
}

int journal_recover(int state, int dir, const char **ret_what)
{
    struct journal j = { .state = state, .dir = dir, .stage = -1 };
    struct journal_head h;
    struct plan p = { 0 };
    char word[16] = "", half[sizeof j.file + 8];
    const char *at;
    int r = journal_name(dir, &j), fd;

    *ret_what = NULL;
    if (r < 0)
        return r;
    snprintf(half, sizeof half, "%s." NEW, j.file);
    unlinkat(state, half, 0);
    fd = openat(state, j.file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    r = read_all(fd, &h, sizeof h, EBADMSG);
    h.text[sizeof h.text - 1] = 0;
    if (r == 0 &&
        (strncmp(h.text, MAGIC, strlen(MAGIC)) != 0 ||
         sscanf(h.text + strlen(MAGIC), "%15s %47s", word, j.name) != 2 || !stage_name_ok(j.name)))
        r = -EBADMSG;
    if (r == 0 && strcmp(word, "moving") == 0) {
        r = read_ops(fd, h.nops, &p);
        if (r == 0)
            r = open_stage(&j);
        *ret_what = "an interrupted one was finished";
        if (r ==
            -ENOENT) { /* somebody removed it; or that directory, whose number is another's now */
            *ret_what = "what an interrupted one had left is gone";
            r = 0;
        } else if (r == 0 && (r = journal_move(&j, &p, /* again= */ true, &at)) < 0) {
            *ret_what = "an interrupted one was undone";
        }
        if (r < 0 && r != -EREMOTEIO && j.stage >= 0)
            r = 0; /* it could not go on, and all was taken back */
    } else if (r == 0) {
        *ret_what = strcmp(word, "staging") == 0 ? "an interrupted one was undone" : NULL;
    }
    close(fd);
    return r < 0 ? r : journal_end(&j);
}

int journal_begin(int state, int dir, struct journal *ret)
{
    struct journal j = { .state = state, .dir = dir, .stage = -1 };
    uint64_t random;
    int r = journal_name(dir, &j);

    if (r < 0)
        return r;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return -errno;
    snprintf(j.name, sizeof j.name, STAGE "%016llx", (unsigned long long)random);
    r = put_state(&j, "staging", NULL);
    if (r < 0)
        return r;
    if (mkdirat(dir, j.name, 0700) < 0)
        r = -errno;
    if (r == 0)
        r = open_stage(&j);
    *ret = j;
    if (r < 0)
        journal_end(ret);
    return r;
}

int journal_commit(struct journal *j, const struct plan *p)
{
    if (syncfs(j->stage) < 0)
        return -errno;
    return put_state(j, "moving", p);
}

int journal_end(struct journal *j)
{
    int r = 0;

    if (j->stage >= 0) {
        syncfs(j->stage);
        r = put_state(j, "moved", NULL);
        close(j->stage);
        j->stage = -1;
    }
    if (r == 0)
        r = tree_remove(j->dir, j->name);
    if (r == 0 && unlinkat(j->state, j->file, 0) < 0 && errno != ENOENT)
        r = -errno;
    return r;
}
