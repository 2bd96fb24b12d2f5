/* SPDX-License-Identifier: Apache-2.0 */
/* Keyrings: links, and the search along them; see key.h. */
#include <errno.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/keys/key.h"

#define LINK_BYTES 4 /* what a link counts of its owner's quota */

static bool is_ring(const struct key *k)
{
    return k->type == &key_type_keyring;
}

struct key *keyring_find(const struct key *ring, const struct key_type *type, const char *desc)
{
    for (unsigned i = 0; i < ring->nlinks; i++) {
        if (ring->links[i]->type == type && !strcmp(ring->links[i]->desc, desc))
            return ring->links[i];
    }
    return NULL;
}

static void remove_at(struct key *ring, unsigned i)
{
    struct key *k = ring->links[i];

    ring->links[i] = ring->links[--ring->nlinks];
    (void)key_recharge(ring, ring->nlinks * LINK_BYTES);
    key_put(k);
}

int keyring_unlink(struct key *ring, const struct key *k)
{
    assert_locked(&keys_lock);
    if (!is_ring(ring))
        return -ENOTDIR;
    for (unsigned i = 0; i < ring->nlinks; i++) {
        if (ring->links[i] == k) {
            remove_at(ring, i);
            return 0;
        }
    }
    return -ENOENT;
}

void keyring_clear(struct key *ring)
{
    assert_locked(&keys_lock);
    while (ring->nlinks)
        remove_at(ring, ring->nlinks - 1);
}

/*
 * Rings below k, k among them, each looked at once: is `what` one of them, and how deep do they go? A
 * ring that is reached by two ways is followed by the first only; so depth is a lower bound, which is
 * all that recursion has to be safe from: walks stop at KEY_DEPTH_MAX anyway.
 */
struct walk {
    unsigned stamp;
    const struct key *what;
    bool found;
    unsigned deepest;
};

static unsigned stamps;

static void walk_down(struct walk *w, struct key *k, unsigned depth)
{
    if (k == w->what)
        w->found = true;
    w->deepest = MAX(w->deepest, depth);
    if (depth > KEY_DEPTH_MAX || w->found || k->seen == w->stamp)
        return;
    k->seen = w->stamp;
    for (unsigned i = 0; i < k->nlinks; i++) {
        if (is_ring(k->links[i]))
            walk_down(w, k->links[i], depth + 1);
    }
}

static int check_circle(const struct key *ring, struct key *k)
{
    struct walk w = { .stamp = ++stamps, .what = ring };

    if (!is_ring(k))
        return 0;
    walk_down(&w, k, 1);
    return w.found ? -EDEADLK : w.deepest > KEY_DEPTH_MAX ? -ELOOP : 0;
}

static int make_room(struct key *ring)
{
    unsigned cap = ring->cap ? 2 * ring->cap : 4;
    struct key **links;

    if (ring->nlinks < ring->cap)
        return 0;
    links = krealloc(ring->links, cap * sizeof *links);
    if (!links)
        return -ENOMEM;
    ring->links = links;
    ring->cap = cap;
    return 0;
}

int keyring_link(struct key *ring, struct key *k)
{
    struct key *old;
    int r;

    assert_locked(&keys_lock);
    if (!is_ring(ring))
        return -ENOTDIR;
    if (ring->restricted)
        return -EPERM;
    r = check_circle(ring, k);
    if (r < 0)
        return r;
    old = keyring_find(ring, k->type, k->desc);
    if (old == k)
        return 0;
    if (old) {
        for (unsigned i = 0; i < ring->nlinks; i++) {
            if (ring->links[i] == old)
                ring->links[i] = key_get(k);
        }
        key_put(old);
        return 0;
    }
    r = make_room(ring);
    if (r == 0)
        r = key_recharge(ring, (ring->nlinks + 1) * LINK_BYTES);
    if (r == 0)
        ring->links[ring->nlinks++] = key_get(k);
    return r;
}

/* ---- searching ---- */

struct search {
    struct task *t;
    unsigned stamp;
    const struct key_type *type;
    const char *desc;
    const struct key *like;
    bool possessed;
    int error; /* of what was found and does not do */
    struct key *found;
};

/* Is it what is looked for? Sets found, or error when there is something wrong with it. */
static void consider(struct search *s, struct key *k)
{
    struct key_ref ref = { k, s->possessed };
    int r;

    if (s->type ? k->type != s->type || strcmp(k->desc, s->desc) != 0 : k != s->like)
        return;
    r = s->type ? key_validate(k) : 0;
    if (r == 0)
        r = key_permission(s->t, &ref, KEY_SEARCH);
    if (r == 0)
        s->found = k;
    else if (s->error == -EAGAIN || r != -EACCES)
        s->error = r;
}

static void search_in(struct search *s, struct key *ring, unsigned depth)
{
    struct key_ref ref = { ring, s->possessed };

    if (depth >= KEY_DEPTH_MAX || ring->seen == s->stamp)
        return;
    ring->seen = s->stamp;
    if (key_validate(ring) < 0 || key_permission(s->t, &ref, KEY_SEARCH) < 0)
        return;
    for (unsigned i = 0; i < ring->nlinks && !s->found; i++)
        consider(s, ring->links[i]);
    for (unsigned i = 0; i < ring->nlinks && !s->found; i++) {
        if (is_ring(ring->links[i]))
            search_in(s, ring->links[i], depth + 1);
    }
}

int keyring_search(struct task *t, struct key_ref ring, const struct key_type *type,
                   const char *desc, const struct key *like, struct key_ref *ret)
{
    struct search s = { .t = t,
                        .stamp = ++stamps,
                        .type = type,
                        .desc = desc,
                        .like = like,
                        .possessed = ring.possessed,
                        .error = -EAGAIN };
    int r;

    assert_locked(&keys_lock);
    if (!is_ring(ring.key))
        return -ENOTDIR;
    r = key_permission(t, &ring, KEY_SEARCH);
    if (r < 0)
        return r;
    consider(&s, ring.key);
    if (!s.found)
        search_in(&s, ring.key, 0);
    if (!s.found)
        return s.error;
    *ret = (struct key_ref){ s.found, ring.possessed };
    return 0;
}

static void drop_from(struct key *ring, void *arg)
{
    if (ring->nlinks)
        (void)keyring_unlink(ring, arg);
}

void key_invalidate(struct key *k)
{
    assert_locked(&keys_lock);
    k->invalid = true;
    key_get(k); /* nothing is freed in the walk */
    keys_each(drop_from, k);
    key_put(k);
}
