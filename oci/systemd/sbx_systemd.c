/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sbx-systemd: what sbx asks systemd for with --systemd-cgroup (oci/scope.c), by sd-bus. A program of its own, since
 * sbx is static and libsystemd is not; it is started for that one request.
 *
 *   sbx-systemd start UNIT PID PROPERTY...    a transient scope with that process in it; waits until it is there
 *   sbx-systemd set UNIT PROPERTY...          properties of one that runs
 *   sbx-systemd stop UNIT                     one that is not there is no error
 *
 * PROPERTY: NAME:TYPE:VALUE; TYPE as D-Bus has it: s, b, t, or ay (in hexadecimal). On failure one line on standard
 * error, and status 1.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <time.h>

#define TIMEOUT_S 30
#define BYTES_MAX 1024

static const char to[] = "org.freedesktop.systemd1", at[] = "/org/freedesktop/systemd1",
                  manager[] = "org.freedesktop.systemd1.Manager";

static int fail(const char *what, int r, const sd_bus_error *e)
{
    fprintf(stderr, "%s: %s\n", what, e && e->message ? e->message : strerror(-r));
    return 1;
}

static int append_bytes(sd_bus_message *m, const char *hex)
{
    uint8_t bytes[BYTES_MAX];
    size_t n = 0;

    for (; hex[0] && hex[1] && n < sizeof bytes; hex += 2) {
        const char two[3] = { hex[0], hex[1], 0 };

        bytes[n++] = (uint8_t)strtoul(two, NULL, 16);
    }
    return sd_bus_message_append_array(m, 'y', bytes, n);
}

/* "NAME:TYPE:VALUE" as a member of a(sv). */
static int append(sd_bus_message *m, char *property)
{
    char *type = strchr(property, ':'), *value = type ? strchr(type + 1, ':') : NULL;
    int r;

    if (!value)
        return -EINVAL;
    *type++ = 0;
    *value++ = 0;
    r = sd_bus_message_open_container(m, 'r', "sv");
    if (r >= 0)
        r = sd_bus_message_append(m, "s", property);
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'v', type);
    if (r < 0)
        return r;
    if (strcmp(type, "s") == 0)
        r = sd_bus_message_append(m, "s", value);
    else if (strcmp(type, "b") == 0)
        r = sd_bus_message_append(m, "b", strcmp(value, "true") == 0);
    else if (strcmp(type, "t") == 0)
        r = sd_bus_message_append(m, "t", (uint64_t)strtoull(value, NULL, 10));
    else if (strcmp(type, "ay") == 0)
        r = append_bytes(m, value);
    else
        r = -EINVAL;
    if (r >= 0)
        r = sd_bus_message_close_container(m);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_all(sd_bus_message *m, char **properties, const uint32_t *pid)
{
    int r = sd_bus_message_open_container(m, 'a', "(sv)");

    for (; r >= 0 && *properties; properties++)
        r = append(m, *properties);
    if (r >= 0 && pid)
        r = sd_bus_message_append(m, "(sv)", "PIDs", "au", 1, *pid);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

/* ---- jobs ---- */

static struct {
    char removed[64][128]; /* those that have ended, and how */
    char result[64][32];
    unsigned n;
} jobs;

static int on_removed(sd_bus_message *m, void *arg, sd_bus_error *e)
{
    const char *path, *unit, *result;
    uint32_t id;

    (void)arg, (void)e;
    if (sd_bus_message_read(m, "uoss", &id, &path, &unit, &result) >= 0) {
        snprintf(jobs.removed[jobs.n % 64], sizeof jobs.removed[0], "%s", path);
        snprintf(jobs.result[jobs.n % 64], sizeof jobs.result[0], "%s", result);
        jobs.n++;
    }
    return 0;
}

static int await_job(sd_bus *bus, const char *job)
{
    const time_t end = time(NULL) + TIMEOUT_S;

    while (time(NULL) <= end) {
        int r = sd_bus_process(bus, NULL);

        if (r < 0)
            return fail("systemd", r, NULL);
        for (unsigned i = 0; i < 64; i++) {
            if (strcmp(jobs.removed[i], job) != 0)
                continue;
            if (strcmp(jobs.result[i], "done") == 0)
                return 0;
            fprintf(stderr, "systemd: the job ended as \"%s\"\n", jobs.result[i]);
            return 1;
        }
        if (r == 0)
            sd_bus_wait(bus, 1000000);
    }
    fprintf(stderr, "systemd: no answer for %d seconds\n", TIMEOUT_S);
    return 1;
}

static int watch(sd_bus *bus)
{
    sd_bus_error e = SD_BUS_ERROR_NULL;
    int r = sd_bus_match_signal(bus, NULL, to, at, manager, "JobRemoved", on_removed, NULL);

    if (r >= 0)
        r = sd_bus_call_method(bus, to, at, manager, "Subscribe", &e, NULL, NULL);
    return r < 0 ? fail("systemd: Subscribe", r, &e) : 0;
}

/* ---- requests ---- */

static int start(sd_bus *bus, const char *unit, const char *pid, char **properties)
{
    sd_bus_error e = SD_BUS_ERROR_NULL;
    sd_bus_message *m = NULL, *answer = NULL;
    const uint32_t first = (uint32_t)strtoul(pid, NULL, 10);
    const char *job;
    int r;

    if (watch(bus))
        return 1;
    r = sd_bus_message_new_method_call(bus, &m, to, at, manager, "StartTransientUnit");
    if (r >= 0)
        r = sd_bus_message_append(m, "ss", unit, "replace");
    if (r >= 0)
        r = append_all(m, properties, &first);
    if (r >= 0)
        r = sd_bus_message_append(m, "a(sa(sv))", 0);
    if (r >= 0)
        r = sd_bus_call(bus, m, 0, &e, &answer);
    if (r >= 0)
        r = sd_bus_message_read(answer, "o", &job);
    return r < 0 ? fail("systemd: StartTransientUnit", r, &e) : await_job(bus, job);
}

static int set(sd_bus *bus, const char *unit, char **properties)
{
    sd_bus_error e = SD_BUS_ERROR_NULL;
    sd_bus_message *m = NULL;
    int r = sd_bus_message_new_method_call(bus, &m, to, at, manager, "SetUnitProperties");

    if (r >= 0)
        r = sd_bus_message_append(m, "sb", unit, 1);
    if (r >= 0)
        r = append_all(m, properties, NULL);
    if (r >= 0)
        r = sd_bus_call(bus, m, 0, &e, NULL);
    return r < 0 ? fail("systemd: SetUnitProperties", r, &e) : 0;
}

static int stop(sd_bus *bus, const char *unit)
{
    sd_bus_error e = SD_BUS_ERROR_NULL;
    sd_bus_message *answer = NULL;
    const char *job;
    int r;

    if (watch(bus))
        return 1;
    r = sd_bus_call_method(bus, to, at, manager, "StopUnit", &e, &answer, "ss", unit, "replace");
    if (r < 0 && sd_bus_error_has_name(&e, "org.freedesktop.systemd1.NoSuchUnit"))
        return 0;
    if (r >= 0)
        r = sd_bus_message_read(answer, "o", &job);
    return r < 0 ? fail("systemd: StopUnit", r, &e) : await_job(bus, job);
}

int main(int argc, char **argv)
{
    sd_bus *bus = NULL;
    int r = argc < 3 ? -EINVAL : sd_bus_open_system(&bus);

    if (r < 0)
        return fail("systemd's bus", r, NULL);
    if (strcmp(argv[1], "start") == 0 && argc > 3)
        return start(bus, argv[2], argv[3], argv + 4);
    if (strcmp(argv[1], "set") == 0)
        return set(bus, argv[2], argv + 3);
    if (strcmp(argv[1], "stop") == 0)
        return stop(bus, argv[2]);
    return fail(argv[1], -EINVAL, NULL);
}
