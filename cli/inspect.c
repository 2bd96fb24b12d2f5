/* SPDX-License-Identifier: Apache-2.0 */
/* The policy in force of a sandbox: what it shows, how much it may use, who it is inside. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json.h"
#include "cli/results.h"
#include "cli/serve.h"
#include "platform/platform.h"

static const char *const limit_names[LIMITS] = {
#define LIMIT(id, name, value, err, what) [LIMIT_##id] = name,
#include "sentry/kernel/limits.def"
#undef LIMIT
};

static const char *kind_of(const struct sentry_mount *m)
{
    switch (m->kind) {
    case SM_OVERLAY:
        return "in memory";
    case SM_RO:
        return "read-only";
    case SM_SHARED:
        return "shared";
    case SM_TMPFS:
        return "empty";
    case SM_SYMLINK:
        return "link";
    default:
        return "own";
    }
}

static const char *network_mode(const struct launch *l)
{
    const struct net_policy *p = &l->network->policy;

    return p->host ? "host" : p->on ? "rules" : "none";
}

static void rule_text(FILE *f, const char *what, const char *rule)
{
    fprintf(f, "  %-10s ", what);
    results_escape(f, rule);
    fprintf(f, "\n");
}

/* As they are now, which is not as the options said where they were changed. */
static void rules_text(const struct launch *l, FILE *f)
{
    const struct network *n = l->network;

    for (unsigned i = 0; i < n->ntexts; i++)
        rule_text(f, n->policy.rules[i].deny ? "deny-net" : "allow-net", n->texts[i]);
    for (unsigned i = 0; i < l->options->npublish; i++)
        rule_text(f, "publish", l->options->publish[i]);
}

static void rules_json(json_t *o, const struct launch *l)
{
    const struct network *n = l->network;
    json_t *list;

    for (int deny = 0; deny < 2; deny++) {
        list = json_array();
        for (unsigned i = 0; i < n->ntexts; i++)
            if (n->policy.rules[i].deny == deny)
                json_append(list, json_bytes(n->texts[i]));
        json_put(o, deny ? "deny-net" : "allow-net", list);
    }
    list = json_array();
    for (unsigned i = 0; i < l->options->npublish; i++)
        json_append(list, json_bytes(l->options->publish[i]));
    json_put(o, "publish", list);
}

void inspect_network(const struct launch *l, FILE *f, bool json)
{
    unsigned n, more;
    struct nr_refused *refused = rules_refused(l->rules, &n, &more);

    if (json) {
        json_t *top = json_object(), *list = json_array();

        json_put(top, "network", json_string(network_mode(l)));
        rules_json(top, l);
        for (unsigned i = 0; i < n; i++) {
            json_t *o = json_object();

            json_put_bytes(o, "target", refused[i].target);
            json_put(o, "count", json_integer((json_int_t)refused[i].count));
            json_append(list, o);
        }
        json_put(top, "refused", list);
        json_put(top, "others", json_integer((json_int_t)more));
        json_print(top, f);
    } else {
        fprintf(f, "network   %s\n",
                strcmp(network_mode(l), "none") ? network_mode(l) : "a loopback of its own");
        rules_text(l, f);
        if (n)
            fprintf(f, "refused so far:\n");
        for (unsigned i = 0; i < n; i++) {
            fprintf(f, "  ");
            results_escape(f, refused[i].target);
            fprintf(f, " (%" PRIu32 " time%s)\n", refused[i].count,
                    refused[i].count == 1 ? "" : "s");
        }
        if (more)
            fprintf(f, "  and %u others\n", more);
    }
    free(refused);
}

static void print_text(const struct launch *l, FILE *f)
{
    const struct shown *s = l->shown;

    fprintf(f, "user      %u:%u\nplatform  %s\nnetwork   %s\n", (unsigned)l->user->uid,
            (unsigned)l->user->gid, l->platform->name,
            strcmp(network_mode(l), "none") ? network_mode(l) : "a loopback of its own");
    if (l->options->profile_path) {
        fprintf(f, "profile   ");
        results_escape(f, l->options->profile_path);
        fprintf(f, "\n");
    }
    rules_text(l, f);
    if (l->options->timeout_ns)
        fprintf(f, "timeout   %.6g s\n", (double)l->options->timeout_ns / 1e9);
    if (l->options->cpus > 0)
        fprintf(f, "cpus      %.6g\n", l->options->cpus);
    fprintf(f, "limits:\n");
    for (unsigned i = 0; i < LIMITS; i++) {
        if (l->limits[i] == UNLIMITED)
            fprintf(f, "  %-12s none\n", limit_names[i]);
        else
            fprintf(f, "  %-12s %" PRIu64 "\n", limit_names[i], l->limits[i]);
    }
    fprintf(f, "shown:\n");
    for (unsigned i = 0; i < s->nmounts; i++) {
        const struct sentry_mount *m = &s->mounts[i];

        fprintf(f, "  %-10s ", kind_of(m));
        results_escape(f, m->path);
        if (shown_of(s, m)) {
            fprintf(f, " <- ");
            results_escape(f, shown_of(s, m)->src);
        } else if (m->kind == SM_SYMLINK) {
            fprintf(f, " -> ");
            results_escape(f, m->target);
        }
        fprintf(f, "\n");
    }
}

static json_t *shown_json(const struct shown *s)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < s->nmounts; i++) {
        const struct sentry_mount *m = &s->mounts[i];
        json_t *o = json_object();

        json_put_bytes(o, "path", m->path);
        json_put(o, "kind", json_string(kind_of(m)));
        if (shown_of(s, m))
            json_put_bytes(o, "source", shown_of(s, m)->src);
        json_append(list, o);
    }
    return list;
}

static void print_json(const struct launch *l, FILE *f)
{
    const struct run_options *o = l->options;
    json_t *top = json_object(), *max = json_object();

    json_put(top, "uid", json_integer((json_int_t)l->user->uid));
    json_put(top, "gid", json_integer((json_int_t)l->user->gid));
    json_put(top, "platform", json_string(l->platform->name));
    if (o->profile_path)
        json_put_bytes(top, "profile", o->profile_path);
    json_put(top, "network", json_string(network_mode(l)));
    rules_json(top, l);
    for (unsigned i = 0; i < LIMITS; i++)
        json_put(max, limit_names[i],
                 l->limits[i] == UNLIMITED ? json_null() : json_integer((json_int_t)l->limits[i]));
    json_put(top, "limits", max);
    if (o->timeout_ns)
        json_put(top, "timeout", json_real((double)o->timeout_ns / 1e9));
    if (o->cpus > 0)
        json_put(top, "cpus", json_real(o->cpus));
    json_put(top, "shown", shown_json(l->shown));
    json_print(top, f);
}

void inspect_print(const struct launch *l, FILE *f, bool json)
{
    (json ? print_json : print_text)(l, f);
}
