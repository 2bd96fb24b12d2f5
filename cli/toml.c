/* SPDX-License-Identifier: Apache-2.0 */
/* See toml.h. */
#include "cli/toml.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/beside.h"
#include "cli/error.h"
#include "cli/results.h"

#define OUT_MAX (8u << 20)
#define MEMORY_MAX (256u << 20)
#define SECONDS_MAX 5

/* ---- the reader's process ---- */

static void limit(int resource, rlim_t value)
{
    const struct rlimit r = { value, value };

    setrlimit(resource, &r);
}

static __attribute__((noreturn)) void run_reader(int reader, int in, int out)
{
    static char name[] = "sbx-toml";
    char *argv[] = { name, NULL }, *envp[] = { NULL };
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_NPROC, 0);
    limit(RLIMIT_AS, MEMORY_MAX);
    limit(RLIMIT_CPU, SECONDS_MAX);
    if (dup2(in, 0) == 0 && dup2(out, 1) == 1) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

        if (null >= 0)
            dup2(null, 2);
        /* All others are close-on-exec, ours or not: those that came through an exec are not. */
        if (close_range(3, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */) < 0)
            for (int fd = 3; fd < 1024; fd++)
                fcntl(fd, F_SETFD, FD_CLOEXEC);
        syscall(SYS_execveat, reader, "", argv, envp, AT_EMPTY_PATH);
    }
    _exit(127);
}

static char *read_all(int fd, size_t *ret_n)
{
    size_t n = 0, cap = 65536;
    char *buf = xcalloc(cap, 1);
    ssize_t r;

    while ((r = read(fd, buf + n, cap - n)) > 0 || (r < 0 && errno == EINTR)) {
        n += (size_t)MAX(r, (ssize_t)0);
        if (n > OUT_MAX)
            break;
        if (n == cap)
            buf = xreallocarray(buf, cap *= 2, 1);
    }
    *ret_n = n;
    return buf;
}

/* What the reader printed; NULL after the error was printed. */
static char *ask_reader(const char *where, const char *text, size_t n, size_t *ret_n)
{
    int in = memfd_create("profile", MFD_CLOEXEC), out[2] = { -1, -1 }, status = 0;
    int reader = program_beside("sbx-toml");
    char *answer;
    pid_t pid;

    if (reader < 0) {
        fail(
            EXIT_SBX,
            "%s: sbx-toml, which reads profiles, is not beside sbx, nor in ../libexec/sbx; install "
            "it there",
            where);
        return NULL;
    }
    if (in < 0 || write(in, text, n) != (ssize_t)n || lseek(in, 0, SEEK_SET) < 0 ||
        pipe2(out, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
        fail(EXIT_SBX, "%s: cannot be read: %s", where, strerror(errno));
        return NULL;
    }
    if (pid == 0)
        run_reader(reader, in, out[1]);
    close(reader);
    close(in);
    close(out[1]);
    answer = read_all(out[0], ret_n);
    close(out[0]);
    if (*ret_n > OUT_MAX)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return answer;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 4)
        fail(EXIT_SBX,
             "%s: profiles are not read where seccomp filters are refused; see sbx doctor", where);
    else if (WIFSIGNALED(status))
        fail(EXIT_SBX, "%s: its reader was ended by signal %d (%s); make the file plainer", where,
             WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        fail(EXIT_SBX, "%s: its reader ended with status %d; make the file plainer", where,
             WEXITSTATUS(status));
    return NULL;
}

/* ---- what it said ---- */

static char *string_of(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));

    /* One with a NUL in it would be cut short. */
    return s && json_string_length(json_object_get(o, name)) == strlen(s) ? xstrdup(s) : NULL;
}

static unsigned line_of(const json_t *o)
{
    json_int_t n = json_integer_value(json_object_get(o, "line"));

    return n > 0 && n <= TOML_MAX ? (unsigned)n : 1;
}

static bool take_value(const json_t *o, struct toml_value *ret)
{
    static const struct {
        const char *kind;
        enum toml_type type;
    } types[] = { { "string", TOML_STRING },
                  { "integer", TOML_INTEGER },
                  { "float", TOML_FLOAT },
                  { "boolean", TOML_BOOLEAN } };

    ret->type = TOML_OTHER;
    ret->kind = string_of(o, "type");
    ret->text = string_of(o, "text");
    ret->line = line_of(o);
    for (unsigned i = 0; ret->kind && i < ARRAY_SIZE(types); i++) {
        if (strcmp(ret->kind, types[i].kind) == 0)
            ret->type = types[i].type;
    }
    return ret->kind && ret->text;
}

static bool take_key(const json_t *o, struct toml_key *ret)
{
    const json_t *values = json_object_get(o, "values"), *v;
    size_t i;

    ret->key = string_of(o, "key");
    ret->line = line_of(o);
    ret->list = json_is_true(json_object_get(o, "list"));
    json_array_foreach(values, i, v)
    {
        if (!take_value(v, xgrow(&ret->values, &ret->n, sizeof *ret->values)))
            return false;
    }
    return ret->key && json_is_array(values) && (ret->list || ret->n == 1);
}

static int take_all(const char *where, const json_t *top, struct toml_file *ret)
{
    const json_t *keys = json_object_get(top, "keys"), *o;
    char *error = string_of(top, "error");
    size_t i;

    if (error)
        return fail(EXIT_SBX, "%s:%u: %s", where, line_of(top), results_escaped(error));
    json_array_foreach(keys, i, o)
    {
        if (!take_key(o, xgrow(&ret->keys, &ret->n, sizeof *ret->keys)))
            return fail(EXIT_SBX, "%s:%u: no NUL may stand in a profile", where, line_of(o));
    }
    return json_is_array(keys) ? 0 : fail(EXIT_SBX, "%s: its reader said nothing of use", where);
}

int toml_read(const char *where, const char *text, size_t n, struct toml_file *ret)
{
    char *answer;
    json_t *top;
    int r;

    *ret = (struct toml_file){ 0 };
    answer = ask_reader(where, text, n, &n);
    if (!answer)
        return EXIT_SBX;
    top = json_loadb(answer, n, JSON_ALLOW_NUL, NULL);
    r = top ? take_all(where, top, ret)
            : fail(EXIT_SBX, "%s: its reader said nothing of use", where);
    json_decref(top);
    free(answer);
    return r;
}

const struct toml_key *toml_find(const struct toml_file *f, const char *key)
{
    for (unsigned i = 0; i < f->n; i++) {
        if (strcmp(f->keys[i].key, key) == 0)
            return &f->keys[i];
    }
    return NULL;
}
