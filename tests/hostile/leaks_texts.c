/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every file of /proc, /sys, /dev, /run, /etc and the environment: none names what only the host knows,
 * none shows a kernel's address.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "leaks.h"

static char **secrets;
static int nsecrets;
static unsigned nfiles;

static void search(const char *where, const char *text, size_t n)
{
    for (int i = 0; i < nsecrets; i++) {
        if (memmem(text, n, secrets[i], strlen(secrets[i])))
            leak("text", "%s holds %s", where, secrets[i]);
    }
    if (strncmp(where, "/etc/", 5) == 0)
        return; /* the host's packages wrote it, byte masks like an address included */
    for (size_t i = 0; i + 16 <= n; i++) { /* ffff and twelve more hexadecimal digits, not all f */
        size_t k = 4;

        if (memcmp(text + i, "ffff", 4) != 0 || (i > 0 && isxdigit((unsigned char)text[i - 1])))
            continue;
        while (k < 17 && i + k < n && isxdigit((unsigned char)text[i + k]))
            k++;
        if (k == 16 && memcmp(text + i, "ffffffffff600000", 16) != 0 &&
            memcmp(text + i, "ffffffffff601000", 16) != 0 &&
            memcmp(text + i, "ffffffffffffffff", 16) != 0)
            leak("text", "%s shows the address %.16s", where, text + i);
    }
}

static void look_into(const char *path)
{
    static char text[262144];
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    size_t n = 0;
    ssize_t r;

    if (fd < 0)
        return;
    nfiles++;
    while (n < sizeof text && (r = read(fd, text + n, sizeof text - n)) > 0)
        n += (size_t)r;
    close(fd);
    search(path, text, n);
}

static bool dull(const char *path)
{
    static const char *const not_texts[] = { "/mem",     "/pagemap", "/clear_refs", "/kmsg",
                                             "/random",  "/urandom", "/zero",       "/full",
                                             "/dev/tty", "/kcore" };

    for (unsigned i = 0; i < sizeof not_texts / sizeof not_texts[0]; i++) {
        size_t n = strlen(not_texts[i]), len = strlen(path);

        if (len >= n && strcmp(path + len - n, not_texts[i]) == 0)
            return true;
    }
    return false;
}

static void walk(const char *dir, int depth)
{
    struct dirent *e;
    DIR *d = opendir(dir);

    while (d && (e = readdir(d))) {
        char path[1024], target[1024];
        struct stat st;
        ssize_t n;

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        search(dir, e->d_name, strlen(e->d_name));
        if (lstat(path, &st) < 0 || dull(path))
            continue;
        if (S_ISLNK(st.st_mode) && (n = readlink(path, target, sizeof target)) > 0)
            search(path, target, (size_t)n);
        else if (S_ISREG(st.st_mode))
            look_into(path);
        else if (S_ISDIR(st.st_mode) && depth > 0)
            walk(path, depth - 1);
    }
    if (d)
        closedir(d);
}

void leaks_in_texts(char **strings, int n)
{
    extern char **environ;

    secrets = strings;
    nsecrets = n;
    for (char **e = environ; *e; e++)
        search("the environment", *e, strlen(*e));
    walk("/proc", 4);
    walk("/sys", 8);
    walk("/dev", 2);
    walk("/run", 3);
    walk("/etc", 1);
    look_into("/proc/kallsyms");
    look_into("/proc/modules");
    look_into("/sys/class/dmi/id/product_uuid");
    printf("%u files\n", nfiles);
    if (nfiles < 50)
        leak("text", "few files are there: this looks at nothing");
}
