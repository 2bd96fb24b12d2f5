/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of fanotify: marks, and events one by one. */
#pragma once

#include <sys/fanotify.h>

#include "mounts.h"

static char buf[16384];
static ssize_t len, pos;

static inline void touch(const char *name)
{
    int fd = open(name, O_CREAT | O_WRONLY, 0644);

    CHECK(fd >= 0);
    close(fd);
}

static inline int mark(int fan, unsigned flags, uint64_t mask, const char *path)
{
    return fanotify_mark(fan, flags, mask, AT_FDCWD, path);
}

/* The next event; NULL: none. */
static inline struct fanotify_event_metadata *next(int fan)
{
    struct fanotify_event_metadata *m;

    if (pos >= len) {
        len = read(fan, buf, sizeof buf);
        pos = 0;
        if (len <= 0)
            return NULL;
    }
    m = (void *)(buf + pos);
    pos += m->event_len;
    CHECK_EQ(m->vers, FANOTIFY_METADATA_VERSION);
    CHECK_EQ(m->metadata_len, sizeof *m);
    return m;
}

#define EXPECT(fan, want, who)                                                                     \
    do {                                                                                           \
        struct fanotify_event_metadata *m_ = next(fan);                                            \
        CHECK(m_ != NULL);                                                                         \
        if (m_) {                                                                                  \
            CHECK_EQ(m_->mask, want);                                                              \
            CHECK_EQ(m_->pid, who);                                                                \
            if (m_->fd >= 0)                                                                       \
                close(m_->fd);                                                                     \
        }                                                                                          \
    } while (0)

#define NOTHING(fan) CHECK(next(fan) == NULL)
