/* SPDX-License-Identifier: Apache-2.0 */
/* Records as callers parse them: one JSON object a line, or logrus' text. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/error.h"
#include "oci/oci.h"

static int log_fd = -1; /* -1: standard error */
static bool silent;

int oci_log_open(void)
{
    if (!oci.log || !*oci.log)
        return 0;
    log_fd = open(oci.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    return log_fd < 0 ? oci_fail("error opening the log %s: %s", oci.log, oci_strerror(errno)) : 0;
}

void oci_log_child(void)
{
    silent = true;
}

const char *oci_strerror(int err)
{
    static char text[128];

    snprintf(text, sizeof text, "%s", strerror(err < 0 ? -err : err));
    if (text[0] >= 'A' && text[0] <= 'Z' && !(text[1] >= 'A' && text[1] <= 'Z'))
        text[0] = (char)(text[0] | 0x20);
    return text;
}

static void now(char *buf, size_t n)
{
    time_t t = time(NULL);
    struct tm tm;

    strftime(buf, n, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
}

static char *record(const char *level, const char *msg)
{
    char when[40];
    char *text = NULL;
    json_t *o;

    now(when, sizeof when);
    if (!oci.json)
        return xasprintf("time=\"%s\" level=%s msg=\"%s\"\n", when, level, msg);
    o = json_pack("{s:s, s:s, s:s}", "level", level, "msg", msg, "time", when);
    if (!o) /* a name that is not UTF-8 */
        o = json_pack("{s:s, s:s, s:s}", "level", level, "msg", "(not UTF-8)", "time", when);
    char *line = o ? json_dumps(o, JSON_COMPACT) : NULL;

    if (line)
        text = xasprintf("%s\n", line);
    free(line);
    json_decref(o);
    return text;
}

static void put(int fd, const char *text)
{
    size_t n = strlen(text);

    while (n > 0) {
        ssize_t w = write(fd, text, n);

        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return;
        text += w;
        n -= (size_t)w;
    }
}

static void log_line(enum oci_level level, const char *msg)
{
    static const char *const names[] = { "debug", "info", "warning", "error" };
    char *text;

    if (silent)
        return;
    if (level < OCI_WARNING && !oci.debug)
        return;
    if (log_fd < 0 && level == OCI_ERROR) /* it is printed as it stands */
        return;
    text = record(names[level], msg);
    if (text)
        put(log_fd < 0 ? STDERR_FILENO : log_fd, text);
    free(text);
}

void oci_log(enum oci_level level, const char *fmt, ...)
{
    char *msg = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&msg, fmt, ap) < 0)
        msg = NULL;
    va_end(ap);
    if (!msg)
        return;
    log_line(level, msg);
    free(msg);
}

int oci_fail(const char *fmt, ...)
{
    char *msg = NULL, *line;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&msg, fmt, ap) < 0)
        msg = NULL;
    va_end(ap);
    if (!msg)
        return 1;
    log_line(OCI_ERROR, msg);
    line = xasprintf("%s\n", msg);
    put(STDERR_FILENO, line);
    free(line);
    free(msg);
    return 1;
}
