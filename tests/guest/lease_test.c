/* SPDX-License-Identifier: Apache-2.0 */
/* Leases and directory notification; what else fcntl has for a file as a whole. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "guest.h"

static char name[256], dir[200];
static volatile sig_atomic_t got, got_fd, got_code;

static void on_signal(int sig, siginfo_t *si, void *ctx)
{
    (void)ctx;
    got = sig;
    got_fd = si->si_fd;
    got_code = si->si_code;
}

static void catch (int sig)
{
    struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

    sigaction(sig, &sa, NULL);
    got = got_fd = got_code = 0;
}

static void wait_signal(void)
{
    for (int i = 0; i < 2000 && !got; i++)
        usleep(1000);
}

static int make(int flags)
{
    int fd = open(name, O_CREAT | O_TRUNC | O_RDWR, 0600);

    close(fd);
    return open(name, flags);
}

static void what_can_be_leased(void)
{
    int fd = make(O_RDONLY), other, p[2];

    CHECK_EQ(fcntl(fd, F_GETLEASE), F_UNLCK);
    CHECK_ERR(fcntl(fd, F_SETLEASE, F_UNLCK), EAGAIN);
    CHECK_ERR(fcntl(fd, F_SETLEASE, 77), EINVAL);
    CHECK_EQ(fcntl(fd, F_SETLEASE, F_RDLCK), 0);
    CHECK_EQ(fcntl(fd, F_GETLEASE), F_RDLCK);
    CHECK_EQ(fcntl(fd, F_SETLEASE, F_WRLCK), 0);
    CHECK_EQ(fcntl(fd, F_GETLEASE), F_WRLCK);
    CHECK_EQ(fcntl(fd, F_SETLEASE, F_UNLCK), 0);
    CHECK_EQ(fcntl(fd, F_GETLEASE), F_UNLCK);
    other = open(name, O_RDONLY);
    CHECK_ERR(fcntl(fd, F_SETLEASE, F_WRLCK), EAGAIN); /* somebody else has it open */
    CHECK_EQ(fcntl(fd, F_SETLEASE, F_RDLCK), 0);
    CHECK_EQ(fcntl(other, F_SETLEASE, F_RDLCK), 0); /* two may share it */
    close(other);
    CHECK_EQ(fcntl(fd, F_SETLEASE, F_UNLCK), 0);
    other = open(name, O_RDWR);
    CHECK_ERR(fcntl(fd, F_SETLEASE, F_RDLCK), EAGAIN);
    close(other);
    close(fd);
    fd = open(dir, O_RDONLY);
    CHECK_ERR(fcntl(fd, F_SETLEASE, F_RDLCK), EINVAL);
    close(fd);
    CHECK_EQ(pipe(p), 0);
    CHECK_ERR(fcntl(p[0], F_SETLEASE, F_RDLCK), EINVAL);
    close(p[0]);
    close(p[1]);
    fd = open(name, O_PATH);
    CHECK_ERR(fcntl(fd, F_SETLEASE, F_RDLCK), EBADF);
    CHECK_ERR(fcntl(fd, F_GETLEASE), EBADF);
    close(fd);
}

static void nobody_waits_without_blocking(void)
{
    int fd = make(O_RDONLY), other;

    catch (SIGIO);
    CHECK_EQ(fcntl(fd, F_SETLEASE, F_RDLCK), 0);
    other = open(name, O_RDONLY | O_NONBLOCK); /* a reader is no trouble */
    CHECK(other >= 0);
    close(other);
    CHECK_EQ(got, 0);
    CHECK_ERR(open(name, O_WRONLY | O_NONBLOCK), EWOULDBLOCK);
    wait_signal();
    CHECK_EQ(got, SIGIO);
    CHECK_EQ(fcntl(fd, F_GETLEASE), F_UNLCK); /* what it is to become */
    CHECK_EQ(fcntl(fd, F_SETLEASE, F_UNLCK), 0);
    other = open(name, O_WRONLY | O_NONBLOCK);
    CHECK(other >= 0);
    close(other);

    catch (SIGRTMIN);
    CHECK_EQ(fcntl(fd, F_SETSIG, SIGRTMIN), 0);
    CHECK_EQ(fcntl(fd, F_SETLEASE, F_WRLCK), 0);
    CHECK_ERR(open(name, O_RDONLY | O_NONBLOCK), EWOULDBLOCK);
    wait_signal();
    CHECK_EQ(got, SIGRTMIN);
    CHECK_EQ(got_fd, fd);
    CHECK_EQ(got_code, POLL_MSG);
    CHECK_EQ(fcntl(fd, F_GETLEASE), F_RDLCK);
    CHECK_EQ(fcntl(fd, F_SETLEASE, F_RDLCK), 0); /* a reader may come now */
    other = open(name, O_RDONLY | O_NONBLOCK);
    CHECK(other >= 0);
    close(other);
    CHECK_EQ(fcntl(fd, F_SETLEASE, F_UNLCK), 0);
    CHECK_EQ(fcntl(fd, F_GETSIG), 0); /* with the lease goes whom it told */
    CHECK_EQ(fcntl(fd, F_GETOWN), 0);
    close(fd);
}

struct opener {
    int flags, fd;
    volatile int done;
};

static void *open_it(void *arg)
{
    struct opener *o = arg;
    sigset_t all;

    sigfillset(&all); /* the signal is the holder's, and would interrupt us */
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    o->fd = o->flags == O_TRUNC ? truncate(name, 0) : open(name, o->flags);
    o->done = 1;
    return NULL;
}

static void opens_wait(int type, int flags, int close_it)
{
    struct opener o = { .flags = flags };
    int fd = make(O_RDONLY);
    struct stat st;
    pthread_t th;

    catch (SIGIO);
    CHECK_EQ(fcntl(fd, F_SETLEASE, type), 0);
    pthread_create(&th, NULL, open_it, &o);
    wait_signal();
    CHECK_EQ(got, SIGIO);
    usleep(20000);
    CHECK_EQ(o.done, 0);
    if (close_it)
        close(fd);
    else
        CHECK_EQ(fcntl(fd, F_SETLEASE, F_UNLCK), 0);
    pthread_join(th, NULL);
    CHECK(o.fd >= 0);
    if (flags != O_TRUNC)
        close(o.fd);
    if (!close_it)
        close(fd);
    CHECK_EQ(stat(name, &st), 0);
}

static void waiting(void)
{
    int fd;

    opens_wait(F_WRLCK, O_RDONLY, 0);
    opens_wait(F_RDLCK, O_WRONLY, 0);
    opens_wait(F_RDLCK, O_RDWR | O_TRUNC, 1);
    opens_wait(F_RDLCK, O_TRUNC, 0);
    /* what was waited for is done: O_TRUNC cuts */
    fd = make(O_RDWR);
    CHECK_EQ(write(fd, "text", 4), 4);
    close(fd);
    {
        struct opener o = { .flags = O_WRONLY | O_TRUNC };
        struct stat st;
        pthread_t th;

        fd = open(name, O_RDONLY);
        catch (SIGIO);
        CHECK_EQ(fcntl(fd, F_SETLEASE, F_RDLCK), 0);
        pthread_create(&th, NULL, open_it, &o);
        wait_signal();
        close(fd);
        pthread_join(th, NULL);
        CHECK_EQ(stat(name, &st), 0);
        CHECK_EQ(st.st_size, 0);
        close(o.fd);
    }
}

static void the_time_runs_out(void)
{
    char old[16] = "";
    int fd, knob = open("/proc/sys/fs/lease-break-time", O_RDWR), other;
    struct timespec a, b;

    if (knob < 0 || read(knob, old, sizeof old - 1) <= 0 || pwrite(knob, "1", 1, 0) != 1) {
        printf("lease-break-time cannot be set here: its end is not tested\n");
        close(knob);
        return;
    }
    fd = make(O_RDONLY);
    catch (SIGIO);
    CHECK_EQ(fcntl(fd, F_SETLEASE, F_WRLCK), 0);
    clock_gettime(CLOCK_MONOTONIC, &a);
    do
        other = open(name, O_WRONLY); /* the signal comes to this thread and may interrupt it */
    while (other < 0 && errno == EINTR);
    clock_gettime(CLOCK_MONOTONIC, &b);
    CHECK(other >= 0);
    CHECK(b.tv_sec - a.tv_sec >= 0 && b.tv_sec - a.tv_sec < 10);
    CHECK((b.tv_sec - a.tv_sec) * 1000000000LL + b.tv_nsec - a.tv_nsec > 500000000);
    CHECK_EQ(fcntl(fd, F_GETLEASE), F_UNLCK);
    CHECK_ERR(fcntl(fd, F_SETLEASE, F_UNLCK), EAGAIN);
    CHECK(pwrite(knob, old, strlen(old), 0) > 0);
    close(other);
    close(fd);
    close(knob);
}

static void only_the_owner(void)
{
    int fd, status;
    pid_t pid;

    if (getuid() != 0) {
        printf("not root: what others may lease is not tested\n");
        return;
    }
    fd = make(O_RDONLY);
    chmod(dir, 0755);
    chmod(name, 0644);
    pid = fork();
    if (pid == 0) {
        guest_failures = 0;
        CHECK_EQ(setuid(1234), 0);
        CHECK_ERR(fcntl(fd, F_SETLEASE, F_RDLCK), EACCES);
        _exit(guest_failures != 0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    close(fd);
}

/* ---- F_NOTIFY ---- */

static void directories_tell(void)
{
    char inside[300], moved[300];
    int d = open(dir, O_RDONLY), fd;

    snprintf(inside, sizeof inside, "%s/inside", dir);
    snprintf(moved, sizeof moved, "%s/moved", dir);
    fd = make(O_RDONLY);
    CHECK_ERR(fcntl(fd, F_NOTIFY, DN_CREATE), ENOTDIR);
    close(fd);
    catch (SIGIO);
    CHECK_EQ(fcntl(d, F_NOTIFY, DN_CREATE), 0);
    close(open(inside, O_CREAT | O_WRONLY, 0600));
    wait_signal();
    CHECK_EQ(got, SIGIO);
    got = 0;
    unlink(inside);
    close(open(inside, O_CREAT | O_WRONLY, 0600)); /* once is all without DN_MULTISHOT */
    usleep(10000);
    CHECK_EQ(got, 0);

    catch (SIGRTMIN + 1);
    CHECK_EQ(fcntl(d, F_SETSIG, SIGRTMIN + 1), 0);
    CHECK_EQ(fcntl(d, F_NOTIFY, DN_DELETE | DN_RENAME | DN_ATTRIB | DN_MODIFY | DN_MULTISHOT), 0);
    chmod(inside, 0644);
    wait_signal();
    CHECK_EQ(got, SIGRTMIN + 1);
    CHECK_EQ(got_fd, d);
    got = 0;
    rename(inside, moved);
    wait_signal();
    CHECK_EQ(got, SIGRTMIN + 1);
    got = 0;
    fd = open(moved, O_WRONLY);
    usleep(5000);
    CHECK_EQ(got, 0); /* opens were not asked for */
    CHECK_EQ(write(fd, "x", 1), 1);
    wait_signal();
    CHECK_EQ(got, SIGRTMIN + 1);
    close(fd);
    got = 0;
    unlink(moved);
    wait_signal();
    CHECK_EQ(got, SIGRTMIN + 1);
    got = 0;
    CHECK_EQ(fcntl(d, F_NOTIFY, 0), 0);
    close(open(inside, O_CREAT | O_WRONLY, 0600));
    unlink(inside);
    usleep(10000);
    CHECK_EQ(got, 0);
    close(d);
}

/* ---- the rest ---- */

#ifndef F_GET_RW_HINT
#define F_GET_RW_HINT 1035
#define F_SET_RW_HINT 1036
#endif

static void hints(void)
{
    int fd = make(O_RDWR), other = open(name, O_RDONLY);
    uint64_t hint = 99;

    CHECK_EQ(fcntl(fd, F_GET_RW_HINT, &hint), 0);
    CHECK_EQ(hint, 0);
    hint = 3;
    CHECK_EQ(fcntl(fd, F_SET_RW_HINT, &hint), 0);
    hint = 0;
    CHECK_EQ(fcntl(other, F_GET_RW_HINT, &hint), 0); /* it is the file's, not the descriptor's */
    CHECK_EQ(hint, 3);
    hint = 6;
    CHECK_ERR(fcntl(fd, F_SET_RW_HINT, &hint), EINVAL);
    CHECK_ERR(fcntl(fd, F_SET_RW_HINT, (void *)1), EFAULT);
    CHECK_ERR(fcntl(fd, 1037 /* of the single open file: no more */, &hint), EINVAL);
    close(fd);
    close(other);
}

static void own_locks_are_found(void)
{
    struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 5 };
    int fd = make(O_RDWR), other = open(name, O_RDWR);

    CHECK_EQ(fcntl(fd, F_OFD_SETLK, &fl), 0);
    fl = (struct flock){ .l_type = F_UNLCK, .l_whence = SEEK_SET };
    CHECK_EQ(fcntl(other, F_OFD_GETLK, &fl), 0); /* none of its own */
    CHECK_EQ(fl.l_type, F_UNLCK);
    fl = (struct flock){ .l_type = F_UNLCK, .l_whence = SEEK_SET };
    CHECK_EQ(fcntl(fd, F_OFD_GETLK, &fl), 0);
    CHECK_EQ(fl.l_type, F_WRLCK);
    CHECK_EQ(fl.l_start, 10);
    fl = (struct flock){ .l_type = F_UNLCK, .l_whence = SEEK_SET };
    CHECK_ERR(fcntl(fd, F_GETLK, &fl), EINVAL);
    close(fd);
    close(other);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    snprintf(dir, sizeof dir, "/tmp/lease-XXXXXX");
    if (!mkdtemp(dir))
        SKIP("no directory in /tmp");
    snprintf(name, sizeof name, "%s/file", dir);
    RUN(what_can_be_leased);
    RUN(nobody_waits_without_blocking);
    RUN(waiting);
    RUN(the_time_runs_out);
    RUN(only_the_owner);
    RUN(directories_tell);
    RUN(hints);
    RUN(own_locks_are_found);
    unlink(name);
    rmdir(dir);
    DONE();
}
