/* SPDX-License-Identifier: Apache-2.0 */
/* userfaultfd: what ends a wait, processes that fork and end, memory that goes. */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "uffd.h"

/* What ends a wait beside the page: WAKE has it looked at again, UNREGISTER and close give zeros. */
static void ends_of_a_wait(void)
{
    for (int i = 0; i < 4; i++) {
        void *(*fn)(void *) = i & 1 ? write_page : touch;
        char *m = memory(MAP_PRIVATE | MAP_ANONYMOUS, -1);
        int fd = with_features(O_NONBLOCK, 0);
        struct lx_uffdio_range r = { (uintptr_t)m, PAGE };
        pthread_t th;

        CHECK_EQ(reg(fd, m, 1, MISSING), 0);
        CHECK_EQ(pthread_create(&th, NULL, fn, m), 0);
        CHECK_EQ(next_msg(fd).fault.address, (uintptr_t)m);
        CHECK_EQ(ioctl(fd, LX_UFFDIO_WAKE, &r), 0);
        CHECK_EQ(next_msg(fd).fault.address, (uintptr_t)m); /* missing still: told once more */
        CHECK_EQ(copy(fd, m, 'w', LX_UFFD_DONTWAKE), 0);
        CHECK_EQ(pthread_tryjoin_np(th, NULL), EBUSY);
        if (i < 2)
            CHECK_EQ(ioctl(fd, LX_UFFDIO_UNREGISTER, &r), 0);
        else
            close(fd);
        pthread_join(th, NULL);
        CHECK_EQ(m[0], 'w');
        if (i < 2)
            close(fd);
        munmap(m, PAGES * PAGE);
    }
}

/* A child has the descriptor, and memory of its own that is not registered. It answers its parent. */
static void forked(void)
{
    char *m = memory(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    int fd = with_features(O_NONBLOCK, 0), status;
    pid_t pid;

    CHECK_EQ(reg(fd, m, 4, MISSING), 0);
    pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 2; i++) {
            struct lx_uffd_msg msg = next_msg(fd);

            CHECK_EQ(*(volatile char *)(uintptr_t)msg.fault.address, 0);
            CHECK_EQ(copy(fd, (char *)(uintptr_t)msg.fault.address, 'f', 0), 0);
        }
        _exit(guest_failures != 0);
    }
    CHECK_EQ(*(volatile char *)m, 'f');
    write_page(m + PAGE);
    CHECK_EQ(m[PAGE], 'f');
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    close(fd);
    munmap(m, PAGES * PAGE);
}

/* Nobody answers: who waits can be killed, and its process ends with faults that are pending. */
static void killed(void)
{
    for (int i = 0; i < 4; i++) {
        int ready[2], status;
        pid_t pid;
        char c;

        CHECK_EQ(pipe(ready), 0);
        pid = fork();
        if (pid == 0) {
            char *m = memory(MAP_PRIVATE | MAP_ANONYMOUS, -1);
            int fd = with_features(O_NONBLOCK, 0);
            pthread_t th;

            CHECK_EQ(reg(fd, m, 4, MISSING), 0);
            pthread_create(&th, NULL, i & 1 ? write_page : touch, m);
            next_msg(fd);
            CHECK_EQ(write(ready[1], "", 1), 1);
            if (i & 2)
                _exit(3);
            touch(m + PAGE);
        }
        CHECK_EQ(read(ready[0], &c, 1), 1);
        if (!(i & 2))
            CHECK_EQ(kill(pid, SIGKILL), 0);
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, i & 2 ? 3 << 8 : SIGKILL);
        close(ready[0]);
        close(ready[1]);
    }
}

static volatile sig_atomic_t signals;

static void on_usr1(int sig)
{
    (void)sig;
    signals++;
}

/* A signal finds a thread that waits in guest code, which then goes on waiting. */
static void signalled(void)
{
    char *m = memory(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    int fd = with_features(O_NONBLOCK, 0);
    pthread_t th;

    signal(SIGUSR1, on_usr1);
    CHECK_EQ(reg(fd, m, 4, MISSING), 0);
    CHECK_EQ(pthread_create(&th, NULL, touch, m), 0);
    next_msg(fd);
    pthread_kill(th, SIGUSR1);
    next_msg(fd); /* the fault, anew */
    CHECK_EQ(signals, 1);
    CHECK_EQ(copy(fd, m, 's', 0), 0);
    pthread_join(th, NULL);
    CHECK_EQ(m[0], 's');
    close(fd);
    munmap(m, PAGES * PAGE);
}

/* Memory that goes, or is moved, is registered no more. */
static void unmapped(void)
{
    char *m = memory(MAP_PRIVATE | MAP_ANONYMOUS, -1), *n;
    int fd = with_features(O_NONBLOCK, 0);

    CHECK_EQ(reg(fd, m, PAGES, MISSING), 0);
    CHECK_EQ(munmap(m, PAGE), 0);
    CHECK(mmap(m, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
          m);
    write_page(m);
    touch(m);
    n = mremap(m + 8 * PAGE, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, m - 64 * PAGE);
    CHECK(n == m - 64 * PAGE);
    write_page(n);
    touch(n + PAGE);
    CHECK_ERR(copy(fd, n + 2 * PAGE, 'u', 0), ENOENT);
    close(fd);
    munmap(n, 4 * PAGE);
    munmap(m, PAGES * PAGE);
}

int main(void)
{
    need_uffd();
    RUN(ends_of_a_wait);
    RUN(forked);
    RUN(killed);
    RUN(signalled);
    RUN(unmapped);
    DONE();
}
