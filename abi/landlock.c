/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See landlock.h. Rights that a host's Landlock does not know are left out; the call numbers and
 * structures are given here, since libc's headers may be older than the host.
 */
#include "abi/landlock.h"

#include <errno.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/types.h"

#define NR_CREATE_RULESET 444
#define NR_ADD_RULE 445
#define NR_RESTRICT_SELF 446

#define SCOPE_ALL 3ull /* abstract sockets and signals, since ABI 6 */

struct ruleset_attr {
    uint64_t handled_fs, handled_net, scoped;
};

struct path_beneath_attr {
    uint64_t allowed;
    int32_t parent_fd;
} __attribute__((packed));

/* Every right on files that ABI version abi knows: all are refused unless a rule gives them. */
static uint64_t fs_rights(int abi)
{
    static const unsigned char count[] = { 0, 13, 14, 15, 15, 16, 16, 16 };

    return (1ull << count[MIN(abi, (int)ARRAY_SIZE(count) - 1)]) - 1;
}

int landlock_abi(void)
{
    long abi = syscall(NR_CREATE_RULESET, NULL, 0, 1 /* VERSION */);

    return abi < 1 ? 0 : (int)MIN(abi, 1000l);
}

static int new_ruleset(uint64_t tcp)
{
    int abi = landlock_abi();

    if (abi < 1)
        return -EOPNOTSUPP;
    struct ruleset_attr attr = {
        .handled_fs = fs_rights(abi),
        .handled_net = abi >= 4 ? tcp : 0,
        .scoped = abi >= 6 ? SCOPE_ALL : 0,
    };
    size_t size = abi >= 6 ? sizeof(attr) : abi >= 4 ? 16 : 8;
    int ruleset = (int)syscall(NR_CREATE_RULESET, &attr, size, 0);

    return ruleset < 0 ? -errno : ruleset;
}

int landlock_new(void)
{
    return new_ruleset(LANDLOCK_TCP_BIND | LANDLOCK_TCP_CONNECT);
}

int landlock_new_net(uint64_t tcp)
{
    return new_ruleset(tcp);
}

int landlock_allow_connect(int ruleset, uint16_t port)
{
    struct {
        uint64_t allowed, port;
    } rule = { LANDLOCK_TCP_CONNECT, port };

    if (landlock_abi() < 4) /* it knows nothing of ports */
        return 0;
    return syscall(NR_ADD_RULE, ruleset, 2 /* NET_PORT */, &rule, 0) < 0 ? -errno : 0;
}

int landlock_allow(int ruleset, int fd, uint64_t rights)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode))
        rights &= LANDLOCK_READ_FILE | LANDLOCK_WRITE_FILE | LANDLOCK_TRUNCATE;
    struct path_beneath_attr rule = { .allowed = rights, .parent_fd = fd };

    return syscall(NR_ADD_RULE, ruleset, 1 /* PATH_BENEATH */, &rule, 0) < 0 ? -errno : 0;
}

int landlock_enter(int ruleset)
{
    int r = 0;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(NR_RESTRICT_SELF, ruleset, 0) < 0)
        r = -errno;
    close(ruleset);
    return r;
}
