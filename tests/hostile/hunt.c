/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two sandboxes at once. One hides things under a name that both know, wherever a process can leave
 * something for others to find; the other hunts for them, as root inside.
 *
 *     hunt hide TOKEN PORT    says "hidden" and waits for the end of its standard input
 *     hunt seek TOKEN PORT    prints what it has reached
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "crew.h"
#include "stub.h"

typedef long (*caller)(long nr, long a, long b, long c, long d, long e, long f);

#define CALL(...) CALL_(__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define CALL_(nr, a, b, c, d, e, f, ...)                                                           \
    by(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

static const char *token;
static int port;
static const char *how;

static socklen_t abstract(struct sockaddr_un *sun, int type)
{
    *sun = (struct sockaddr_un){ .sun_family = AF_UNIX };
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                       (size_t)snprintf(sun->sun_path + 1, 90, "%s-%d", token, type));
}

static key_t key(void)
{
    key_t k = 5381;

    for (const char *p = token; *p; p++)
        k = k * 33 + *p;
    return k & 0x7fffffff;
}

/* Where files can be left. */
static const char *const dirs[] = { "/tmp", "/dev/shm", "/run", "/var/tmp", ".", "/" };

static void path_of(char *path, size_t n, unsigned i)
{
    snprintf(path, n, "%s/%s", dirs[i], token);
}

/* What cannot be hidden in one of the two ways is hidden in the other. */
static void hide(caller by)
{
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    struct sockaddr_un sun;
    char path[512], mq[64];
    long fd;

    for (unsigned i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        path_of(path, sizeof path, i);
        CALL(SYS_openat, AT_FDCWD, path, O_CREAT | O_RDWR, 0666);
    }
    for (int type = SOCK_STREAM; type <= SOCK_DGRAM; type++) {
        socklen_t n = abstract(&sun, type);

        fd = CALL(SYS_socket, AF_UNIX, type);
        CALL(SYS_bind, fd, &sun, n);
        CALL(SYS_listen, fd, 5);
    }
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd = CALL(SYS_socket, AF_INET, SOCK_STREAM);
    CALL(SYS_bind, fd, &sin, sizeof sin);
    CALL(SYS_listen, fd, 5);
    CALL(SYS_shmget, key(), 4096, IPC_CREAT | 0666);
    CALL(SYS_msgget, key(), IPC_CREAT | 0666);
    CALL(SYS_semget, key(), 1, IPC_CREAT | 0666);
    snprintf(mq, sizeof mq, "/%s", token);
    CALL(SYS_mq_open, mq + 1, O_CREAT | O_RDWR, 0666, 0);
    CALL(SYS_add_key, "user", token, "x", 1, -4 /* the user's */);
    CALL(SYS_prctl, 15 /* PR_SET_NAME */, token);
}

/* Unfenced, all that lay on the host. */
static void take_away(caller by)
{
    char path[512], mq[64];

    for (unsigned i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        path_of(path, sizeof path, i);
        CALL(SYS_unlink, path);
    }
    CALL(SYS_shmctl, CALL(SYS_shmget, key(), 0, 0), IPC_RMID);
    CALL(SYS_msgctl, CALL(SYS_msgget, key(), 0), IPC_RMID);
    CALL(SYS_semctl, CALL(SYS_semget, key(), 0, 0), 0, IPC_RMID);
    snprintf(mq, sizeof mq, "/%s", token);
    CALL(SYS_mq_unlink, mq + 1);
}

static void reached(const char *what)
{
    printf("REACHED %s, %s\n", what, how);
}

static void seek_sockets(caller by)
{
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    struct sockaddr_un sun;

    for (int type = SOCK_STREAM; type <= SOCK_DGRAM; type++) {
        socklen_t n = abstract(&sun, type);
        long fd = CALL(SYS_socket, AF_UNIX, type);

        if (fd >= 0 && CALL(SYS_connect, fd, &sun, n) == 0)
            reached("unix");
        CALL(SYS_close, fd);
    }
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    long fd = CALL(SYS_socket, AF_INET, SOCK_STREAM);
    if (fd >= 0 && CALL(SYS_connect, fd, &sin, sizeof sin) == 0)
        reached("tcp");
    CALL(SYS_close, fd);
}

static void seek_ipc(caller by)
{
    char mq[64];

    if (CALL(SYS_shmget, key(), 0, 0) >= 0 || CALL(SYS_msgget, key(), 0) >= 0 ||
        CALL(SYS_semget, key(), 0, 0) >= 0)
        reached("ipc");
    snprintf(mq, sizeof mq, "/%s", token);
    if (CALL(SYS_mq_open, mq + 1, O_RDWR) >= 0)
        reached("mqueue");
    if (CALL(SYS_request_key, "user", token, NULL, -4) >= 0 ||
        CALL(SYS_keyctl, 10 /* search */, -4, "user", token, 0) >= 0)
        reached("keys");
}

static void seek_files(caller by)
{
    char path[512];

    for (unsigned i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        path_of(path, sizeof path, i);
        if (CALL(SYS_openat, AT_FDCWD, path, O_RDONLY) >= 0)
            reached("file");
    }
}

/* Processes whose memory or names tell of the other's. Only asked whether they are there: unfenced,
 * these are everybody's. */
static void seek_processes(caller by)
{
    char path[64], text[4096];
    static char page[4096];
    unsigned strangers = 0;

    for (long pid = 1; pid < 66000; pid++) {
        struct iovec local = { page, 16 }, remote = { (void *)token, 16 };

        if (pid == getpid() || CALL(SYS_kill, pid, 0) == -ESRCH)
            continue;
        strangers += pid > 1 && pid != getppid();
        if (CALL(SYS_process_vm_readv, pid, &local, 1, &remote, 1) > 0)
            reached("memory");
        snprintf(path, sizeof path, "/proc/%ld/cmdline", pid);
        long fd = CALL(SYS_openat, AT_FDCWD, path, O_RDONLY);
        long n = fd >= 0 ? CALL(SYS_read, fd, text, sizeof text) : -1;
        if (n > 0 && pid > 2 && memmem(text, (size_t)n, "hide", 4))
            reached("process");
        CALL(SYS_close, fd);
    }
    if (strangers > 0)
        reached("signals");
}

static void seek(caller by)
{
    seek_sockets(by);
    seek_ipc(by);
    seek_files(by);
    seek_processes(by);
}

bool hunt_all(int argc, char **argv)
{
    char c;

    if (argc != 3)
        return false;
    token = argv[1];
    port = atoi(argv[2]);
    if (strcmp(argv[0], "hide") == 0) {
        hide(by_own);
        hide(by_blob);
        printf("hidden\n");
        fflush(stdout);
        while (read(0, &c, 1) > 0)
            ;
        take_away(by_own);
        take_away(by_blob);
        return true;
    }
    how = "by itself";
    seek(by_own);
    how = "by the blob";
    seek(by_blob);
    return true;
}
