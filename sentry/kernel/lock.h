/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sentry's short locks: never held while guest code runs, over a gofer trip or over host I/O
 * (what may be held there is a struct tlock, wait.h). Each lock belongs to a class; a thread takes
 * classes only in rising order (the table stands in kernel.h). Every build checks ownership; a
 * build with SBX_DEBUG also checks the order.
 *
 * A lock is one word, so that inodes and files, which have several, stay small: 0 is free, else the
 * owner's thread id, with LOCK_WAITED when somebody may sleep on it. Whoever slept takes it with
 * that bit, since it cannot know whether others sleep still; an unlock too many wakes nobody.
 *
 *      unlock                                     lock
 *      ------                                     ----
 *      old = exchange(word, 0)       (A)          word |= LOCK_WAITED           (C)
 *      old has LOCK_WAITED: wake one (B)          sleep while the word is that  (D)
 *
 * C before A: B wakes. A before C: C fails, since it is a compare-and-swap of a held word.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum lock_class {
    LOCK_NONE,
    LOCK_IPC,      /* 1  ids of System V; files are made and let go under it */
    LOCK_MOUNTS,   /* 2  the mount tree */
    LOCK_DCACHE,   /* 3  dentry tree and hash */
    LOCK_EPOLL,    /* 4  an epoll set's items; held while members are polled */
    LOCK_NET,      /* 5  port and name tables of sockets */
    LOCK_SOCKET,   /* 6  one socket, or one connected pair */
    LOCK_TTY,      /* 7  one terminal */
    LOCK_OBJECT,   /* 8  pipe, eventfd, timerfd, inotify, ... : one object */
    LOCK_INODE,    /* 9  an inode's attributes, small data and locks */
    LOCK_FILES,    /* 10 a descriptor table */
    LOCK_FS,       /* 11 cwd, root, umask of a task */
    LOCK_MM,       /* 12 the record of an address space */
    LOCK_TASKS,    /* 13 process tree, ids, groups, sessions, all signal state */
    LOCK_WQ,       /* 14 one wait queue */
    LOCK_EPREADY,  /* 15 an epoll set's ready list (taken from a wake) */
    LOCK_WQ_EPOLL, /* 16 the wait queue of an epoll set itself */
    LOCK_TIMERS,   /* 17 the timer heap */
    LOCK_READY,    /* 18 ready lists of workers */
    LOCK_PLATFORM, /* 19 what a platform keeps */
    LOCK_LEAF,     /* 20 takes nothing below it */
};

#define LOCK_WAITED 0x80000000u

struct lock {
    _Atomic uint32_t word;
    unsigned char class;
};

void lock_init(struct lock *l, enum lock_class class);
void lock_done(struct lock *l);
void lock(struct lock *l);
void unlock(struct lock *l);
bool trylock(struct lock *l);

/* Takes two locks of one class, by address; a == b is taken once. */
void lock_pair(struct lock *a, struct lock *b);
void unlock_pair(struct lock *a, struct lock *b);

/* A second lock of a class already held, where the caller knows an order (parent before child). */
void lock_nested(struct lock *l);

/* Ends the sentry when the calling thread does not hold l. First line of each *_locked function. */
void assert_locked(struct lock *l);

static inline void lock_cleanup_(struct lock **l)
{
    if (*l)
        unlock(*l);
}

/* LOCK_SCOPE(&x->lock): held to the end of the enclosing block. */
#define LOCK_CAT2(a, b) a##b
#define LOCK_CAT(a, b) LOCK_CAT2(a, b)
#define LOCK_SCOPE(l)                                                                              \
    __attribute__((cleanup(lock_cleanup_), unused)) struct lock *LOCK_CAT(                         \
        scope_, __LINE__) = (lock(l), (l))
