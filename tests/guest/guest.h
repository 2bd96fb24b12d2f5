/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest tests: small static programs that are run natively and inside sbx and must pass in both.
 * A test is a function; CHECK prints both sides. Exit status 0: all passed; 77: skipped, with a
 * printed reason; 1: failed.
 */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static int guest_failures;
static const char *guest_current = "";

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            guest_failures++;                                                                      \
            printf("%s:%d: %s: failed: %s (errno %d %s)\n", __FILE__, __LINE__, guest_current,     \
                   #cond, errno, strerror(errno));                                                 \
        }                                                                                          \
    } while (0)

/* Integers; prints both. */
#define CHECK_EQ(a, b)                                                                             \
    do {                                                                                           \
        long long a_ = (long long)(a), b_ = (long long)(b);                                        \
        if (a_ != b_) {                                                                            \
            guest_failures++;                                                                      \
            printf("%s:%d: %s: failed: %s == %s: %lld != %lld (errno %d %s)\n", __FILE__,          \
                   __LINE__, guest_current, #a, #b, a_, b_, errno, strerror(errno));               \
        }                                                                                          \
    } while (0)

/* The call fails with -1 and this errno. */
#define CHECK_ERR(call, err)                                                                       \
    do {                                                                                           \
        errno = 0;                                                                                 \
        long long r_ = (long long)(call);                                                          \
        int e_ = errno;                                                                            \
        if (r_ != -1 || e_ != (err)) {                                                             \
            guest_failures++;                                                                      \
            printf("%s:%d: %s: failed: %s gives %lld errno %d (%s), wanted -1 errno %d (%s)\n",    \
                   __FILE__, __LINE__, guest_current, #call, r_, e_, strerror(e_), (err),          \
                   strerror(err));                                                                 \
        }                                                                                          \
    } while (0)

/* Until pid waits in a call that has no other reason to end: by its state in /proc. */
static inline void guest_asleep(pid_t pid)
{
    char path[40], line[200] = "", state = 0;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    for (int i = 0; i < 20000 && state != 'S' && state != 'Z'; i++) {
        FILE *f = fopen(path, "r");

        usleep(1000);
        if (!f || !fgets(line, sizeof line, f))
            line[0] = 0;
        if (f)
            fclose(f);
        state = strrchr(line, ')') ? strrchr(line, ')')[2] : 0;
    }
}

/* What a host may lack is never missing inside. */
static inline int guest_inside(void)
{
    struct utsname u;

    return uname(&u) == 0 && strstr(u.release, "-sbx");
}

#define RUN(fn)                                                                                    \
    do {                                                                                           \
        guest_current = #fn;                                                                       \
        fn();                                                                                      \
    } while (0)

#define SKIP(reason)                                                                               \
    do {                                                                                           \
        printf("SKIP: %s\n", reason);                                                              \
        exit(77);                                                                                  \
    } while (0)

#define DONE()                                                                                     \
    do {                                                                                           \
        printf("%s\n", guest_failures ? "FAIL" : "ok");                                            \
        fflush(stdout);                                                                            \
        return guest_failures != 0;                                                                \
    } while (0)
