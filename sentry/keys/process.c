/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which keyrings a thread has: its own, its process's, that of its session, those of its user. The
 * first three are made when they are asked for to be written to. What is found by way of them is
 * possessed, which gives other rights than a number alone.
 */
#include <errno.h>
#include <linux/keyctl.h>
#include <stdio.h>
#include <string.h>

#include "sentry/kernel/kernel.h"
#include "sentry/keys/key.h"

#define RING_PERM (KEY_POS(KEY_ALL) | KEY_USR(KEY_VIEW))

static int make_ring(struct task *t, const char *name, uint32_t perm, bool overrun,
                     struct key **ret)
{
    return key_new(t, &key_type_keyring, name, perm, overrun, ret);
}

/* ---- of users ---- */

/* _uid.N, and _uid_ses.N, which links to it. */
static int user_rings(struct task *t, struct key_user **ret)
{
    struct key_user *u = key_user_get(t->cred->uid);
    uint32_t perm = KEY_POS(KEY_ALL & ~KEY_SETATTR) | KEY_USR(KEY_ALL);
    char name[32];
    int r = u ? 0 : -ENOMEM;

    if (r == 0 && !u->keyring) {
        snprintf(name, sizeof name, "_uid.%u", u->uid);
        r = make_ring(t, name, perm, false, &u->keyring);
        if (r == 0)
            u->keyring->uid_keyring = true;
    }
    if (r == 0 && !u->session) {
        snprintf(name, sizeof name, "_uid_ses.%u", u->uid);
        r = make_ring(t, name, perm, false, &u->session);
        if (r == 0) {
            u->session->uid_keyring = true;
            r = keyring_link(u->session, u->keyring);
        }
    }
    *ret = u;
    return r;
}

/* ---- of sessions ---- */

static void set_session(struct task *t, struct key *ring)
{
    struct key *old = t->keys.session;

    t->keys.session = key_get(ring);
    key_put(old);
}

static int new_session(struct task *t, const char *name)
{
    uint32_t perm = name ? KEY_POS(KEY_ALL) | KEY_USR(KEY_VIEW | KEY_READ | KEY_LINK)
                         : KEY_POS(KEY_ALL) | KEY_USR(KEY_VIEW | KEY_READ);
    struct key *ring;
    int r = make_ring(t, name ? name : "_ses", perm, !t->keys.session, &ring);

    if (r < 0)
        return r;
    set_session(t, ring);
    key_put(ring);
    return 0;
}

struct by_name {
    struct task *t;
    const char *name;
    struct key *found;
};

static void match_name(struct key *k, void *arg)
{
    struct by_name *b = arg;
    struct key_ref ref = { k, false };

    if (!b->found && k->type == &key_type_keyring && !k->revoked && !k->invalid &&
        !strcmp(k->desc, b->name) && key_permission(b->t, &ref, KEY_SEARCH) == 0)
        b->found = k;
}

int keys_join_session(struct task *t, const char *name, int32_t *ret_serial)
{
    struct by_name b = { .t = t, .name = name };
    int r = 0;

    assert_locked(&keys_lock);
    if (name)
        keys_each(match_name, &b);
    if (b.found)
        set_session(t, b.found);
    else
        r = new_session(t, name);
    if (r == 0)
        *ret_serial = t->keys.session->serial;
    return r;
}

/* The session of the one that has started t becomes t's, where they are the same user's. */
int keys_session_to_parent(struct task *t)
{
    struct task *parent;
    int r = 0;

    assert_locked(&keys_lock);
    if (!t->keys.session)
        return 0;
    lock(&kernel.tasks_lock);
    parent = t->group->parent ? t->group->parent->leader : NULL;
    if (!parent || t->group->parent->is_sentry || parent->dead || t->group->parent->nlive != 1)
        r = -EPERM;
    else if (parent->cred->uid != t->cred->euid || parent->cred->euid != t->cred->euid ||
             parent->cred->suid != t->cred->euid || parent->cred->gid != t->cred->egid ||
             parent->cred->egid != t->cred->egid || parent->cred->sgid != t->cred->egid)
        r = -EPERM;
    else
        task_ref(parent);
    unlock(&kernel.tasks_lock);
    if (r < 0)
        return r;
    set_session(parent, t->keys.session);
    task_put(parent);
    return 0;
}

/* ---- what a number names ---- */

static int thread_ring(struct task *t, unsigned flags, struct key **ret)
{
    int r = t->keys.thread ? 0 : flags & KEY_CREATE ? 1 : -ENOKEY;

    if (r == 1)
        r = make_ring(t, "_tid", RING_PERM, true, &t->keys.thread);
    *ret = t->keys.thread;
    return r;
}

static int process_ring(struct task *t, unsigned flags, struct key **ret)
{
    struct key **at = &t->group->process_keyring;
    int r = *at ? 0 : flags & KEY_CREATE ? 1 : -ENOKEY;

    if (r == 1)
        r = make_ring(t, "_pid", RING_PERM, true, at);
    *ret = *at;
    return r;
}

/* Without one of its own a thread has its user's, until it writes to it. */
static int session_ring(struct task *t, unsigned flags, struct key **ret)
{
    struct key *now = t->keys.session;
    struct key_user *u;
    int r = 0;

    if (flags & KEY_CREATE) {
        if (!now || now->uid_keyring)
            r = new_session(t, NULL);
    } else if (!now) {
        r = user_rings(t, &u);
        if (r == 0)
            set_session(t, u->session);
    }
    *ret = t->keys.session;
    return r;
}

static int special(struct task *t, int32_t id, unsigned flags, struct key **ret)
{
    struct key_user *u;
    int r;

    switch (id) {
    case KEY_SPEC_THREAD_KEYRING:
        return thread_ring(t, flags, ret);
    case KEY_SPEC_PROCESS_KEYRING:
        return process_ring(t, flags, ret);
    case KEY_SPEC_SESSION_KEYRING:
        return session_ring(t, flags, ret);
    case KEY_SPEC_USER_KEYRING:
    case KEY_SPEC_USER_SESSION_KEYRING:
        r = user_rings(t, &u);
        if (r == 0)
            *ret = id == KEY_SPEC_USER_KEYRING ? u->keyring : u->session;
        return r;
    case KEY_SPEC_REQKEY_AUTH_KEY: /* nobody is asked to make keys */
        return -ENOKEY;
    default: /* KEY_SPEC_GROUP_KEYRING was never built */
        return -EINVAL;
    }
}

int key_lookup(struct task *t, int32_t id, unsigned flags, unsigned need, struct key_ref *ret)
{
    struct key_ref found;
    int r;

    assert_locked(&keys_lock);
    ret->possessed = id < 0;
    if (id < 0) {
        r = special(t, id, flags, &ret->key);
        if (r < 0)
            return r;
    } else if (id == 0) {
        return -EINVAL;
    } else {
        ret->key = key_by_serial(id);
        if (!ret->key || ret->key->invalid)
            return -ENOKEY;
        ret->possessed = keys_search(t, NULL, NULL, ret->key, &found) == 0;
    }
    if (!(flags & KEY_PARTIAL) || need != KEY_NEED_NOTHING) {
        r = key_validate(ret->key);
        if (r < 0)
            return r;
    }
    return key_permission(t, ret, need);
}

int keys_search(struct task *t, const struct key_type *type, const char *desc,
                const struct key *like, struct key_ref *ret)
{
    struct key *rings[3] = { t->keys.thread, t->group->process_keyring, t->keys.session };
    struct key_user *u = rings[2] ? NULL : key_user_get(t->cred->uid);
    int none = 0, other = -EAGAIN;

    assert_locked(&keys_lock);
    if (u)
        rings[2] = u->session;
    for (unsigned i = 0; i < ARRAY_SIZE(rings); i++) {
        struct key_ref ring = { rings[i], true };
        int r = ring.key ? keyring_search(t, ring, type, desc, like, ret) : -ENODATA;

        if (r == 0)
            return 0;
        if (r == -ENOKEY || (r == -EAGAIN && !none))
            none = r;
        else if (r != -EAGAIN && r != -ENODATA)
            other = r;
    }
    return none ? none
                : other; /* what is wrong with a key counts where nothing else was searched */
}

int keys_default_ring(struct task *t, struct key_ref *ret)
{
    struct key *ring = NULL;
    int which = t->keys.default_ring, r = 0;

    assert_locked(&keys_lock);
    ret->possessed = true;
    if (which == KEY_REQKEY_DEFL_DEFAULT || which == KEY_REQKEY_DEFL_REQUESTOR_KEYRING ||
        which == KEY_REQKEY_DEFL_THREAD_KEYRING)
        ring = t->keys.thread;
    if (!ring && which != KEY_REQKEY_DEFL_SESSION_KEYRING &&
        which != KEY_REQKEY_DEFL_USER_KEYRING && which != KEY_REQKEY_DEFL_USER_SESSION_KEYRING)
        ring = t->group->process_keyring;
    if (!ring && which != KEY_REQKEY_DEFL_USER_KEYRING &&
        which != KEY_REQKEY_DEFL_USER_SESSION_KEYRING)
        ring = t->keys.session;
    if (!ring)
        r = special(t,
                    which == KEY_REQKEY_DEFL_USER_KEYRING ? KEY_SPEC_USER_KEYRING
                                                          : KEY_SPEC_USER_SESSION_KEYRING,
                    0, &ring);
    ret->key = ring;
    return r < 0 ? r : key_permission(t, ret, KEY_WRITE);
}

int keys_set_default(struct task *t, int ring)
{
    int was = t->keys.default_ring, r = 0;
    struct key *k;

    assert_locked(&keys_lock);
    switch (ring) {
    case KEY_REQKEY_DEFL_NO_CHANGE:
        return was;
    case KEY_REQKEY_DEFL_THREAD_KEYRING:
        r = thread_ring(t, KEY_CREATE, &k);
        break;
    case KEY_REQKEY_DEFL_PROCESS_KEYRING:
        r = process_ring(t, KEY_CREATE, &k);
        break;
    case KEY_REQKEY_DEFL_DEFAULT:
    case KEY_REQKEY_DEFL_SESSION_KEYRING:
    case KEY_REQKEY_DEFL_USER_KEYRING:
    case KEY_REQKEY_DEFL_USER_SESSION_KEYRING:
    case KEY_REQKEY_DEFL_REQUESTOR_KEYRING:
        break;
    default:
        return -EINVAL;
    }
    if (r < 0)
        return r;
    t->keys.default_ring = ring;
    return was;
}

/* ---- life of tasks ---- */

void keys_fork(struct task *child, struct task *parent)
{
    LOCK_SCOPE(&keys_lock);
    child->keys.default_ring = parent->keys.default_ring;
    if (parent->keys.session)
        child->keys.session = key_get(parent->keys.session);
}

static void drop(struct key **k)
{
    key_put(*k);
    *k = NULL;
}

void keys_exec(struct task *t)
{
    LOCK_SCOPE(&keys_lock);
    drop(&t->keys.thread);
    drop(&t->group->process_keyring);
}

void keys_exit(struct task *t)
{
    LOCK_SCOPE(&keys_lock);
    drop(&t->keys.thread);
    drop(&t->keys.session);
}

void keys_group_exit(struct tgroup *g)
{
    LOCK_SCOPE(&keys_lock);
    drop(&g->process_keyring);
}
