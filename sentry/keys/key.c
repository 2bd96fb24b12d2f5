/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, their users and their quota; see key.h. */
#include "sentry/keys/key.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/limits.h"

#define TABLE 256

struct lock keys_lock = { .class = LOCK_OBJECT };
_Atomic unsigned key_limits[KEY_LIMITS] = { 200, 20000, 1000000, 25000000 };

static struct list table[TABLE];
static struct key_user *users;
static _Atomic uint64_t nkeys;

const struct key_type key_type_keyring = { .name = "keyring", .can_read = true };
static const struct key_type types[] = {
    { .name = "user", .max = 32767, .can_update = true, .can_read = true },
    { .name = "logon", .max = 32767, .can_update = true },
    { .name = "big_key",
      .max = KEY_PAYLOAD_MAX,
      .can_update = true,
      .can_read = true,
      .quota = 16 },
};

const struct key_type *key_type_find(const char *name)
{
    if (!strcmp(name, key_type_keyring.name))
        return &key_type_keyring;
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
        if (!strcmp(name, types[i].name))
            return &types[i];
    }
    return NULL;
}

/* ---- users ---- */

struct key_user *key_user_get(uid_t uid)
{
    struct key_user *u;

    assert_locked(&keys_lock);
    for (u = users; u; u = u->next) {
        if (u->uid == uid)
            return u;
    }
    u = kzalloc(sizeof *u);
    if (!u)
        return NULL;
    u->uid = uid;
    u->next = users;
    users = u;
    return u;
}

void key_quota(uid_t uid, uint64_t *ret_keys, uint64_t *ret_bytes)
{
    *ret_keys = key_limits[uid == 0 ? KEY_LIMIT_ROOT_KEYS : KEY_LIMIT_KEYS];
    *ret_bytes = key_limits[uid == 0 ? KEY_LIMIT_ROOT_BYTES : KEY_LIMIT_BYTES];
}

static int user_charge(struct key_user *u, uint64_t keys, uint64_t bytes, bool overrun)
{
    uint64_t max_keys, max_bytes;

    key_quota(u->uid, &max_keys, &max_bytes);
    if (!overrun && (u->qkeys + keys > max_keys || u->qbytes + bytes > max_bytes))
        return -EDQUOT;
    u->qkeys += keys;
    u->qbytes += bytes;
    return 0;
}

/* ---- life ---- */

static struct list *bucket(int32_t serial)
{
    struct list *l = &table[(uint32_t)serial % TABLE];

    assert_locked(&keys_lock);
    if (!l->next)
        list_init(l);
    return l;
}

struct key *key_by_serial(int32_t serial)
{
    struct list *l = bucket(serial);
    struct key *k;

    list_for_each(k, l, link) {
        if (k->serial == serial)
            return k;
    }
    return NULL;
}

/* At random, so that nobody learns from it how many there are. */
static int32_t new_serial(void)
{
    int32_t s;

    do {
        if (getrandom(&s, sizeof s, 0) != sizeof s)
            s = (int32_t)ktime_now();
        s &= 0x7fffffff;
    } while (s < 3 || key_by_serial(s));
    return s;
}

static uint32_t default_perm(const struct key_type *type)
{
    uint32_t pos = KEY_VIEW | KEY_SEARCH | KEY_LINK | KEY_SETATTR;

    if (type->can_read)
        pos |= KEY_READ;
    if (type == &key_type_keyring || type->can_update)
        pos |= KEY_WRITE;
    return KEY_POS(pos) | KEY_USR(KEY_VIEW);
}

static int key_fill(struct key *k, struct task *t, const char *desc, bool overrun)
{
    const struct cred *c = t->cred;

    k->uid = c->fsuid;
    k->gid = c->fsgid;
    k->desc = kstrdup(desc);
    k->user = key_user_get(k->uid);
    if (!k->desc || !k->user)
        return -ENOMEM;
    k->in_quota = user_charge(k->user, 1, strlen(desc) + 1, overrun) == 0;
    return k->in_quota ? 0 : -EDQUOT;
}

int key_new(struct task *t, const struct key_type *type, const char *desc, uint32_t perm,
            bool overrun, struct key **ret)
{
    struct key *k;
    int r;

    assert_locked(&keys_lock);
    if (!limit_take(LIMIT_KEYS, &nkeys))
        return -EDQUOT;
    k = kzalloc(sizeof *k);
    r = k ? key_fill(k, t, desc, overrun) : -ENOMEM;
    if (r < 0) {
        if (k)
            kfree(k->desc);
        kfree(k);
        limit_give(&nkeys);
        return r;
    }
    k->refs = 1;
    k->type = type;
    k->perm = perm ? perm : default_perm(type);
    k->serial = new_serial();
    k->user->nkeys++;
    list_add_tail(bucket(k->serial), &k->link);
    return *ret = k, 0;
}

struct key *key_get(struct key *k)
{
    assert_locked(&keys_lock);
    k->refs++;
    return k;
}

static void key_free(struct key *k)
{
    list_del(&k->link);
    k->user->nkeys--;
    k->user->qkeys--;
    k->user->qbytes -= strlen(k->desc) + 1 + k->charged;
    if (k->payload)
        explicit_bzero(k->payload, k->len);
    kfree(k->payload);
    kfree(k->desc);
    kfree(k);
    limit_give(&nkeys);
}

/* Rings that fall with a ring wait for their turn: how deep they go is the guest's choice. */
void key_put(struct key *k)
{
    static struct list dead = LIST_INIT(dead);
    static bool clearing;

    assert_locked(&keys_lock);
    if (!k || --k->refs)
        return;
    list_del(&k->link);
    list_add_tail(&dead, &k->link);
    if (clearing)
        return;
    clearing = true;
    while (!list_empty(&dead)) {
        k = list_first(&dead, struct key, link);
        if (k->type == &key_type_keyring)
            keyring_clear(k);
        kfree(k->links);
        key_free(k);
    }
    clearing = false;
}

/* ---- payload ---- */

int key_check_payload(const struct key_type *type, size_t len)
{
    if (!type->max)
        return len ? -EINVAL : 0;
    return len == 0 || len > type->max ? -EINVAL : 0;
}

int key_recharge(struct key *k, size_t charged)
{
    assert_locked(&keys_lock);
    if (charged > k->charged && user_charge(k->user, 0, charged - k->charged, false) < 0)
        return -EDQUOT;
    if (charged < k->charged)
        k->user->qbytes -= k->charged - charged;
    k->charged = charged;
    return 0;
}

int key_set_payload(struct key *k, char *payload, size_t len)
{
    int r = key_recharge(k, k->type->quota ? k->type->quota : len);

    if (r < 0)
        return r;
    if (k->payload)
        explicit_bzero(k->payload, k->len);
    kfree(k->payload);
    k->payload = payload;
    k->len = len;
    k->expiry = 0;
    k->negative = false;
    return 0;
}

/* ---- rights ---- */

int key_chown(struct key *k, uid_t uid, gid_t gid)
{
    size_t bytes = strlen(k->desc) + 1 + k->charged;
    struct key_user *to;

    assert_locked(&keys_lock);
    if (uid != (uid_t)-1 && uid != k->uid) {
        to = key_user_get(uid);
        if (!to)
            return -ENOMEM;
        if (user_charge(to, 1, bytes, false) < 0)
            return -EDQUOT;
        k->user->qkeys--;
        k->user->qbytes -= bytes;
        k->user->nkeys--;
        to->nkeys++;
        k->user = to;
        k->uid = uid;
    }
    if (gid != (gid_t)-1)
        k->gid = gid;
    return 0;
}

int key_validate(const struct key *k)
{
    if (k->invalid)
        return -ENOKEY;
    if (k->revoked)
        return -EKEYREVOKED;
    if (k->expiry && k->expiry <= ktime_real())
        return -EKEYEXPIRED;
    return k->negative ? -ENOKEY : 0;
}

int key_permission(struct task *t, const struct key_ref *r, unsigned need)
{
    const struct key *k = r->key;
    const struct cred *c = t->cred;
    uint32_t perm = k->perm;

    assert_locked(&keys_lock);
    if (k->uid == c->fsuid)
        perm >>= 16;
    else if ((k->perm & KEY_ALL << 8) && cred_in_group(c, k->gid))
        perm >>= 8;
    if (r->possessed)
        perm |= k->perm >> 24;
    return (perm & need) == need ? 0 : -EACCES;
}

/* ---- all of them ---- */

void keys_each(void (*fn)(struct key *k, void *arg), void *arg)
{
    struct key *k, *tmp;

    assert_locked(&keys_lock);
    for (unsigned i = 0; i < TABLE; i++) {
        if (!table[i].next)
            continue;
        list_for_each_safe(k, tmp, &table[i], link)
            fn(k, arg);
    }
}

void key_users_each(void (*fn)(const struct key_user *u, void *arg), void *arg)
{
    assert_locked(&keys_lock);
    for (const struct key_user *u = users; u; u = u->next)
        fn(u, arg);
}
