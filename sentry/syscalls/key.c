/* SPDX-License-Identifier: Apache-2.0 */
/* add_key, request_key, and the search of keyctl. */
#include <errno.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/copy.h"
#include "sentry/syscalls/keyargs.h"
#include "sentry/syscalls/table.h"

int key_get_string(struct task *t, gaddr_t from, size_t cap, char **ret)
{
    char *s;
    ssize_t n;

    *ret = NULL;
    if (!from)
        return 0;
    s = kzalloc(cap);
    if (!s)
        return -ENOMEM;
    n = copy_in_str(t, s, from, cap);
    if (n < 0) {
        kfree(s);
        return n == -ENAMETOOLONG ? -EINVAL : (int)n;
    }
    *ret = s;
    return 0;
}

int key_get_type(struct task *t, gaddr_t from, char name[KEY_TYPE_MAX])
{
    ssize_t n = copy_in_str(t, name, from, KEY_TYPE_MAX);

    if (n < 0)
        return n == -ENAMETOOLONG ? -EINVAL : (int)n;
    if (n == 0)
        return -EINVAL;
    return name[0] == '.' ? -EPERM : 0;
}

int key_get_payload(struct task *t, gaddr_t from, size_t len, char **ret)
{
    *ret = NULL;
    if (!len)
        return 0;
    *ret = kzalloc(len);
    if (!*ret)
        return -ENOMEM;
    return copy_in(t, *ret, from, len);
}

/* ---- add_key ---- */

static int check_desc(const struct key_type *type, const char *desc)
{
    const char *colon;

    if (!desc || !*desc)
        return -EINVAL;
    if (strcmp(type->name, "logon") != 0)
        return 0;
    colon = strchr(desc, ':'); /* a service it belongs to */
    return colon && colon != desc ? 0 : -EINVAL;
}

/* A new key in ring, or a new payload for the one that is there. *payload is NULL once it is taken. */
static long add_locked(struct task *t, struct key *ring, const struct key_type *type,
                       const char *desc, char **payload, size_t len)
{
    struct key *k = type->can_update ? keyring_find(ring, type, desc) : NULL;
    struct key_ref ref = { k, true };
    long r;

    if (k && key_validate(k) == 0) {
        r = key_permission(t, &ref, KEY_WRITE);
        if (r == 0)
            r = key_set_payload(k, *payload, len);
        if (r == 0)
            *payload = NULL;
        return r < 0 ? r : k->serial;
    }
    r = key_new(t, type, desc, 0, /* overrun= */ false, &k);
    if (r < 0)
        return r;
    if (type->max) {
        r = key_set_payload(k, *payload, len);
        if (r == 0)
            *payload = NULL;
    }
    if (r == 0)
        r = keyring_link(ring, k);
    if (r == 0)
        r = k->serial;
    key_put(k);
    return r;
}

static long add(struct task *t, const char *type_name, const char *desc, char **payload, size_t len,
                int32_t ringid)
{
    const struct key_type *type = key_type_find(type_name);
    struct key_ref ring;
    int r;

    LOCK_SCOPE(&keys_lock);
    r = key_lookup(t, ringid, KEY_CREATE, KEY_WRITE, &ring);
    if (r < 0)
        return r;
    if (!type)
        return -ENODEV;
    if (ring.key->type != &key_type_keyring)
        return -ENOTDIR;
    r = key_check_payload(type, len);
    if (r == 0)
        r = check_desc(type, desc);
    if (r < 0)
        return r;
    return ring.key->restricted ? -EPERM : add_locked(t, ring.key, type, desc, payload, len);
}

long sys_add_key(struct task *t, gaddr_t utype, gaddr_t udesc, gaddr_t upayload, size_t len,
                 int ring)
{
    _cleanup_kfree_ char *desc = NULL, *payload = NULL;
    char type[KEY_TYPE_MAX];
    int r;

    if (len > KEY_PAYLOAD_MAX)
        return -EINVAL;
    r = key_get_type(t, utype, type);
    if (r == 0)
        r = key_get_string(t, udesc, KEY_DESC_MAX, &desc);
    if (r == 0 && desc && desc[0] == '.' && !strncmp(type, "keyring", 7))
        r = -EPERM;
    if (r == 0)
        r = key_get_payload(t, upayload, len, &payload);
    return r < 0 ? r : add(t, type, desc, &payload, len, ring);
}

/* ---- looking for keys ---- */

static int link_found(struct task *t, int32_t destid, const struct key_ref *found)
{
    struct key_ref dest;
    int r;

    if (!destid)
        return 0;
    r = key_lookup(t, destid, KEY_CREATE, KEY_WRITE, &dest);
    if (r == 0)
        r = key_permission(t, found, KEY_LINK);
    return r < 0 ? r : keyring_link(dest.key, found->key);
}

#define NEGATIVE_NS 60000000000ll

/*
 * A key is to be made by a program that the kernel would call, and there is none: what is left is a
 * key that says so, for a while, where the real one would be.
 */
static long construct(struct task *t, const struct key_type *type, const char *desc, int32_t destid)
{
    struct key_ref dest;
    struct key *k;
    int r;

    if (!type->max)
        return -EPERM; /* keyrings are not asked for */
    r = destid ? key_lookup(t, destid, KEY_CREATE, KEY_WRITE, &dest) : keys_default_ring(t, &dest);
    if (r == 0)
        r = key_new(t, type, desc, 0, /* overrun= */ false, &k);
    if (r < 0)
        return r;
    k->negative = true;
    k->expiry = ktime_real() + NEGATIVE_NS;
    r = keyring_link(dest.key, k);
    key_put(k);
    return r < 0 ? r : -ENOENT; /* what executing that program says */
}

long sys_request_key(struct task *t, gaddr_t utype, gaddr_t udesc, gaddr_t ucallout, int destid)
{
    _cleanup_kfree_ char *desc = NULL, *callout = NULL;
    char name[KEY_TYPE_MAX];
    const struct key_type *type;
    struct key_ref found, dest;
    int r = key_get_type(t, utype, name);

    if (r == 0)
        r = udesc ? key_get_string(t, udesc, KEY_DESC_MAX, &desc) : -EFAULT;
    if (r == 0)
        r = key_get_string(t, ucallout, PAGE_SIZE_4K, &callout);
    if (r < 0)
        return r;
    LOCK_SCOPE(&keys_lock);
    r = destid ? key_lookup(t, destid, KEY_CREATE, KEY_WRITE, &dest) : 0;
    if (r < 0)
        return r;
    type = key_type_find(name);
    r = type ? keys_search(t, type, desc, NULL, &found) : -ENOKEY;
    if (r == 0)
        r = link_found(t, destid, &found);
    if (r == -EAGAIN)
        return callout ? construct(t, type, desc, destid) : -ENOKEY;
    return r < 0 ? r : found.key->serial;
}

long keyctl_search(struct task *t, int32_t ringid, gaddr_t utype, gaddr_t udesc, int32_t destid)
{
    _cleanup_kfree_ char *desc = NULL;
    char name[KEY_TYPE_MAX];
    const struct key_type *type;
    struct key_ref ring, dest, found;
    int r = key_get_type(t, utype, name);

    if (r == 0)
        r = udesc ? key_get_string(t, udesc, KEY_DESC_MAX, &desc) : -EFAULT;
    if (r < 0)
        return r;
    LOCK_SCOPE(&keys_lock);
    r = key_lookup(t, ringid, 0, KEY_SEARCH, &ring);
    if (r == 0 && destid)
        r = key_lookup(t, destid, KEY_CREATE, KEY_WRITE, &dest);
    if (r < 0)
        return r;
    type = key_type_find(name);
    r = type ? keyring_search(t, ring, type, desc, NULL, &found) : -ENOKEY;
    if (r == 0)
        r = link_found(t, destid, &found);
    return r == 0 ? found.key->serial : r == -EAGAIN ? -ENOKEY : r;
}
