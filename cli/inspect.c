/* SPDX-License-Identifier: Apache-2.0 */
/* The policy in force of a sandbox: what it shows, how much it may use, who it is inside. */
#include <inttypes.h>
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

static void rules_text(FILE *f, const char *what, const char *const *rules, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        fprintf(f, "  %-10s ", what);
        results_escape(f, rules[i]);
        fprintf(f, "\n");
    }
}

static void rules_json(json_t *o, const char *what, const char *const *rules, unsigned n)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < n; i++)
        json_append(list, json_bytes(rules[i]));
    json_put(o, what, list);
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
    rules_text(f, "allow-net", l->options->allow_net, l->options->nallow_net);
    rules_text(f, "deny-net", l->options->deny_net, l->options->ndeny_net);
    rules_text(f, "publish", l->options->publish, l->options->npublish);
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
    rules_json(top, "allow-net", o->allow_net, o->nallow_net);
    rules_json(top, "deny-net", o->deny_net, o->ndeny_net);
    rules_json(top, "publish", o->publish, o->npublish);
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
