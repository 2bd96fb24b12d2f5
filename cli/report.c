/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See report.h. The sentry is fenced, not trusted: text of its is shown without control characters,
 * counts are bounded by the arrays.
 */
#include "cli/report.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/error.h"
#include "cli/json.h"
#include "cli/learn.h"
#include "cli/view.h"
#include "platform/platform.h"

static char *clean(const char *text, size_t n)
{
    char *s = xstrndup(text, n);

    for (char *p = s; *p; p++) {
        if ((unsigned char)*p < ' ' || *p == 127)
            *p = '?';
    }
    return s;
}

static void add_note(struct report *r, const char *text, size_t n)
{
    if (r->nnotes < REPORT_NOTES)
        r->notes[r->nnotes++] = clean(text, n);
    else
        r->more_notes++;
}

/*
 * Only what the user can have meant: it is there outside, it is no dot file that programs look for on
 * their own, and it lies in no directory of the system.
 */
static void add_missing(struct report *r, const char *text, size_t n)
{
    static const char *const system_dirs[] = { "/etc", "/var", "/usr", "/proc", "/sys",
                                               "/dev", "/run", "/tmp", "/lib",  "/boot" };
    char *path = clean(text, n);
    const char *home = getenv("HOME"), *shown = path;

    bool mine = home && home[0] == '/' && home[1] && path_within(path, home) &&
                path[strlen(home)] == '/';

    for (unsigned i = 0; !mine && i < ARRAY_SIZE(system_dirs); i++) {
        if (path_within(path, system_dirs[i]))
            return;
    }
    if (path[0] != '/' || strstr(path, "/.") || access(path, F_OK) < 0)
        return;
    if (mine)
        shown = xasprintf("~%s", path + strlen(home));
    char *line = xasprintf("%s is not visible; --bind %s", shown, shown);

    add_note(r, line, strlen(line));
    free(line);
}

static void add_stats(struct report *r, const struct control_msg *m)
{
    if (m->value == STATS_TOTALS && m->len >= sizeof r->totals) {
        memcpy(&r->totals, m->text, sizeof r->totals);
        r->have_totals = true;
    } else if (m->value == STATS_STEPS) {
        unsigned n = MIN(m->len / (unsigned)sizeof r->steps[0], REPORT_STEPS - r->nsteps);

        memcpy(r->steps + r->nsteps, m->text, n * sizeof r->steps[0]);
        r->nsteps += n;
    } else if (m->value == STATS_CALLS) {
        unsigned n = MIN(m->len / (unsigned)sizeof r->calls[0], REPORT_CALLS - r->ncalls);

        memcpy(r->calls + r->ncalls, m->text, n * sizeof r->calls[0]);
        r->ncalls += n;
    }
}

void report_message(struct report *r, const struct control_msg *m, size_t len)
{
    if (m->len > len - offsetof(struct control_msg, text))
        return;
    if (m->type == CTL_NOTE)
        add_note(r, m->text, m->len);
    else if (m->type == CTL_REFUSED && r->nrefused < ARRAY_SIZE(r->refused))
        r->refused[r->nrefused++] = clean(m->text, m->len);
    else if (m->type == CTL_LIMIT && !r->limit) {
        r->limit = clean(m->text, m->len);
        r->limit_status = m->value < 256 ? (int)m->value : EXIT_SBX;
    } else if (m->type == CTL_LEARNED)
        learn_message(m);
    else if (m->type == CTL_MISSING)
        add_missing(r, m->text, m->len);
    else if (m->type == CTL_CHANGED)
        r->changed = m->value;
    else if (m->type == CTL_STATS)
        add_stats(r, m);
}

void report_limit(const struct report *r)
{
    if (r->limit)
        note("%s", r->limit);
}

/* For people: nothing is added to output that goes elsewhere. */
void report_notes(const struct report *r)
{
    char *line = NULL;
    size_t n = 0;
    FILE *f;

    for (unsigned i = 0; i < r->nrefused; i++)
        note("%s", r->refused[i]);
    if (!isatty(STDERR_FILENO) && !getenv("SBX_NOTES"))
        return;
    if (r->nnotes == 0 && r->changed == 0)
        return;
    f = open_memstream(&line, &n);
    if (!f)
        return;
    for (unsigned i = 0; i < r->nnotes; i++)
        fprintf(f, "%s%s", i ? "; " : "", r->notes[i]);
    if (r->more_notes)
        fprintf(f, "; and %u more", r->more_notes);
    if (r->changed)
        fprintf(f,
                "%s%" PRIu64
                " file%s changed inside only and %s gone; --save-changes DIR or --apply "
                "keeps such",
                r->nnotes ? "; " : "", r->changed, r->changed == 1 ? " was" : "s were",
                r->changed == 1 ? "is" : "are");
    fclose(f);
    note("%s", line);
    free(line);
}

static int by_time(const void *a, const void *b)
{
    const struct stats_call *x = a, *y = b;

    return x->ns < y->ns ? 1 : x->ns > y->ns ? -1 : 0;
}

static const char *call_name(uint64_t nr)
{
    static const char *const names[] = {
#define SBX_CALL(n, name) [n] = #name,
#define SYS0(n, name, ...) SBX_CALL(n, name)
#define SYS1(n, name, ...) SBX_CALL(n, name)
#define SYS2(n, name, ...) SBX_CALL(n, name)
#define SYS3(n, name, ...) SBX_CALL(n, name)
#define SYS4(n, name, ...) SBX_CALL(n, name)
#define SYS5(n, name, ...) SBX_CALL(n, name)
#define SYS6(n, name, ...) SBX_CALL(n, name)
#include "abi/syscalls.def"
    };

    return nr < ARRAY_SIZE(names) && names[nr] ? names[nr] : "?";
}

/* Rows of totals: one table for text and JSON. */
static const struct {
    const char *name;
    size_t at;
} counts[] = {
#define COUNT(member)                                                                              \
    {                                                                                              \
#member, offsetof(struct stats_totals, member)                                             \
    }
    COUNT(tasks),     COUNT(gofer_trips), COUNT(bells),  COUNT(light),  COUNT(posts),
    COUNT(local),     COUNT(patches),     COUNT(faults), COUNT(kicks),  COUNT(parks),
    COUNT(forks),     COUNT(splits),      COUNT(moves),  COUNT(blanks), COUNT(ops),
    COUNT(mem_reads), COUNT(mem_writes),
};

static uint64_t count(const struct report *r, unsigned i)
{
    uint64_t v;

    memcpy(&v, (const char *)&r->totals + counts[i].at, sizeof v);
    return v;
}

struct step {
    const char *name;
    double ms;
};

/*
 * The sentry's clock may have begun anew (a time namespace), by whole seconds: what lies below the
 * second is the same, and starting takes less than one.
 */
static uint64_t sentry_time(uint64_t sentry_ns, uint64_t since)
{
    return since + (sentry_ns % 1000000000 + 1000000000 - since % 1000000000) % 1000000000;
}

/* Start-up: the front end's steps, then the sentry's, from where it was cloned. */
static unsigned collect_steps(struct report *r, const struct launch *l, struct step *ret)
{
    uint64_t at = l->t_start_ns, cloned = at;
    unsigned n = 0;

    for (unsigned i = 0; i < l->nsteps; i++) {
        cloned = at;
        ret[n++] = (struct step){ l->steps[i].name, (double)(l->steps[i].end_ns - at) / 1e6 };
        at = l->steps[i].end_ns;
    }
    at = cloned; /* the last step of the front end is the clone */
    for (unsigned i = 0; i < r->nsteps; i++) {
        uint64_t end = sentry_time(r->steps[i].end_ns, at);

        r->steps[i].name[sizeof r->steps[i].name - 1] = 0;
        ret[n++] = (struct step){ xasprintf("sentry:%s",
                                            clean(r->steps[i].name, sizeof r->steps[i].name)),
                                  (double)(end - at) / 1e6 };
        at = end;
    }
    return n;
}

static void print_text(struct report *r, const struct launch *l, double wall, double user,
                       double sys, const struct step *steps, unsigned nsteps)
{
    FILE *f = stderr;

    fprintf(f,
            "sbx: wall %.3f ms, cpu %.3f ms user + %.3f ms system (sentry %.3f, programs %.3f)\n",
            wall, user, sys, (double)(r->totals.sentry_user_ns + r->totals.sentry_sys_ns) / 1e6,
            (double)(r->totals.guest_user_ns + r->totals.guest_sys_ns) / 1e6);
    fprintf(f, "sbx: peak memory %.1f MiB programs, %.1f MiB sentry (sampled)\n",
            (double)r->totals.guest_peak_rss / 1048576,
            (double)r->totals.sentry_peak_rss / 1048576);
    fprintf(f, "sbx: platform %s%s%s\n", l->platform->name, l->platform_why ? ": " : "",
            l->platform_why ? l->platform_why : "");
    fprintf(f, "sbx: start-up (ms):");
    for (unsigned i = 0; i < nsteps; i++)
        fprintf(f, " %s %.3f", steps[i].name, steps[i].ms);
    fprintf(f, "\nsbx:");
    for (unsigned i = 0; i < ARRAY_SIZE(counts); i++)
        fprintf(f, " %s %" PRIu64, counts[i].name, count(r, i));
    fprintf(f, "\nsbx: %-20s %10s %10s %10s\n", "call", "count", "errors", "ms");
    for (unsigned i = 0; i < r->ncalls; i++)
        fprintf(f, "sbx: %-20s %10" PRIu64 " %10" PRIu64 " %10.3f\n", call_name(r->calls[i].nr),
                r->calls[i].count, r->calls[i].errors, (double)r->calls[i].ns / 1e6);
}

static json_t *ms(double v)
{
    return json_real(round(v * 1000) / 1000);
}

static void print_json(struct report *r, const struct launch *l, double wall, double user,
                       double sys, const struct step *steps, unsigned nsteps)
{
    json_t *o = json_object(), *startup = json_object(), *calls = json_array();

    json_put(o, "platform", json_string(l->platform->name));
    json_put(o, "wall_ms", ms(wall));
    json_put(o, "cpu_user_ms", ms(user));
    json_put(o, "cpu_system_ms", ms(sys));
    json_put(o, "sentry_cpu_ms",
             ms((double)(r->totals.sentry_user_ns + r->totals.sentry_sys_ns) / 1e6));
    json_put(o, "guest_cpu_ms",
             ms((double)(r->totals.guest_user_ns + r->totals.guest_sys_ns) / 1e6));
    json_put(o, "guest_peak_bytes", json_integer((json_int_t)r->totals.guest_peak_rss));
    json_put(o, "sentry_peak_bytes", json_integer((json_int_t)r->totals.sentry_peak_rss));
    for (unsigned i = 0; i < nsteps; i++)
        json_put(startup, steps[i].name, ms(steps[i].ms));
    json_put(o, "startup_ms", startup);
    for (unsigned i = 0; i < ARRAY_SIZE(counts); i++)
        json_put(o, counts[i].name, json_integer((json_int_t)count(r, i)));
    for (unsigned i = 0; i < r->ncalls; i++) {
        json_t *c = json_object();

        json_put(c, "name", json_string(call_name(r->calls[i].nr)));
        json_put(c, "count", json_integer((json_int_t)r->calls[i].count));
        json_put(c, "errors", json_integer((json_int_t)r->calls[i].errors));
        json_put(c, "ms", ms((double)r->calls[i].ns / 1e6));
        json_append(calls, c);
    }
    json_put(o, "calls", calls);
    json_print(o, stderr);
}

static uint64_t timeval_ns(struct timeval tv)
{
    return (uint64_t)tv.tv_sec * 1000000000ull + (uint64_t)tv.tv_usec * 1000ull;
}

void report_stats(struct report *r, const struct launch *l, enum stats_mode mode)
{
    struct step steps[LAUNCH_STEPS + REPORT_STEPS];
    double wall = (double)(now_ns() - l->t_start_ns) / 1e6;
    struct rusage self, kids;
    double user, sys;
    unsigned n;

    /* Both end by themselves after the last message; then their time is ours to read. */
    if (l->sentry > 0 && wait4(l->sentry, NULL, 0, &kids) > 0) {
        r->totals.sentry_user_ns = timeval_ns(kids.ru_utime);
        r->totals.sentry_sys_ns = timeval_ns(kids.ru_stime);
        r->totals.sentry_peak_rss = (uint64_t)kids.ru_maxrss * 1024;
    }
    if (l->gofer > 0)
        waitpid(l->gofer, NULL, 0);
    if (l->shared > 0)
        waitpid(l->shared, NULL, 0);
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &kids);
    user = (double)(self.ru_utime.tv_sec + kids.ru_utime.tv_sec) * 1e3 +
           (double)(self.ru_utime.tv_usec + kids.ru_utime.tv_usec) / 1e3;
    sys = (double)(self.ru_stime.tv_sec + kids.ru_stime.tv_sec) * 1e3 +
          (double)(self.ru_stime.tv_usec + kids.ru_stime.tv_usec) / 1e3;
    user += (double)r->totals.guest_user_ns / 1e6; /* stubs are nobody's to wait for */
    sys += (double)r->totals.guest_sys_ns / 1e6;
    qsort(r->calls, r->ncalls, sizeof r->calls[0], by_time);
    n = collect_steps(r, l, steps);
    (mode == STATS_JSON ? print_json : print_text)(r, l, wall, user, sys, steps, n);
}
