/* SPDX-License-Identifier: Apache-2.0 */
/* add_key, request_key, keyctl. Each function works in a session of its own. */
#include <linux/keyctl.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "guest.h"

#ifndef ENOKEY
#define ENOKEY 126
#endif
#define MOVE 30
#define CAPABILITIES 31

typedef int32_t key;

static long ctl(int op, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
    return syscall(SYS_keyctl, op, a, b, c, d);
}

static key add(const char *type, const char *desc, const void *p, size_t n, key ring)
{
    return (key)syscall(SYS_add_key, type, desc, p, n, ring);
}

static key request(const char *type, const char *desc, const char *info, key ring)
{
    return (key)syscall(SYS_request_key, type, desc, info, ring);
}

static key ring(const char *name)
{
    return add("keyring", name, NULL, 0, KEY_SPEC_PROCESS_KEYRING);
}

#define P(x) ((unsigned long)(uintptr_t)(x))
#define K(x) ((unsigned long)(long)(x))

static void life_of_a_key(void)
{
    char buf[64] = "";
    key k = add("user", "one", "secret", 6, KEY_SPEC_PROCESS_KEYRING);

    CHECK(k > 0);
    CHECK_EQ(ctl(KEYCTL_READ, K(k), P(buf), sizeof buf, 0), 6);
    CHECK(!strcmp(buf, "secret"));
    memset(buf, 'x', 8);
    CHECK_EQ(ctl(KEYCTL_READ, K(k), P(buf), 3, 0), 6); /* too small: nothing is written */
    CHECK_EQ(buf[0], 'x');
    CHECK_EQ(add("user", "one", "other!!", 7, KEY_SPEC_PROCESS_KEYRING), k); /* updated */
    CHECK_EQ(ctl(KEYCTL_READ, K(k), P(buf), sizeof buf, 0), 7);
    CHECK_EQ(ctl(KEYCTL_UPDATE, K(k), P("third"), 5, 0), 0);
    CHECK_EQ(ctl(KEYCTL_READ, K(k), 0, 0, 0), 5);
    CHECK_EQ(request("user", "one", NULL, 0), k);
    CHECK_EQ(ctl(KEYCTL_SEARCH, K(KEY_SPEC_PROCESS_KEYRING), P("user"), P("one"), 0), k);
    memset(buf, 0, sizeof buf);
    CHECK_EQ(ctl(KEYCTL_DESCRIBE, K(k), P(buf), sizeof buf, 0), (long)strlen(buf) + 1);
    CHECK(!strncmp(buf, "user;", 5) && strstr(buf, ";3f010000;one"));
    CHECK_EQ(ctl(KEYCTL_UNLINK, K(k), K(KEY_SPEC_PROCESS_KEYRING), 0, 0), 0);
    CHECK_ERR(request("user", "one", NULL, 0), ENOKEY);
    CHECK_EQ(request("user", "one", "info", 0), -1);
    CHECK(errno == ENOKEY || errno == ENOENT); /* nobody is there to make it */
}

static void kinds(void)
{
    char buf[8];
    key ring_ = ring("r"), k;
    static char big[40000];

    CHECK_ERR(add("user", "x", "", 0, ring_), EINVAL);
    CHECK_ERR(add("user", "", "a", 1, ring_), EINVAL);
    CHECK_ERR(add("user", "x", big, 32768, ring_), EINVAL);
    CHECK_ERR(add("nothing", "x", "a", 1, ring_), ENODEV);
    CHECK_ERR(add(".dot", "x", "a", 1, ring_), EPERM);
    CHECK_ERR(add("keyring", "x", "a", 1, ring_), EINVAL);
    CHECK_ERR(add("keyring", ".x", NULL, 0, ring_), EPERM);
    CHECK_ERR(add("user", "x", NULL, 1, ring_), EFAULT);
    CHECK_ERR(add("user", NULL, "a", 1, ring_), EINVAL);
    CHECK_ERR(add("logon", "x", "a", 1, ring_), EINVAL); /* without a service */
    k = add("logon", "afs:x", "a", 1, ring_);
    CHECK(k > 0);
    CHECK_ERR(ctl(KEYCTL_READ, K(k), P(buf), sizeof buf, 0), EOPNOTSUPP);
    CHECK_ERR(add("user", "y", "a", 1, k), ENOTDIR);
    CHECK_ERR(ctl(KEYCTL_CLEAR, K(k), 0, 0, 0), ENOTDIR);
    CHECK_ERR(ctl(KEYCTL_UPDATE, K(ring_), P("x"), 1, 0), EOPNOTSUPP);
    CHECK_ERR(ctl(KEYCTL_READ, 0, P(buf), sizeof buf, 0), ENOKEY);
    CHECK_ERR(ctl(KEYCTL_DESCRIBE, 0x7ffffff0, P(buf), sizeof buf, 0), ENOKEY);
    CHECK_ERR(ctl(999, 0, 0, 0, 0), EOPNOTSUPP);
    CHECK_EQ(ctl(KEYCTL_GET_SECURITY, K(k), 0, 0, 0) > 0, 1);
}

static void rings(void)
{
    key a = ring("a"), b = ring("b"), got[4];
    key k = add("user", "in a", "1", 1, a);

    CHECK_EQ(ctl(KEYCTL_READ, K(a), P(got), sizeof got, 0), 4);
    CHECK_EQ(got[0], k);
    CHECK_EQ(ctl(KEYCTL_LINK, K(k), K(b), 0, 0), 0);
    CHECK_EQ(ctl(KEYCTL_LINK, K(k), K(b), 0, 0), 0);
    CHECK_EQ(ctl(KEYCTL_READ, K(b), P(got), sizeof got, 0), 4);
    CHECK_EQ(ctl(KEYCTL_UNLINK, K(k), K(a), 0, 0), 0);
    CHECK_ERR(ctl(KEYCTL_UNLINK, K(k), K(a), 0, 0), ENOENT);
    CHECK_EQ(request("user", "in a", NULL, 0), k); /* through b */
    CHECK_EQ(ctl(KEYCTL_LINK, K(b), K(a), 0, 0), 0);
    CHECK_ERR(ctl(KEYCTL_LINK, K(a), K(b), 0, 0), EDEADLK);
    CHECK_ERR(ctl(KEYCTL_LINK, K(a), K(a), 0, 0), EDEADLK);
    CHECK_EQ(ctl(MOVE, K(k), K(b), K(a), 0), 0);
    CHECK_ERR(ctl(MOVE, K(k), K(b), K(a), 0), ENOENT);
    key other = add("user", "in a", "2", 1, b);
    CHECK(other > 0 && other != k);
    CHECK_ERR(ctl(MOVE, K(other), K(b), K(a), 1), EEXIST);
    CHECK_EQ(ctl(MOVE, K(other), K(b), K(a), 0), 0); /* displaces */
    for (int i = 0; i < 2000 && ctl(KEYCTL_DESCRIBE, K(k), 0, 0, 0) >= 0; i++)
        usleep(1000); /* it may be collected later */
    CHECK_ERR(ctl(KEYCTL_DESCRIBE, K(k), 0, 0, 0), ENOKEY);
    CHECK_EQ(ctl(KEYCTL_CLEAR, K(a), 0, 0, 0), 0);
    CHECK_EQ(ctl(KEYCTL_READ, K(a), 0, 0, 0), 0);
    CHECK_EQ(ctl(29 /* RESTRICT */, K(a), 0, 0, 0), 0);
    CHECK_ERR(add("user", "x", "1", 1, a), EPERM);
    CHECK_ERR(ctl(29, K(a), 0, 0, 0), EEXIST);
    key deep = ring("deep0");
    char name[16];
    int r = 0;
    for (int i = 1; i < 12 && r == 0; i++) {
        snprintf(name, sizeof name, "deep%d", i);
        key up = ring(name);
        r = (int)ctl(KEYCTL_LINK, K(deep), K(up), 0, 0);
        deep = up;
    }
    CHECK_EQ(r, -1);
    CHECK_EQ(errno, ELOOP);
}

static long search(const char *desc)
{
    return ctl(KEYCTL_SEARCH, K(KEY_SPEC_PROCESS_KEYRING), P("user"), P(desc), 0);
}

static void ends(void)
{
    key k = add("user", "ends", "1", 1, KEY_SPEC_PROCESS_KEYRING);
    struct timespec t = { 1, 100000000 };

    CHECK_EQ(ctl(KEYCTL_SET_TIMEOUT, K(k), 1, 0, 0), 0);
    CHECK_EQ(request("user", "ends", NULL, 0), k);
    nanosleep(&t, NULL);
    CHECK_ERR(search("ends"), EKEYEXPIRED);
    CHECK_ERR(request("user", "ends", NULL, 0), ENOKEY); /* the session was searched, too */
    CHECK_ERR(ctl(KEYCTL_READ, K(k), 0, 0, 0), EKEYEXPIRED);
    k = add("user", "revoked", "1", 1, KEY_SPEC_PROCESS_KEYRING);
    CHECK_EQ(ctl(KEYCTL_REVOKE, K(k), 0, 0, 0), 0);
    CHECK_ERR(search("revoked"), EKEYREVOKED);
    CHECK_ERR(ctl(KEYCTL_READ, K(k), 0, 0, 0), EKEYREVOKED);
    CHECK_ERR(ctl(KEYCTL_DESCRIBE, K(k), 0, 0, 0), EKEYREVOKED);
    k = add("user", "invalid", "1", 1, KEY_SPEC_PROCESS_KEYRING);
    CHECK_EQ(ctl(KEYCTL_INVALIDATE, K(k), 0, 0, 0), 0);
    CHECK_EQ(ctl(KEYCTL_READ, K(k), 0, 0, 0), -1);
    CHECK(errno == ENOKEY || errno == EACCES); /* the second while it is being collected */
}

static void rights(void)
{
    key k = add("user", "rights", "1", 1, KEY_SPEC_PROCESS_KEYRING);

    CHECK_ERR(ctl(KEYCTL_SETPERM, K(k), 0x80000000u, 0, 0), EINVAL);
    CHECK_EQ(ctl(KEYCTL_SETPERM, K(k), 0x3d3d0000u, 0, 0), 0); /* not to be read */
    CHECK_EQ(ctl(KEYCTL_READ, K(k), 0, 0, 0), 1);              /* but by who possesses it */
    CHECK_EQ(ctl(KEYCTL_SETPERM, K(k), 0x20000000u, 0, 0), 0); /* not to be searched either */
    CHECK_ERR(ctl(KEYCTL_READ, K(k), 0, 0, 0), EACCES);
    CHECK_ERR(ctl(KEYCTL_DESCRIBE, K(k), 0, 0, 0), EACCES);
    CHECK_ERR(ctl(KEYCTL_REVOKE, K(k), 0, 0, 0), EACCES);
    k = add("user", "chown", "1", 1, KEY_SPEC_PROCESS_KEYRING);
    CHECK_EQ(ctl(KEYCTL_CHOWN, K(k), ~0ul, ~0ul, 0), 0);
    CHECK_EQ(ctl(KEYCTL_CHOWN, K(k), getuid(), ~0ul, 0), 0);
    if (getuid() != 0)
        CHECK_ERR(ctl(KEYCTL_CHOWN, K(k), 0, ~0ul, 0), EACCES);
}

static void special(void)
{
    key mine, theirs;
    int st;

    CHECK_ERR(ctl(KEYCTL_GET_KEYRING_ID, K(KEY_SPEC_THREAD_KEYRING), 0, 0, 0), ENOKEY);
    mine = (key)ctl(KEYCTL_GET_KEYRING_ID, K(KEY_SPEC_THREAD_KEYRING), 1, 0, 0);
    CHECK(mine > 0);
    CHECK_EQ(ctl(KEYCTL_GET_KEYRING_ID, K(KEY_SPEC_THREAD_KEYRING), 0, 0, 0), mine);
    CHECK_ERR(ctl(KEYCTL_GET_KEYRING_ID, K(KEY_SPEC_GROUP_KEYRING), 0, 0, 0), EINVAL);
    CHECK_ERR(ctl(KEYCTL_GET_KEYRING_ID, 0, 0, 0, 0), EINVAL);
    CHECK(ctl(KEYCTL_GET_KEYRING_ID, K(KEY_SPEC_USER_KEYRING), 0, 0, 0) > 0);
    CHECK(ctl(KEYCTL_GET_KEYRING_ID, K(KEY_SPEC_USER_SESSION_KEYRING), 0, 0, 0) > 0);
    mine = (key)ctl(KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0);
    CHECK(mine > 0);
    CHECK_EQ(ctl(KEYCTL_GET_KEYRING_ID, K(KEY_SPEC_SESSION_KEYRING), 0, 0, 0), mine);
    key k = add("user", "in session", "1", 1, KEY_SPEC_SESSION_KEYRING);
    pid_t pid = fork();
    if (pid == 0) { /* it has the session, and nothing else */
        int bad = ctl(KEYCTL_GET_KEYRING_ID, K(KEY_SPEC_SESSION_KEYRING), 0, 0, 0) != mine;
        bad |= (ctl(KEYCTL_GET_KEYRING_ID, K(KEY_SPEC_PROCESS_KEYRING), 0, 0, 0) >= 0) << 1;
        bad |= (request("user", "in session", NULL, 0) != k) << 2;
        ctl(KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0);
        bad |= (request("user", "in session", NULL, 0) == k) << 3;
        _exit(bad);
    }
    waitpid(pid, &st, 0);
    CHECK_EQ(WEXITSTATUS(st), 0);
    theirs = (key)ctl(KEYCTL_JOIN_SESSION_KEYRING, P("named by keys_test"), 0, 0, 0);
    CHECK(theirs > 0);
    CHECK_ERR(request("user", "in session", NULL, 0), ENOKEY);
    CHECK_EQ(ctl(KEYCTL_SET_REQKEY_KEYRING, K(-1), 0, 0, 0), 0);
    CHECK_EQ(ctl(KEYCTL_SET_REQKEY_KEYRING, 3, 0, 0, 0), 0);
    CHECK_EQ(ctl(KEYCTL_SET_REQKEY_KEYRING, K(-1), 0, 0, 0), 3);
    CHECK_ERR(ctl(KEYCTL_SET_REQKEY_KEYRING, 6, 0, 0, 0), EINVAL);
    CHECK_ERR(ctl(KEYCTL_INSTANTIATE, K(k), 0, 0, 0), EPERM);
    CHECK_EQ(ctl(KEYCTL_ASSUME_AUTHORITY, 0, 0, 0, 0), 0);
}

static void shown(void)
{
    key k = add("user", "shown in proc", "12345", 5, KEY_SPEC_PROCESS_KEYRING);
    char line[4096], want[16], user[32];
    int seen = 0, users = 0;

    snprintf(want, sizeof want, "%08x ", (unsigned)k);
    FILE *f = fopen("/proc/keys", "r");
    CHECK(f != NULL);
    while (f && fgets(line, sizeof line, f))
        seen += !strncmp(line, want, 9) && strstr(line, " perm 3f010000 ") &&
                strstr(line, "user      shown in proc: 5\n");
    if (f)
        fclose(f);
    CHECK_EQ(seen, 1);
    snprintf(user, sizeof user, "%5u: ", getuid());
    f = fopen("/proc/key-users", "r");
    while (f && fgets(line, sizeof line, f))
        users += !strncmp(line, user, strlen(user));
    if (f)
        fclose(f);
    CHECK_EQ(users, 1);
}

/* An ordinary user has 200 keys, and 20000 bytes. */
static void quota(void)
{
    int st;
    pid_t pid = fork();

    if (pid == 0) {
        static char bytes[30000];
        int bad = 0, n = 0;
        char name[16];
        if (getuid() == 0 && (setgid(54321) || setuid(54321)))
            _exit(100);
        ctl(KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0);
        bad |= add("user", "big", bytes, sizeof bytes, KEY_SPEC_PROCESS_KEYRING) != -1 ||
               errno != EDQUOT;
        for (; n < 300; n++) {
            snprintf(name, sizeof name, "k%d", n);
            if (add("user", name, "1", 1, KEY_SPEC_PROCESS_KEYRING) < 0)
                break;
        }
        bad |= (n < 150 || n >= 200 || errno != EDQUOT) << 1;
        _exit(bad);
    }
    waitpid(pid, &st, 0);
    CHECK_EQ(WEXITSTATUS(st), 0);
}

int main(void)
{
    if (ctl(KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0) < 0 && errno == ENOSYS && !guest_inside())
        SKIP("this kernel has no keys");
    RUN(life_of_a_key);
    RUN(kinds);
    RUN(rings);
    RUN(ends);
    RUN(rights);
    RUN(special);
    RUN(shown);
    RUN(quota);
    DONE();
}
