/* SPDX-License-Identifier: Apache-2.0 */
/* Looking into another process: kcmp, process_vm_readv, process_vm_writev. */
#include <fcntl.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "guest.h"

static int kcmp(pid_t a, pid_t b, int type, unsigned long x, unsigned long y)
{
    return (int)syscall(SYS_kcmp, a, b, type, x, y);
}

static int to_child[2], from_child[2];
static char area[3 * 4096] = "before";

/* A child that waits for a byte, answers with one, and ends with area[0]. */
static pid_t start_child(void)
{
    CHECK_EQ(pipe(to_child), 0);
    CHECK_EQ(pipe(from_child), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char c;
        if (write(from_child[1], "r", 1) != 1 || read(to_child[0], &c, 1) != 1)
            _exit(100);
        _exit(area[0]);
    }
    char c;
    CHECK_EQ(read(from_child[0], &c, 1), 1);
    return pid;
}

static int end_child(pid_t pid)
{
    int status = -1;

    CHECK_EQ(write(to_child[1], "x", 1), 1);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    for (int k = 0; k < 2; k++) {
        close(to_child[k]);
        close(from_child[k]);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void compare(void)
{
    pid_t me = getpid(), child = start_child();
    int fd = dup(0), other = open("/dev/null", O_RDONLY);

    CHECK_EQ(kcmp(me, me, KCMP_FILE, 0, (unsigned long)fd), 0);
    int r = kcmp(me, me, KCMP_FILE, 0, (unsigned long)other);
    CHECK(r == 1 || r == 2);
    CHECK_EQ(kcmp(me, me, KCMP_FILE, (unsigned long)other, 0), 3 - r);
    CHECK_EQ(kcmp(me, child, KCMP_FILE, 0, 0), 0);
    CHECK(kcmp(me, child, KCMP_VM, 0, 0) > 0);
    CHECK_EQ(kcmp(me, me, KCMP_VM, 0, 0), 0);
    CHECK(kcmp(me, child, KCMP_FILES, 0, 0) > 0);
    CHECK_ERR(kcmp(me, me, KCMP_FILE, 0, 1000), EBADF);
    CHECK_ERR(kcmp(me, 1 << 22, KCMP_VM, 0, 0), ESRCH);
    CHECK_ERR(kcmp(me, me, 99, 0, 0), EINVAL);
    close(fd);
    close(other);
    end_child(child);
}

/* What an epoll set watches, against a descriptor. */
static void watched(void)
{
    struct {
        uint32_t efd, tfd, toff;
    } slot = { 0, 0, 0 };
    int ep = epoll_create1(0), p[2];
    pid_t me = getpid();
    struct epoll_event ev = { .events = EPOLLIN };

    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &ev), 0);
    slot.efd = (uint32_t)ep;
    slot.tfd = (uint32_t)p[0];
    CHECK_EQ(kcmp(me, me, KCMP_EPOLL_TFD, (unsigned long)p[0], (unsigned long)&slot), 0);
    CHECK(kcmp(me, me, KCMP_EPOLL_TFD, (unsigned long)p[1], (unsigned long)&slot) > 0);
    slot.toff = 1;
    CHECK_ERR(kcmp(me, me, KCMP_EPOLL_TFD, (unsigned long)p[0], (unsigned long)&slot), ENOENT);
    slot.toff = 0;
    slot.tfd = 99;
    CHECK_ERR(kcmp(me, me, KCMP_EPOLL_TFD, (unsigned long)p[0], (unsigned long)&slot), ENOENT);
    slot.efd = (uint32_t)p[0];
    CHECK_ERR(kcmp(me, me, KCMP_EPOLL_TFD, (unsigned long)p[0], (unsigned long)&slot), EINVAL);
    slot.efd = 1000;
    CHECK_ERR(kcmp(me, me, KCMP_EPOLL_TFD, (unsigned long)p[0], (unsigned long)&slot), EBADF);
    CHECK_ERR(kcmp(me, me, KCMP_EPOLL_TFD, (unsigned long)p[0], 8), EFAULT);
    close(p[0]);
    close(p[1]);
    close(ep);
}

static void copy(void)
{
    pid_t child = start_child();
    char a[8] = "", b[8] = "";
    struct iovec local[2] = { { a, 3 }, { b, 4 } }, remote = { area, 7 };

    CHECK_EQ(process_vm_readv(child, local, 2, &remote, 1, 0), 7);
    CHECK(!strcmp(a, "bef") && !strcmp(b, "ore"));
    local[0] = (struct iovec){ "*after", 7 };
    CHECK_EQ(process_vm_writev(child, local, 1, &remote, 1, 0), 7);
    CHECK(!strcmp(area, "before"));
    CHECK_ERR(process_vm_readv(child, local, 1, &remote, 1, 1), EINVAL);
    remote.iov_base = (void *)16;
    local[0] = (struct iovec){ a, 3 };
    CHECK_ERR(process_vm_readv(child, local, 1, &remote, 1, 0), EFAULT);
    CHECK_EQ(process_vm_readv(child, local, 1, &remote, 0, 0), 0);
    CHECK_ERR(process_vm_readv(1 << 22, local, 1, &remote, 1, 0), ESRCH);
    CHECK_EQ(end_child(child), '*');
}

int main(void)
{
    RUN(compare);
    RUN(copy);
    RUN(watched);
    DONE();
}
