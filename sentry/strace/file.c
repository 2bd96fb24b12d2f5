/* SPDX-License-Identifier: Apache-2.0 */
/* Printers of arguments that have to do with files and descriptors. See line.h. */
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "abi/fs.h"
#include "abi/stat.h"
#include "sentry/kernel/alloc.h"
#include "sentry/mm/copy.h"
#include "sentry/strace/xlat.h"
#include "sentry/syscalls/table.h"

static void sx_oflags(struct sx *s, uint64_t v)
{
    static const char *const modes[] = { "O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE" };
    uint64_t rest = v & ~(uint64_t)LX_O_ACCMODE;

    sx_puts(s, modes[v & LX_O_ACCMODE]);
    if (rest) {
        sx_puts(s, "|");
        sx_flags(s, &x_open, rest);
    }
}

void sx_result_oflags(struct sx *s)
{
    sx_oflags(s, (uint64_t)s->ret);
}

void p_oflags(struct sx *s, unsigned i)
{
    /* dup3 and pipe2 take no access mode. */
    if (!strcmp(s->d->name, "dup3") || !strcmp(s->d->name, "pipe2"))
        sx_flags(s, &x_open, (unsigned)s->a[i]);
    else
        sx_oflags(s, (unsigned)s->a[i]);
}

void p_mknod_mode(struct sx *s, unsigned i)
{
    sx_full_mode(s, (unsigned)s->a[i]);
}

void p_accmode(struct sx *s, unsigned i)
{
    sx_flags(s, &x_accmode, (unsigned)s->a[i]);
}

void p_stat(struct sx *s, unsigned i)
{
    struct lx_stat st;

    if (!sx_fetch_out(s, s->a[i], &st, sizeof st))
        return;
    sx_puts(s, "{st_mode=");
    sx_full_mode(s, st.st_mode);
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
        sx_puts(s, ", st_rdev=");
        sx_dev(s, st.st_rdev);
    } else {
        sx_printf(s, ", st_size=%ld", (long)st.st_size);
    }
    sx_puts(s, ", ...}");
}

void p_statx(struct sx *s, unsigned i)
{
    struct lx_statx st;

    if (!sx_fetch_out(s, s->a[i], &st, sizeof st))
        return;
    sx_puts(s, "{stx_mask=");
    sx_flags(s, &x_statx_mask, st.stx_mask);
    sx_printf(s, ", stx_attributes=%#lx, stx_mode=", (unsigned long)st.stx_attributes);
    sx_full_mode(s, st.stx_mode);
    sx_printf(s, ", stx_size=%lu, ...}", (unsigned long)st.stx_size);
}

void p_statfs(struct sx *s, unsigned i)
{
    struct lx_statfs f;

    if (!sx_fetch_out(s, s->a[i], &f, sizeof f))
        return;
    sx_printf(s,
              "{f_type=%#lx, f_bsize=%ld, f_blocks=%lu, f_bfree=%lu, f_bavail=%lu, f_files=%lu, "
              "f_ffree=%lu, f_fsid={val=[%#x, %#x]}, f_namelen=%ld, f_frsize=%ld, f_flags=%#lx}",
              (long)f.f_type, (long)f.f_bsize, (unsigned long)f.f_blocks, (unsigned long)f.f_bfree,
              (unsigned long)f.f_bavail, (unsigned long)f.f_files, (unsigned long)f.f_ffree,
              (unsigned)f.f_fsid[0], (unsigned)f.f_fsid[1], (long)f.f_namelen, (long)f.f_frsize,
              (unsigned long)f.f_flags);
}

/* limit: bytes of the buffers that hold data. */
void sx_iovec(struct sx *s, gaddr_t iov, uint64_t n, uint64_t limit)
{
    struct lx_iovec v;
    const char *sep = "";

    if (!iov) {
        sx_puts(s, "NULL");
        return;
    }
    sx_puts(s, "[");
    for (uint64_t k = 0; k < n; k++, sep = ", ") {
        if (k == SX_ELEMENTS) {
            sx_puts(s, ", ...");
            break;
        }
        sx_puts(s, sep);
        if (!sx_fetch(s, iov + k * sizeof v, &v, sizeof v))
            break;
        uint64_t shown = MIN(v.len, limit);
        sx_puts(s, "{iov_base=");
        sx_bytes(s, v.base, shown);
        sx_printf(s, ", iov_len=%lu}", (unsigned long)v.len);
        limit -= shown;
    }
    sx_puts(s, "]");
}

void p_iov(struct sx *s, unsigned i)
{
    bool out = s->d->kinds[i] == K_IOV_O;

    sx_iovec(s, s->a[i], s->a[i + 1], !out ? UINT64_MAX : s->ret > 0 ? (uint64_t)s->ret : 0);
}

void p_dirents(struct sx *s, unsigned i)
{
    bool is64 = s->d->kinds[i] == K_DIRENT64_O;
    size_t n = s->ret > 0 ? MIN((size_t)s->ret, 65536ul) : 0;
    unsigned entries = 0;
    _cleanup_kfree_ char *buf = kzalloc(n + 1);

    if (!buf || s->ret < 0 || (n && copy_in(s->t, buf, s->a[i], n))) {
        sx_addr(s, s->a[i]);
        return;
    }
    for (size_t at = 0; at + offsetof(struct lx_dirent64, name) < n; entries++) {
        uint16_t reclen;
        memcpy(&reclen, buf + at + offsetof(struct lx_dirent64, reclen), sizeof reclen);
        if (!reclen)
            break;
        at += reclen;
    }
    (void)is64; /* d_reclen lies at the same place in both */
    sx_addr(s, s->a[i]);
    sx_printf(s, " /* %u entr%s */", entries, entries == 1 ? "y" : "ies");
}

static void sx_flock(struct sx *s, gaddr_t p, bool out)
{
    struct lx_flock l;

    if (!(out ? sx_fetch_out(s, p, &l, sizeof l) : sx_fetch(s, p, &l, sizeof l)))
        return;
    sx_puts(s, "{l_type=");
    sx_value(s, &x_lock, (uint64_t)l.l_type);
    sx_puts(s, ", l_whence=");
    sx_value(s, &x_whence, (uint64_t)l.l_whence);
    sx_printf(s, ", l_start=%ld, l_len=%ld", (long)l.l_start, (long)l.l_len);
    if (out)
        sx_printf(s, ", l_pid=%d", l.l_pid);
    sx_puts(s, "}");
}

static void sx_seals(struct sx *s, uint64_t v)
{
    static const struct xlat t_seals[] = {
        X(F_SEAL_SEAL),  X(F_SEAL_SHRINK),       X(F_SEAL_GROW),
        X(F_SEAL_WRITE), X(F_SEAL_FUTURE_WRITE), { 0x20, "F_SEAL_EXEC" },
    };
    static const struct xset seals = { t_seals, ARRAY_SIZE(t_seals), "F_SEAL_" };

    sx_flags(s, &seals, v);
}

void p_fcntl_arg(struct sx *s, unsigned i)
{
    unsigned long v = s->a[i];

    switch (s->a[1]) {
    case F_SETFD:
        sx_flags(s, &x_fdflags, v);
        break;
    case F_SETFL:
        sx_oflags(s, v);
        break;
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
        sx_flock(s, v, false);
        break;
    case F_GETLK:
    case F_OFD_GETLK:
        sx_flock(s, v, true);
        break;
    case F_ADD_SEALS:
        sx_seals(s, v);
        break;
    case F_SETSIG:
        sx_signame(s, (int)v);
        break;
    default:
        sx_printf(s, "%ld", (long)(int)v);
    }
}

void p_flock_op(struct sx *s, unsigned i)
{
    static const struct xlat t_ops[] = {
        { 1, "LOCK_SH" }, { 2, "LOCK_EX" }, { 8, "LOCK_UN" }, { 4, "LOCK_NB" }
    };
    static const struct xset ops = { t_ops, ARRAY_SIZE(t_ops), "LOCK_" };

    sx_flags(s, &ops, (unsigned)s->a[i]);
}

void p_open_how(struct sx *s, unsigned i)
{
    struct lx_open_how h = { 0 };

    if (!sx_fetch(s, s->a[i], &h, MIN(sizeof h, s->a[i + 1])))
        return;
    sx_puts(s, "{flags=");
    sx_oflags(s, h.flags);
    if (h.mode || (h.flags & O_CREAT)) {
        sx_puts(s, ", mode=");
        sx_mode(s, (unsigned)h.mode);
    }
    sx_puts(s, ", resolve=");
    sx_flags(s, &x_resolve, h.resolve);
    sx_puts(s, "}");
}
