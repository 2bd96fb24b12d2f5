/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line and the environment: an input is words with a NUL behind each. They are parsed as the
 * options of `run`; each also as a duration, a bind, a list of SBX_WITHOUT, a path and a user.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "abi/without.h"
#include "cli/environ.h"
#include "cli/options.h"
#include "cli/user.h"
#include "cli/view.h"
#include "tests/fuzz/forget.h"
#include "tests/fuzz/fuzz.h"

#define WORDS_MAX 64

static void each_word(char *w)
{
    struct view v = { .root = -100 /* AT_FDCWD */, .cwd = "/usr/lib", .path = w };
    struct bind_option b;
    const char *bad;
    uint64_t ns;
    char *abs;
    int err;

    if (parse_duration(w, &ns) == 0 && ns > 1000000001ull * 1000000000)
        abort();
    if (parse_bind(w, &b) == 0 && (!*b.src || (b.dst && *b.dst != '/')))
        abort();
    (void)without_parse(w, &bad);
    if (bad && (bad < w || bad > w + strlen(w)))
        abort();
    abs = view_absolute(&v, w);
    if (abs[0] != '/' || strstr(abs, "//") || strstr(abs, "/./"))
        abort();
    (void)path_within(abs, "/usr");
    (void)path_within("/usr/lib", abs);
    (void)view_which(&v, "none", &err);
}

static void parse(char **argv, int argc)
{
    struct run_options o;
    struct user u = { .name = "user", .home = "/home/user" };
    struct shown s = { .path = VIEW_PATH, .home = "/home/user", .cwd = "/" };

    if (options_parse(argc, argv, &o) == 0) {
        char **env = environ_build(&o, &s, &u);

        for (; *env; env++)
            if (!strchr(*env, '='))
                abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char text[2048] = "", *argv[WORDS_MAX + 2] = { (char *)"run" };
    int argc = 1;

    if (n >= sizeof text)
        return 0;
    if (n)
        memcpy(text, p, n);
    forget_begin();
    for (char *w = text; w < text + n && argc < WORDS_MAX; w += strlen(w) + 1)
        argv[argc++] = w;
    for (int i = 1; i < argc; i++)
        each_word(argv[i]);
    parse(argv, argc);
    forget_end();
    return 0;
}

size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
    static const char *const words[] = { "--rootfs",
                                         "/",
                                         "--bind",
                                         "/tmp:/t:ro",
                                         "-v",
                                         "a:b",
                                         "--tmpfs",
                                         "--cwd=/",
                                         "-w",
                                         "--env",
                                         "A=B",
                                         "-eC",
                                         "--user",
                                         "1000:100",
                                         "-u",
                                         "root",
                                         "--hostname=h",
                                         "--timeout",
                                         "1.5s",
                                         "--timeout=2m",
                                         "--platform=trap",
                                         "--strace",
                                         "--strace=/x",
                                         "--stats",
                                         "--stats=json",
                                         "--log",
                                         "--log-level=debug",
                                         "--help",
                                         "--",
                                         "-",
                                         "a.py",
                                         "-h",
                                         "userns,pidns",
                                         "iouring,,sync,none",
                                         "../../x/./y//z",
                                         "--none",
                                         "-z",
                                         "1e9",
                                         ".5h",
                                         "0x10",
                                         "nan" };
    const char *w = words[i % 41];
    size_t n = strlen(w) + 1;

    if (n > cap)
        return 0;
    memcpy(buf, w, n);
    return n;
}
