/* SPDX-License-Identifier: Apache-2.0 */
/* fanotify: listeners that are asked, and may say no. */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "fan.h"

static int asks, answer;

static void *listen(void *arg)
{
    int fan = *(int *)arg;
    struct fanotify_event_metadata m[8];
    struct fanotify_response bad = { .fd = 9999, .response = FAN_ALLOW };

    for (;;) {
        ssize_t n = read(fan, m, sizeof m);

        if (n <= 0)
            return NULL;
        for (int i = 0; i < n / (int)sizeof m[0]; i++) {
            struct fanotify_response a = { .fd = m[i].fd, .response = answer };

            asks++;
            CHECK(m[i].mask & (FAN_OPEN_PERM | FAN_ACCESS_PERM | FAN_OPEN_EXEC_PERM));
            CHECK_ERR(write(fan, &bad, sizeof bad), ENOENT);
            CHECK_EQ(write(fan, &a, sizeof a), sizeof a);
            CHECK_ERR(write(fan, &a, sizeof a), ENOENT); /* it was answered */
            close(m[i].fd);
        }
    }
}

static void permission(void)
{
    int fan = fanotify_init(FAN_CLASS_CONTENT, O_RDONLY), fd, status;
    struct fanotify_response bad = { .fd = 3, .response = 7 };
    pthread_t th;
    pid_t pid;
    char c;

    touch(at("f"));
    fd = open(at("f"), O_RDWR);
    CHECK_EQ(write(fd, "x", 1), 1);
    close(fd);
    CHECK_ERR(write(fan, &bad, sizeof bad), EINVAL);
    CHECK_ERR(write(fan, &bad, 3), EINVAL);
    CHECK_EQ(mark(fan, FAN_MARK_ADD, FAN_OPEN_PERM | FAN_ACCESS_PERM, at("f")), 0);
    pthread_create(&th, NULL, listen, &fan);
    answer = FAN_DENY;
    CHECK_ERR(open(at("f"), O_RDONLY), EPERM);
    CHECK_EQ(asks, 1);
    answer = FAN_ALLOW;
    fd = open(at("f"), O_RDONLY);
    CHECK(fd >= 0);
    CHECK_EQ(asks, 2);
    CHECK_EQ(read(fd, &c, 1), 1);
    CHECK_EQ(asks, 3);
    answer = FAN_DENY;
    CHECK_ERR(pread(fd, &c, 1, 0), EPERM);
    CHECK_EQ(asks, 4);
    close(fd);
    /* who is killed while it waits asks no more */
    answer = FAN_ALLOW;
    CHECK_EQ(mark(fan, FAN_MARK_FLUSH, 0, NULL), 0);
    {
        int quiet = fanotify_init(FAN_CLASS_PRE_CONTENT, O_RDONLY);

        CHECK_EQ(mark(quiet, FAN_MARK_ADD, FAN_OPEN_PERM, at("f")), 0);
        pid = fork();
        if (pid == 0) {
            close(open(at("f"), O_RDONLY));
            _exit(0);
        }
        usleep(20000);
        CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
        kill(pid, SIGKILL);
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, SIGKILL);
        /* and when the group goes, all is allowed */
        pid = fork();
        if (pid == 0) {
            close(quiet);
            fd = open(at("f"), O_RDONLY);
            _exit(fd < 0);
        }
        usleep(20000);
        CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
        close(quiet);
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 0);
    }
    pthread_cancel(th);
    pthread_join(th, NULL);
    close(fan);
}

static void executing(void)
{
    int fan = fanotify_init(FAN_CLASS_CONTENT | FAN_NONBLOCK, O_RDONLY), status;
    int blocking = fanotify_init(FAN_CLASS_CONTENT, O_RDONLY);
    struct fanotify_event_metadata *m;
    pthread_t th;
    pid_t pid;

    CHECK_EQ(mark(fan, FAN_MARK_ADD, FAN_OPEN_EXEC, "/proc/self/exe"), 0);
    pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", "fanotify", "nothing", NULL);
        _exit(1);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    m = next(fan);
    CHECK(m && m->mask == FAN_OPEN_EXEC);
    if (m)
        close(m->fd);
    close(fan);
    CHECK_EQ(mark(blocking, FAN_MARK_ADD, FAN_OPEN_EXEC_PERM, "/proc/self/exe"), 0);
    pthread_create(&th, NULL, listen, &blocking);
    for (int allow = 0; allow < 2; allow++) {
        answer = allow ? FAN_ALLOW : FAN_DENY;
        pid = fork();
        if (pid == 0) {
            execl("/proc/self/exe", "fanotify", "nothing", NULL);
            _exit(errno == EPERM ? 3 : 4);
        }
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(WEXITSTATUS(status), allow ? 0 : 3);
    }
    pthread_cancel(th);
    pthread_join(th, NULL);
    close(blocking);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return 0; /* executing() */
    mounts_begin();
    RUN(permission);
    RUN(executing);
    mounts_end();
    DONE();
}
