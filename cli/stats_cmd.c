/* SPDX-License-Identifier: Apache-2.0 */
/* `sbx stats`: what named sandboxes use, again and again; asked of their front ends (serve.h). */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/error.h"
#include "cli/json.h"
#include "cli/launch.h"
#include "cli/serve.h"

#define EACH_US 1000000
#define ONCE_US 300000 /* between the two looks that a share of the cpu takes */

struct box {
    char *name;
    int fd; /* -1: it has ended */
    json_t *last;
};

struct boxes {
    struct box *of;
    unsigned n;
};

static json_int_t number(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

static struct box *find(struct boxes *b, const char *name)
{
    for (unsigned i = 0; i < b->n; i++) {
        if (strcmp(b->of[i].name, name) == 0)
            return &b->of[i];
    }
    return NULL;
}

/* Those named, or all there are; those that have come since are found too. */
static int open_boxes(struct boxes *b, char **names, unsigned n, bool given)
{
    for (unsigned i = 0; i < n; i++) {
        struct box *x = find(b, names[i]);
        int fd;

        if (x && x->fd >= 0)
            continue;
        fd = given && !x ? named_connect(names[i]) : named_try(names[i]);
        if (fd < 0 && given && !x)
            return EXIT_SBX;
        if (fd < 0)
            continue;
        if (!x) {
            x = xgrow(&b->of, &b->n, sizeof *x);
            x->name = xstrdup(names[i]);
        }
        x->fd = fd;
        x->last = NULL;
    }
    return 0;
}

/* With what share of a cpu it used since the last look; NULL: it has ended. */
static json_t *look(struct box *x)
{
    char *text = named_text(x->fd, SERVE_USAGE, 0);
    json_t *o = text ? json_loads(text, 0, NULL) : NULL;

    free(text);
    if (!o) {
        close(x->fd);
        x->fd = -1;
        return NULL;
    }
    json_int_t ns = number(o, "at_ns") - number(x->last, "at_ns"),
               cpu = number(o, "cpu_ns") - number(x->last, "cpu_ns");

    json_put(o, "cpu_percent",
             x->last && ns > 0 ? json_real(floor((double)cpu * 1000 / (double)ns) / 10)
                               : json_null());
    json_decref(x->last);
    x->last = json_incref(o);
    return o;
}

static const char *size_text(char buf[16], const json_t *v)
{
    static const char units[] = "BKMGT";
    double n = (double)json_integer_value(v);
    unsigned unit = 0;

    if (!json_is_integer(v))
        return "-";
    while (n >= 1000 && unit < 4) {
        n /= 1024;
        unit++;
    }
    snprintf(buf, 16, unit == 0 ? "%.0f%c" : "%.1f%c", n, units[unit]);
    return buf;
}

static void print_row(const json_t *o, const char *name)
{
    const json_t *cpu = json_object_get(o, "cpu_percent");
    char a[16], b[16], c[16], d[16], percent[16] = "-";

    if (json_is_real(cpu))
        snprintf(percent, sizeof percent, "%.1f%%", json_real_value(cpu));
    printf("%-20s %8s %8s / %-8s %6" JSON_INTEGER_FORMAT " %8s / %s\n", name, percent,
           size_text(a, json_object_get(o, "memory")),
           size_text(b, json_object_get(o, "memory_limit")), number(o, "pids"),
           size_text(c, json_object_get(o, "net_received")),
           size_text(d, json_object_get(o, "net_sent")));
}

/* How many still run. */
static unsigned round_of(struct boxes *b, bool json, bool quiet)
{
    const bool screen = !json && !quiet && isatty(1);
    unsigned n = 0;

    if (screen)
        printf("\033[H\033[J");
    if (!json && !quiet)
        printf("%-20s %8s %8s / %-8s %6s %8s / %s\n", "NAME", "CPU", "MEMORY", "LIMIT", "PIDS",
               "RECEIVED", "SENT");
    for (unsigned i = 0; i < b->n; i++) {
        json_t *o = b->of[i].fd >= 0 ? look(&b->of[i]) : NULL;

        n += o != NULL;
        if (!quiet && o && json)
            json_print(json_incref(o), stdout);
        else if (!quiet && o)
            print_row(o, b->of[i].name);
        json_decref(o);
    }
    return n;
}

int cmd_stats(int argc, char **argv)
{
    struct boxes b = { NULL, 0 };
    bool json = false, once = false, given;
    int at = 1, e;
    unsigned n;

    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "--json") == 0)
            json = true;
        else if (strcmp(argv[at], "--once") == 0 || strcmp(argv[at], "--no-stream") == 0)
            once = true;
        else
            return fail(EXIT_SBX,
                        "stats: unknown option %s; give sbx stats [--json] [--once] [NAME...]",
                        argv[at]);
    }
    given = at < argc;
    if (!named_dir())
        return EXIT_SBX;
    for (bool first = true;; first = false) {
        char **names = given ? argv + at : named_list(&n);

        if (given)
            n = (unsigned)(argc - at);
        if ((e = first || !given ? open_boxes(&b, names, n, given) : 0))
            return e;
        if (first) {
            round_of(&b, json, /* quiet= */ true);
            usleep(ONCE_US);
        }
        n = round_of(&b, json, /* quiet= */ false);
        if (fflush(stdout) != 0)
            return EXIT_SBX;
        if (once || (given && n == 0))
            return 0;
        usleep(EACH_US);
    }
}
