/* SPDX-License-Identifier: Apache-2.0 */
/* NUMA calls on a machine whose memory is all on node 0. */
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "guest.h"

#define PAGE 4096
#define NO_NODE (1ul << 40)

static long set(int mode, unsigned long *mask, unsigned long max)
{
    return syscall(SYS_set_mempolicy, mode, mask, max);
}

static long get(int *mode, unsigned long *mask, unsigned long max, void *addr, unsigned long flags)
{
    return syscall(SYS_get_mempolicy, mode, mask, max, addr, flags);
}

static void of_the_thread(void)
{
    unsigned long one = 1, none = 0, absent = NO_NODE, got[16];
    int mode = -1;

    CHECK_EQ(get(&mode, NULL, 0, NULL, 0), 0);
    CHECK_EQ(mode, MPOL_DEFAULT);
    CHECK_EQ(set(MPOL_BIND, &one, 64), 0);
    memset(got, 0xff, sizeof got);
    CHECK_EQ(get(&mode, got, 1024, NULL, 0), 0);
    CHECK_EQ(mode, MPOL_BIND);
    CHECK_EQ(got[0], 1);
    CHECK_EQ(got[15], 0);
    int st;
    pid_t pid = fork();
    if (pid == 0)
        _exit(get(&mode, NULL, 0, NULL, 0) == 0 && mode == MPOL_BIND ? 0 : 1);
    waitpid(pid, &st, 0);
    CHECK_EQ(WEXITSTATUS(st), 0);
    CHECK_ERR(set(MPOL_BIND, &none, 64), EINVAL);
    CHECK_ERR(set(MPOL_BIND, &absent, 64), EINVAL);
    CHECK_ERR(set(MPOL_DEFAULT, &one, 64), EINVAL);
    CHECK_ERR(set(MPOL_LOCAL, &one, 64), EINVAL);
    CHECK_ERR(set(99, &one, 64), EINVAL);
    CHECK_ERR(set(MPOL_BIND | MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES, &one, 64), EINVAL);
    CHECK_ERR(set(MPOL_BIND, (unsigned long *)8, 64), EFAULT);
    CHECK_EQ(set(MPOL_PREFERRED, NULL, 0), 0);
    CHECK_EQ(get(&mode, NULL, 0, NULL, 0), 0);
    CHECK_EQ(mode, MPOL_LOCAL);
    CHECK_EQ(set(MPOL_INTERLEAVE, &one, 64), 0);
    CHECK_EQ(get(&mode, NULL, 0, NULL, MPOL_F_NODE), 0);
    CHECK_EQ(mode, 0);
    CHECK_EQ(set(MPOL_DEFAULT, NULL, 0), 0);
    CHECK_ERR(get(&mode, NULL, 0, NULL, MPOL_F_NODE), EINVAL);
    CHECK_ERR(get(&mode, NULL, 0, &mode, 0), EINVAL);
    CHECK_ERR(get(&mode, NULL, 0, NULL, 0x100), EINVAL);
    CHECK_ERR(get(&mode, NULL, 0, NULL, MPOL_F_ADDR), EFAULT);
    CHECK_EQ(get(NULL, got, 1024, NULL, MPOL_F_MEMS_ALLOWED), 0);
    CHECK_EQ(got[0], 1);
}

static void of_memory(void)
{
    unsigned long one = 1;
    char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int mode = -1;

    p[PAGE] = 1;
    CHECK_EQ(syscall(SYS_mbind, p + PAGE, 2 * PAGE, MPOL_BIND, &one, 64, 0), 0);
    CHECK_EQ(get(&mode, NULL, 0, p + PAGE, MPOL_F_ADDR), 0);
    CHECK_EQ(mode, MPOL_BIND);
    CHECK_EQ(get(&mode, NULL, 0, p, MPOL_F_ADDR), 0);
    CHECK_EQ(mode, MPOL_DEFAULT);
    CHECK_EQ(get(&mode, NULL, 0, p + PAGE, MPOL_F_ADDR | MPOL_F_NODE), 0);
    CHECK_EQ(mode, 0);
    CHECK_EQ(syscall(SYS_mbind, p + 2 * PAGE, PAGE, MPOL_DEFAULT, NULL, 0, 0), 0);
    CHECK_EQ(get(&mode, NULL, 0, p + 2 * PAGE, MPOL_F_ADDR), 0);
    CHECK_EQ(mode, MPOL_DEFAULT);
    CHECK_EQ(syscall(SYS_mbind, p, PAGE, MPOL_PREFERRED, &one, 64, MPOL_MF_MOVE | MPOL_MF_STRICT),
             0);
    CHECK_ERR(syscall(SYS_mbind, p + 1, PAGE, MPOL_BIND, &one, 64, 0), EINVAL);
    CHECK_ERR(syscall(SYS_mbind, p, PAGE, MPOL_BIND, &one, 64, 0x100), EINVAL);
    CHECK_ERR(syscall(SYS_mbind, p, PAGE, MPOL_BIND, NULL, 0, 0), EINVAL);
    CHECK_EQ(syscall(SYS_mbind, p, 0, MPOL_BIND, &one, 64, 0), 0);
    munmap(p + 3 * PAGE, PAGE);
    CHECK_ERR(syscall(SYS_mbind, p, 4 * PAGE, MPOL_BIND, &one, 64, 0), EFAULT);
    munmap(p, 3 * PAGE);
}

static void moving(void)
{
    char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *pages[3] = { p, p + PAGE, (void *)PAGE };
    int nodes[3] = { 0, 0, 0 }, status[3] = { 9, 9, 9 };
    unsigned long one = 1, absent = NO_NODE;

    p[0] = 1;
    CHECK_EQ(syscall(SYS_move_pages, 0, 3, pages, NULL, status, 0), 0);
    CHECK_EQ(status[0], 0);
    CHECK_EQ(status[1], -ENOENT);
    CHECK_EQ(status[2], -EFAULT);
    CHECK_EQ(syscall(SYS_move_pages, 0, 1, pages, nodes, status, MPOL_MF_MOVE), 0);
    CHECK_EQ(status[0], 0);
    nodes[0] = 40;
    CHECK_ERR(syscall(SYS_move_pages, 0, 1, pages, nodes, status, MPOL_MF_MOVE), ENODEV);
    CHECK_ERR(syscall(SYS_move_pages, 0, 1, pages, NULL, status, 0x100), EINVAL);
    CHECK_ERR(syscall(SYS_move_pages, 1 << 22, 1, pages, NULL, status, 0), ESRCH);
    CHECK_ERR(syscall(SYS_move_pages, 0, 1, (void *)8, NULL, status, 0), EFAULT);
    CHECK_EQ(syscall(SYS_migrate_pages, 0, 64, &one, &one), 0);
    CHECK_ERR(syscall(SYS_migrate_pages, 0, 64, &one, &absent), geteuid() ? EPERM : EINVAL);
    CHECK_ERR(syscall(SYS_migrate_pages, 1 << 22, 64, &one, &one), ESRCH);
    munmap(p, 2 * PAGE);
}

int main(void)
{
    int mode;

    if (get(&mode, NULL, 0, NULL, 0) < 0 && errno == ENOSYS && !guest_inside())
        SKIP("this kernel has no CONFIG_NUMA");
    if (access("/sys/devices/system/node/node1", F_OK) == 0)
        SKIP("this machine has several memory nodes");
    RUN(of_the_thread);
    RUN(of_memory);
    RUN(moving);
    DONE();
}
