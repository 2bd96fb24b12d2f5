/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Order: `-` is a script on standard input. A FILE with a slash, or one that is here, is that file;
 * any other is looked up in PATH. Of a file the #! line decides, else the ending, else it is the
 * program itself. #! is resolved here and not left to exec, so that a script needs no x bit.
 */
#include "cli/program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/elf_check.h"
#include "cli/error.h"

#define HEAD 512 /* more than a kernel reads of a #! line */

static const struct {
    const char *ending, *interpreter, *package;
} endings[] = {
    { ".py", "python3", "python3" }, { ".sh", "sh", "dash" },   { ".js", "node", "nodejs" },
    { ".rb", "ruby", "ruby" },       { ".pl", "perl", "perl" },
};

/* How an interpreter is told that its script is on standard input. */
static const struct {
    const char *prefix, *word;
} stdin_words[] = {
    { "python", "-" }, { "node", "-" },  { "perl", "-" },  { "ruby", "-" },
    { "sh", "-s" },    { "bash", "-s" }, { "dash", "-s" }, { "zsh", "-s" },
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static void push(struct program *p, unsigned *n, const char *word)
{
    *(char **)xgrow(&p->argv, n, sizeof *p->argv) = word ? xstrdup(word) : NULL;
}

/* Takes "#! interpreter [one argument]" apart, in place. False when it is no such line. */
static bool parse_shebang(char *head, char **ret_interp, char **ret_arg)
{
    char *s = head + 2, *end, *arg = NULL;

    if (head[0] != '#' || head[1] != '!')
        return false;
    s[strcspn(s, "\n")] = 0;
    s += strspn(s, " \t");
    for (end = s + strlen(s); end > s && strchr(" \t\r", end[-1]);)
        *--end = 0;
    if (!*s)
        return false;
    end = s + strcspn(s, " \t");
    if (*end) {
        *end++ = 0;
        arg = end + strspn(end, " \t");
    }
    *ret_interp = s;
    *ret_arg = arg;
    return true;
}

/* The interpreter's own arguments, then what the caller adds. */
static int start_interpreter(const struct view *v, const char *script, char *interp, char *arg,
                             struct program *p, unsigned *n)
{
    struct stat st;
    int r = view_stat(v, interp, &st);

    if (r < 0)
        return fail(EXIT_NOEXEC, "%s: its interpreter %s: %s; install it or change the #! line",
                    script, interp, strerror(-r));
    if (!view_executable(v, interp))
        return fail(EXIT_NOEXEC, "%s: its interpreter %s is not executable", script, interp);
    p->exec_path = view_absolute(v, interp);
    push(p, n, interp);
    if (arg)
        push(p, n, arg);
    /* `env NAME`: say now, in our words, when NAME is not to be had. */
    if (arg && strcmp(base_name(interp), "env") == 0 && arg[0] != '-' && !strpbrk(arg, " =/")) {
        if (!view_which(v, arg, &r))
            return fail(EXIT_NOTFOUND, "%s: its interpreter %s is not in PATH; install it", script,
                        arg);
    }
    return 0;
}

static int by_ending(const struct view *v, const char *file, struct program *p, unsigned *n)
{
    const char *dot = strrchr(base_name(file), '.');
    int err;

    for (unsigned i = 0; dot && i < ARRAY_SIZE(endings); i++) {
        if (strcmp(dot, endings[i].ending) != 0)
            continue;
        p->exec_path = view_which(v, endings[i].interpreter, &err);
        if (!p->exec_path)
            return fail(EXIT_NOTFOUND,
                        "%s needs %s, which is not in PATH; install it"
                        " (Debian: apt install %s)",
                        file, endings[i].interpreter, endings[i].package);
        p->interp_by_path = true;
        push(p, n, endings[i].interpreter);
        return 0;
    }
    return -ENOENT;
}

/* The first bytes of what must be a regular file; *ret_got -EACCES: it may be run, not read. */
static int read_head(const struct view *v, const char *arg, const char *file, char *head,
                     ssize_t *ret_got)
{
    struct stat st;
    int r = view_stat(v, file, &st);

    if (r < 0)
        return fail(r == -ENOENT ? EXIT_NOTFOUND : EXIT_NOEXEC, "%s: %s", arg, strerror(-r));
    if (S_ISDIR(st.st_mode))
        return fail(EXIT_NOEXEC, "%s is a directory; give a script or program in it", arg);
    if (!S_ISREG(st.st_mode))
        return fail(EXIT_NOEXEC, "%s is no regular file; give a script or program", arg);
    *ret_got = view_head(v, file, head, HEAD);
    if (*ret_got == -EACCES && !view_executable(v, file))
        return fail(EXIT_NOEXEC, "%s: permission denied; it can be neither read nor run", arg);
    if (*ret_got < 0 && *ret_got != -EACCES)
        return fail(EXIT_NOEXEC, "%s: %s", arg, strerror((int)-*ret_got));
    return 0;
}

/* It is the program itself, or cannot be run. */
static int check_program(const struct view *v, const char *arg, const char *file, const char *head,
                         ssize_t got)
{
    bool elf = got >= 4 && memcmp(head, "\177ELF", 4) == 0;

    if (got == -EACCES)
        return 0; /* exec decides */
    if (!view_executable(v, file))
        return elf ? fail(EXIT_NOEXEC, "%s: permission denied; make it executable: chmod +x %s",
                          arg, arg)
                   : fail(EXIT_NOEXEC,
                          "%s: permission denied; give it a #! line or make it "
                          "executable",
                          arg);
    return elf ? elf_check(v, file)
               : fail(EXIT_NOEXEC, "%s: neither a program nor a script with a #! line", arg);
}

/* arg: how the program hears its own name. */
static int inspect(const struct view *v, const char *arg, bool command, struct program *p,
                   unsigned *n)
{
    char head[HEAD + 1] = "", *interp, *interp_arg;
    bool elf;
    ssize_t got = 0;
    int r = read_head(v, arg, p->file, head, &got);

    if (r)
        return r;
    elf = got >= 4 && memcmp(head, "\177ELF", 4) == 0;
    if (parse_shebang(head, &interp, &interp_arg)) {
        r = start_interpreter(v, arg, interp, interp_arg, p, n);
        if (r == 0)
            push(p, n, p->by_path || v->moved ? p->file : arg);
        return r;
    }
    if (!command && !elf && (r = by_ending(v, p->file, p, n)) != -ENOENT) {
        if (r == 0)
            push(p, n, v->moved ? p->file : arg);
        return r;
    }
    r = check_program(v, arg, p->file, head, got);
    if (r == 0) {
        p->exec_path = p->file;
        push(p, n, arg);
    }
    return r;
}

/* All of standard input, in a file that the interpreter can read from its start. */
static int slurp(struct program *p, char *head)
{
    int fd = memfd_create("stdin", MFD_CLOEXEC);
    char buf[65536];
    ssize_t n;

    if (fd < 0)
        return fail(EXIT_SBX, "no memory for the script on standard input: %s", strerror(errno));
    while ((n = read(STDIN_FILENO, buf, sizeof buf)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || write(fd, buf, (size_t)n) != n)
            return fail(EXIT_SBX, "reading the script on standard input: %s", strerror(errno));
    }
    n = pread(fd, head, HEAD, 0);
    if (n <= 0)
        return fail(EXIT_SBX, "no script on standard input; pipe one in: sbx run - < script.sh");
    lseek(fd, 0, SEEK_SET);
    p->stdin_fd = fd;
    return 0;
}

static int from_stdin(const struct view *v, struct program *p, unsigned *n)
{
    char head[HEAD + 1] = "", *interp, *arg, sh[] = "/bin/sh";
    const char *word = "/dev/stdin";
    int r = slurp(p, head);

    if (r)
        return r;
    if (!parse_shebang(head, &interp, &arg)) {
        interp = sh; /* as execvp(3) takes a file without a #! line */
        arg = NULL;
    }
    r = start_interpreter(v, "standard input", interp, arg, p, n);
    if (r)
        return r;
    const char *name = base_name(interp);

    if (strcmp(name, "env") == 0 && arg)
        name = base_name(arg);
    for (unsigned i = 0; i < ARRAY_SIZE(stdin_words); i++) {
        if (strncmp(name, stdin_words[i].prefix, strlen(stdin_words[i].prefix)) == 0)
            word = stdin_words[i].word;
    }
    push(p, n, word);
    return 0;
}

/* As docker run has it: a name with a tag, or one that everybody pulls. */
static bool is_image(const char *arg)
{
    static const char *const known[] = { "alpine",   "archlinux", "busybox", "centos", "debian",
                                         "fedora",   "golang",    "mysql",   "nginx",  "node",
                                         "postgres", "python",    "redis",   "rust",   "ubuntu" };
    size_t n = strcspn(arg, ":@");

    if (arg[n] && n > 0 && strspn(arg, "abcdefghijklmnopqrstuvwxyz0123456789._-/") == n)
        return true;
    for (unsigned i = 0; i < ARRAY_SIZE(known); i++) {
        if (strcmp(arg, known[i]) == 0)
            return true;
    }
    return false;
}

static int locate(const struct view *v, const char *arg, bool command, struct program *p)
{
    struct stat st;
    int err;

    if (strchr(arg, '/') || (!command && view_stat(v, arg, &st) == 0 && !S_ISDIR(st.st_mode))) {
        p->file = view_absolute(v, arg);
        err = view_stat(v, arg, &st);
        if (err == -ENOENT && arg[0] != '.' && arg[0] != '/' && is_image(arg))
            return fail(
                EXIT_NOTFOUND,
                "%s: no such file; an image is not run by its name: unpack it, then sbx run "
                "--rootfs DIR CMD",
                arg);
        if (err < 0)
            return fail(err == -ENOENT || err == -ENOTDIR ? EXIT_NOTFOUND : EXIT_NOEXEC, "%s: %s",
                        arg, err == -ENOENT ? "no such file; check the path" : strerror(-err));
        return 0;
    }
    p->file = view_which(v, arg, &err);
    p->by_path = true;
    if (p->file)
        return 0;
    if (err == EACCES)
        return fail(EXIT_NOEXEC, "%s: found in PATH, but not executable", arg);
    if (!command && view_stat(v, arg, &st) == 0)
        return fail(EXIT_NOEXEC, "%s is a directory; give a script or program in it", arg);
    if (is_image(arg))
        return fail(
            EXIT_NOTFOUND,
            "%s: neither a file here nor a command in PATH; an image is not run by its name: "
            "unpack it, then sbx run --rootfs DIR CMD",
            arg);
    return fail(EXIT_NOTFOUND, "%s: neither a file here nor a command in PATH", arg);
}

int program_find(const struct view *v, char *const *args, unsigned nargs, bool command,
                 struct program *ret)
{
    struct program p = { .stdin_fd = -1 };
    unsigned n = 0;
    int r;

    if (!command && strcmp(args[0], "-") == 0) {
        r = from_stdin(v, &p, &n);
    } else if (!*args[0]) {
        r = fail(EXIT_NOTFOUND, "the name of the program is empty");
    } else if (strchr(args[0], '/') && view_in_image(v, view_absolute(v, args[0]))) {
        p.exec_path = view_absolute(v, args[0]);
        push(&p, &n, args[0]);
        r = 0;
    } else {
        r = locate(v, args[0], command, &p);
        if (r == 0)
            r = inspect(v, args[0], command, &p, &n);
    }
    if (r)
        return r;
    for (unsigned i = 1; i < nargs; i++)
        push(&p, &n, args[i]);
    push(&p, &n, NULL);
    *ret = p;
    return 0;
}
