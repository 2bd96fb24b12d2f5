/* SPDX-License-Identifier: Apache-2.0 */
/* See learn.h. Bounded: ENTRIES_MAX different things of TEXT_MAX bytes in all; that there were more is told. */
#include "sentry/learn.h"

#include <arpa/inet.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "cli/control.h"
#include "sentry/kernel/kernel.h"
#include "sentry/net/inet.h"
#include "sentry/start.h"
#include "sentry/vfs/vfs.h"

#define ENTRIES_MAX 8192u
#define TEXT_MAX (1u << 20)
#define SLOTS (2 * ENTRIES_MAX) /* open addressing, never more than half full */

static struct {
    pthread_mutex_t lock; /* a leaf */
    char *entries[SLOTS]; /* a letter (enum learned), then the text */
    unsigned n, bytes;
    bool more;
} learned = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void add(enum learned what, const char *text)
{
    char entry[PATH_MAX + 2];
    int len = snprintf(entry, sizeof entry, "%c%s", (char)what, text);
    unsigned at;

    if (len < 0 || len >= (int)sizeof entry)
        return;
    at = (unsigned)XXH3_64bits(entry, (size_t)len) % SLOTS;
    pthread_mutex_lock(&learned.lock);
    while (learned.entries[at] && strcmp(learned.entries[at], entry) != 0)
        at = (at + 1) % SLOTS;
    if (!learned.entries[at]) {
        bool fits = learned.n < ENTRIES_MAX && learned.bytes + (unsigned)len < TEXT_MAX &&
                    (size_t)len < sizeof(((struct control_msg *)0)->text);

        learned.entries[at] = fits ? strdup(entry) : NULL;
        if (learned.entries[at]) {
            learned.n++;
            learned.bytes += (unsigned)len;
        } else {
            learned.more = true;
        }
    }
    pthread_mutex_unlock(&learned.lock);
}

static void add_path(struct task *t, enum learned what, const struct path *p)
{
    char buf[PATH_MAX];
    const char *at = path_string(t, p, buf, sizeof buf);

    if (!IS_ERR(at) && *at == '/')
        add(what, at);
}

void learn_file(struct task *t, const struct file *f)
{
    const struct mount *m = f->path.mnt;

    if (!t || !m)
        return;
    if (f->mode & FMODE_WRITE && strcmp(m->sb->type, "overlay") == 0)
        add_path(t, LEARNED_WRITTEN, &f->path);
    else if (m->sb->learn)
        add_path(t, LEARNED_READ, &f->path);
}

/* To look at a directory shows nothing of what is in it, so that is not asked for. */
void learn_look(struct task *t, const struct path *p)
{
    if (t && p->mnt && p->mnt->sb->learn && S_ISREG(dentry_inode(p->dentry)->mode))
        add_path(t, LEARNED_READ, p);
}

void learn_link(struct task *t, const struct path *p)
{
    if (t && p->mnt && p->mnt->sb->learn)
        add_path(t, LEARNED_READ, p);
}

void learn_peer(const char *name, size_t len, const struct inet_addr *a)
{
    char text[300], ip[INET6_ADDRSTRLEN + 2] = "?";

    if (!kernel.learn)
        return;
    if (inet_is_v4(a)) {
        inet_ntop(AF_INET, a->ip.s6_addr + 12, ip, sizeof ip);
    } else {
        inet_ntop(AF_INET6, &a->ip, ip + 1, sizeof ip - 2);
        ip[0] = '[';
        strcat(ip, "]");
    }
    snprintf(text, sizeof text, a->port ? "%.*s:%u" : "%.*s", len ? (int)MIN(len, 255u) : 64,
             len ? name : ip, a->port);
    add(LEARNED_PEER, text);
}

void learn_listen(uint16_t port)
{
    char text[16];

    if (!kernel.learn)
        return;
    snprintf(text, sizeof text, "%u", port);
    add(LEARNED_PORT, text);
}

void learn_send(void)
{
    if (!kernel.learn)
        return;
    pthread_mutex_lock(&learned.lock);
    for (unsigned i = 0; i < SLOTS; i++) {
        if (learned.entries[i])
            control_send(CTL_LEARNED, 0, "%s", learned.entries[i]);
    }
    if (learned.more)
        control_send(CTL_LEARNED, 1, NULL);
    pthread_mutex_unlock(&learned.lock);
}
