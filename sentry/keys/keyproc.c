/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/keys, as far as the reader may see them, and /proc/key-users. */
#include <stdio.h>

#include "sentry/fs/pseudo/pseudo.h"
#include "sentry/kernel/kernel.h"
#include "sentry/keys/key.h"

struct show {
    struct task *t;
    struct ptext *out;
};

static void time_left(const struct key *k, char buf[16])
{
    int64_t s = k->expiry ? (k->expiry - ktime_real()) / 1000000000 : 0;

    if (!k->expiry)
        snprintf(buf, 16, "perm");
    else if (k->expiry <= ktime_real())
        snprintf(buf, 16, "expd");
    else if (s < 60)
        snprintf(buf, 16, "%ds", (int)s);
    else if (s < 60 * 60)
        snprintf(buf, 16, "%dm", (int)(s / 60));
    else if (s < 60 * 60 * 24)
        snprintf(buf, 16, "%dh", (int)(s / 3600));
    else if (s < 60 * 60 * 24 * 7)
        snprintf(buf, 16, "%dd", (int)(s / 86400));
    else
        snprintf(buf, 16, "%dw", (int)(s / (86400 * 7)));
}

static void describe(const struct key *k, struct ptext *out)
{
    pt_puts(out, k->desc);
    if (k->type != &key_type_keyring)
        pt_printf(out, ": %zu", k->len);
    else if (k->nlinks)
        pt_printf(out, ": %u", k->nlinks);
    else
        pt_puts(out, ": empty");
}

static void show_key(struct key *k, void *arg)
{
    struct show *s = arg;
    struct key_ref ref = { k, false }, found;
    char left[16];

    ref.possessed = keys_search(s->t, NULL, NULL, k, &found) == 0;
    if (key_permission(s->t, &ref, KEY_VIEW) < 0)
        return;
    time_left(k, left);
    pt_printf(s->out, "%08x I%c-%c-%c%c %5d %4s %08x %5d %5d %-9.9s ", (unsigned)k->serial,
              k->revoked ? 'R' : '-', k->in_quota ? 'Q' : '-', k->negative ? 'N' : '-',
              k->invalid ? 'i' : '-', k->refs, left, k->perm, (int)k->uid, (int)k->gid,
              k->type->name);
    describe(k, s->out);
    pt_puts(s->out, "\n");
}

void keys_show(struct task *t, struct ptext *out)
{
    struct show s = { t, out };

    if (!t)
        return;
    LOCK_SCOPE(&keys_lock);
    keys_each(show_key, &s);
}

static void show_user(const struct key_user *u, void *arg)
{
    uint64_t keys, bytes;

    if (!u->nkeys)
        return;
    key_quota(u->uid, &keys, &bytes);
    pt_printf(arg, "%5u: %5u %u/%u %lu/%lu %lu/%lu\n", u->uid, u->nkeys, u->nkeys, u->nkeys,
              (unsigned long)u->qkeys, (unsigned long)keys, (unsigned long)u->qbytes,
              (unsigned long)bytes);
}

void key_users_show(struct ptext *out)
{
    LOCK_SCOPE(&keys_lock);
    key_users_each(show_user, out);
}
