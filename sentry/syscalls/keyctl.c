/* SPDX-License-Identifier: Apache-2.0 */
/* keyctl: decode, ask sentry/keys, encode. */
#include <errno.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <stdio.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/keys/key.h"
#include "sentry/mm/copy.h"
#include "sentry/syscalls/keyargs.h"
#include "sentry/syscalls/table.h"

/* What linux/keyctl.h of this age may lack. */
#define OP_MOVE 30
#define OP_CAPABILITIES 31
#define MOVE_EXCL 1u
#define KEYS_ALL 0x3f3f3f3fu

/* ---- what a key is ---- */

static long ring_id(struct task *t, int32_t id, bool create)
{
    struct key_ref k;
    int r;

    LOCK_SCOPE(&keys_lock);
    r = key_lookup(t, id, create ? KEY_CREATE : 0, KEY_SEARCH, &k);
    return r < 0 ? r : k.key->serial;
}

static long describe_key(struct task *t, int32_t id, gaddr_t buf, size_t len)
{
    size_t cap = KEY_DESC_MAX + 128;
    _cleanup_kfree_ char *text = kzalloc(cap);
    struct key_ref k;
    int r, n = 0;

    if (!text)
        return -ENOMEM;
    lock(&keys_lock);
    r = key_lookup(t, id, KEY_PARTIAL, KEY_VIEW, &k);
    if (r == 0)
        n = snprintf(text, cap, "%s;%d;%d;%08x;%s", k.key->type->name, (int)k.key->uid,
                     (int)k.key->gid, k.key->perm, k.key->desc);
    unlock(&keys_lock);
    if (r < 0)
        return r;
    n++;
    if (buf && len >= (size_t)n && copy_out(t, buf, text, (size_t)n) < 0)
        return -EFAULT;
    return n;
}

/* The bytes of k, or the numbers of what a ring links to: a copy. */
static long content_locked(const struct key *k, char **ret, size_t *ret_len)
{
    size_t len = k->type == &key_type_keyring ? k->nlinks * sizeof(int32_t) : k->len;
    char *copy = kzalloc(len + 1);

    if (!copy)
        return -ENOMEM;
    for (unsigned i = 0; k->type == &key_type_keyring && i < k->nlinks; i++)
        memcpy(copy + i * sizeof(int32_t), &k->links[i]->serial, sizeof(int32_t));
    if (k->type != &key_type_keyring)
        memcpy(copy, k->payload, len);
    *ret = copy;
    *ret_len = len;
    return 0;
}

static long read_key(struct task *t, int32_t id, gaddr_t buf, size_t cap)
{
    _cleanup_kfree_ char *copy = NULL;
    struct key_ref k;
    size_t len = 0;
    long r;

    lock(&keys_lock);
    r = key_lookup(t, id, 0, KEY_NEED_NOTHING, &k);
    if (r < 0)
        r = r == -EKEYREVOKED || r == -EKEYEXPIRED ? r : -ENOKEY;
    else if (key_permission(t, &k, KEY_READ) < 0 && !k.possessed)
        r = -EACCES;
    else if (!k.key->type->can_read)
        r = -EOPNOTSUPP;
    else
        r = content_locked(k.key, &copy, &len);
    unlock(&keys_lock);
    if (r == 0 && buf && len <= cap && len && copy_out(t, buf, copy, len) < 0)
        r = -EFAULT;
    if (copy)
        explicit_bzero(copy, len);
    return r < 0 ? r : (long)len;
}

static long security(struct task *t, int32_t id, gaddr_t buf, size_t cap)
{
    struct key_ref k;
    char none = 0;
    int r;

    lock(&keys_lock);
    r = key_lookup(t, id, KEY_PARTIAL, KEY_VIEW, &k);
    unlock(&keys_lock);
    if (r < 0)
        return r;
    return buf && cap && put_guest(t, buf, &none) < 0 ? -EFAULT : 1;
}

static long capabilities(struct task *t, gaddr_t buf, size_t cap)
{
    /* big_key, invalidate, restrict, move; names and tags of namespaces */
    const uint8_t all[2] = { 0x78, 0x03 };
    uint8_t zero = 0;

    for (size_t i = 0; i < cap && i < PAGE_SIZE_4K; i++) {
        if (put_guest(t, buf + i, i < sizeof all ? &all[i] : &zero) < 0)
            return -EFAULT;
    }
    return sizeof all;
}

/* ---- changing keys ---- */

static long update_key(struct task *t, int32_t id, gaddr_t from, size_t len)
{
    _cleanup_kfree_ char *payload = NULL;
    struct key_ref k;
    int r;

    if (len > PAGE_SIZE_4K)
        return -EINVAL;
    r = key_get_payload(t, from, len, &payload);
    if (r < 0)
        return r;
    LOCK_SCOPE(&keys_lock);
    r = key_lookup(t, id, 0, KEY_WRITE, &k);
    if (r == 0 && !k.key->type->can_update)
        r = -EOPNOTSUPP;
    if (r == 0)
        r = key_check_payload(k.key->type, len);
    if (r == 0)
        r = key_set_payload(k.key, payload, len);
    if (r == 0)
        payload = NULL;
    return r;
}

static long revoke_key(struct task *t, int32_t id)
{
    struct key_ref k;
    int r;

    LOCK_SCOPE(&keys_lock);
    r = key_lookup(t, id, 0, KEY_WRITE, &k);
    if (r == -EACCES)
        r = key_lookup(t, id, 0, KEY_SETATTR, &k);
    if (r < 0)
        return r;
    k.key->revoked = true;
    if (k.key->type == &key_type_keyring)
        keyring_clear(k.key);
    return 0;
}

static long invalidate_key(struct task *t, int32_t id)
{
    struct key_ref k;
    int r;

    LOCK_SCOPE(&keys_lock);
    r = key_lookup(t, id, 0, KEY_SEARCH, &k);
    if (r == 0)
        key_invalidate(k.key);
    return r;
}

static long chown_key(struct task *t, int32_t id, uid_t uid, gid_t gid)
{
    struct key_ref k;
    int r;

    if (uid == (uid_t)-1 && gid == (gid_t)-1)
        return 0;
    LOCK_SCOPE(&keys_lock);
    r = key_lookup(t, id, KEY_CREATE | KEY_PARTIAL, KEY_SETATTR, &k);
    if (r < 0)
        return r;
    if (!task_capable(t, CAP_SYS_ADMIN) &&
        ((uid != (uid_t)-1 && uid != k.key->uid) ||
         (gid != (gid_t)-1 && gid != k.key->gid && !cred_in_group(t->cred, gid))))
        return -EACCES;
    return key_chown(k.key, uid, gid);
}

static long set_perm(struct task *t, int32_t id, uint32_t perm)
{
    struct key_ref k;
    int r;

    if (perm & ~KEYS_ALL)
        return -EINVAL;
    LOCK_SCOPE(&keys_lock);
    r = key_lookup(t, id, KEY_CREATE | KEY_PARTIAL, KEY_SETATTR, &k);
    if (r < 0)
        return r;
    if (k.key->uid != t->cred->fsuid && !task_capable(t, CAP_SYS_ADMIN))
        return -EACCES;
    k.key->perm = perm;
    return 0;
}

static long set_timeout(struct task *t, int32_t id, unsigned seconds)
{
    struct key_ref k;
    int r;

    LOCK_SCOPE(&keys_lock);
    r = key_lookup(t, id, KEY_CREATE | KEY_PARTIAL, KEY_SETATTR, &k);
    if (r == 0)
        k.key->expiry = seconds ? ktime_real() + (int64_t)seconds * 1000000000 : 0;
    return r;
}

/* ---- keyrings ---- */

static long join(struct task *t, gaddr_t uname)
{
    _cleanup_kfree_ char *name = NULL;
    int32_t serial;
    int r = key_get_string(t, uname, KEY_DESC_MAX, &name);

    if (r == 0 && name && name[0] == '.')
        r = -EPERM;
    if (r < 0)
        return r;
    LOCK_SCOPE(&keys_lock);
    r = keys_join_session(t, name, &serial);
    return r < 0 ? r : serial;
}

static long clear_ring(struct task *t, int32_t id)
{
    struct key_ref ring;
    int r;

    LOCK_SCOPE(&keys_lock);
    r = key_lookup(t, id, KEY_CREATE, KEY_WRITE, &ring);
    if (r == 0 && ring.key->type != &key_type_keyring)
        r = -ENOTDIR;
    if (r == 0)
        keyring_clear(ring.key);
    return r;
}

static long link_key(struct task *t, int32_t id, int32_t ringid)
{
    struct key_ref ring, k;
    int r;

    LOCK_SCOPE(&keys_lock);
    r = key_lookup(t, ringid, KEY_CREATE, KEY_WRITE, &ring);
    if (r == 0)
        r = key_lookup(t, id, KEY_CREATE, KEY_LINK, &k);
    return r < 0 ? r : keyring_link(ring.key, k.key);
}

static long unlink_key(struct task *t, int32_t id, int32_t ringid)
{
    struct key_ref ring, k;
    int r;

    LOCK_SCOPE(&keys_lock);
    r = key_lookup(t, ringid, 0, KEY_WRITE, &ring);
    if (r == 0)
        r = key_lookup(t, id, KEY_PARTIAL, KEY_NEED_NOTHING, &k);
    return r < 0 ? r : keyring_unlink(ring.key, k.key);
}

static long move_key(struct task *t, int32_t id, int32_t fromid, int32_t toid, unsigned flags)
{
    struct key_ref k, from, to;
    struct key *there;
    int r;

    if (flags & ~MOVE_EXCL)
        return -EINVAL;
    LOCK_SCOPE(&keys_lock);
    r = key_lookup(t, id, KEY_CREATE, KEY_LINK, &k);
    if (r == 0)
        r = key_lookup(t, fromid, 0, KEY_WRITE, &from);
    if (r == 0)
        r = key_lookup(t, toid, KEY_CREATE, KEY_WRITE, &to);
    if (r < 0 || from.key == to.key)
        return r;
    if (from.key->type != &key_type_keyring || to.key->type != &key_type_keyring)
        return -ENOTDIR;
    if (keyring_find(from.key, k.key->type, k.key->desc) != k.key)
        return -ENOENT;
    there = keyring_find(to.key, k.key->type, k.key->desc);
    if ((flags & MOVE_EXCL) && there)
        return -EEXIST;
    r = keyring_link(to.key, k.key);
    return r < 0 ? r : keyring_unlink(from.key, k.key);
}

/* Only the simplest restriction is there: no more links. */
static long restrict_ring(struct task *t, int32_t id, gaddr_t utype, gaddr_t urestriction)
{
    char type[KEY_TYPE_MAX];
    struct key_ref ring;
    int r;

    if (!utype && urestriction)
        return -EINVAL;
    r = utype ? key_get_type(t, utype, type) : 0;
    if (r < 0)
        return r;
    LOCK_SCOPE(&keys_lock);
    r = key_lookup(t, id, 0, KEY_SETATTR, &ring);
    if (r < 0)
        return r;
    if (ring.key->type != &key_type_keyring)
        return -ENOTDIR;
    if (utype)
        return key_type_find(type) ? -ENOENT : -ENOKEY;
    if (ring.key->restricted)
        return -EEXIST;
    ring.key->restricted = true;
    return 0;
}

long sys_keyctl(struct task *t, int option, unsigned long a2, unsigned long a3, unsigned long a4,
                unsigned long a5)
{
    int32_t id = (int32_t)a2;
    long r;

    switch (option) {
    case KEYCTL_GET_KEYRING_ID:
        return ring_id(t, id, (int)a3);
    case KEYCTL_JOIN_SESSION_KEYRING:
        return join(t, a2);
    case KEYCTL_UPDATE:
        return update_key(t, id, a3, a4);
    case KEYCTL_REVOKE:
        return revoke_key(t, id);
    case KEYCTL_DESCRIBE:
        return describe_key(t, id, a3, a4);
    case KEYCTL_CLEAR:
        return clear_ring(t, id);
    case KEYCTL_LINK:
        return link_key(t, id, (int32_t)a3);
    case KEYCTL_UNLINK:
        return unlink_key(t, id, (int32_t)a3);
    case KEYCTL_SEARCH:
        return keyctl_search(t, id, a3, a4, (int32_t)a5);
    case KEYCTL_READ:
        return read_key(t, id, a3, a4);
    case KEYCTL_CHOWN:
        return chown_key(t, id, (uid_t)a3, (gid_t)a4);
    case KEYCTL_SETPERM:
        return set_perm(t, id, (uint32_t)a3);
    case KEYCTL_INSTANTIATE: /* nobody is asked to, so nobody may */
    case KEYCTL_INSTANTIATE_IOV:
    case KEYCTL_NEGATE:
    case KEYCTL_REJECT:
        return -EPERM;
    case KEYCTL_SET_REQKEY_KEYRING:
        lock(&keys_lock);
        r = keys_set_default(t, id);
        unlock(&keys_lock);
        return r;
    case KEYCTL_SET_TIMEOUT:
        return set_timeout(t, id, (unsigned)a3);
    case KEYCTL_ASSUME_AUTHORITY:
        return id == 0 ? 0 : id < 0 ? -EINVAL : -ENOKEY;
    case KEYCTL_GET_SECURITY:
        return security(t, id, a3, a4);
    case KEYCTL_SESSION_TO_PARENT:
        lock(&keys_lock);
        r = keys_session_to_parent(t);
        unlock(&keys_lock);
        return r;
    case KEYCTL_INVALIDATE:
        return invalidate_key(t, id);
    case KEYCTL_RESTRICT_KEYRING:
        return restrict_ring(t, id, a3, a4);
    case OP_MOVE:
        return move_key(t, id, (int32_t)a3, (int32_t)a4, (unsigned)a5);
    case OP_CAPABILITIES:
        return capabilities(t, a2, a3);
    default: /* persistent keyrings, public keys, notifications: as built without */
        return -EOPNOTSUPP;
    }
}
