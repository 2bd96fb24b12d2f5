/* SPDX-License-Identifier: Apache-2.0 */
/* The policy in force of a sandbox: what it shows, how much it may use, who it is inside. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

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

static void json_item(FILE *f, bool *first, const char *text)
{
    fputs(*first ? "" : ",", f);
    *first = false;
    results_json_string(f, text);
}

static void rules_json(const struct launch *l, FILE *f)
{
    const struct network *n = l->network;

    for (int deny = 0; deny < 2; deny++) {
        bool first = true;

        fprintf(f, ",\"%s\":[", deny ? "deny-net" : "allow-net");
        for (unsigned i = 0; i < n->ntexts; i++)
            if (n->policy.rules[i].deny == deny)
                json_item(f, &first, n->texts[i]);
        fprintf(f, "]");
    }
    fprintf(f, ",\"publish\":[");
    for (unsigned i = 0; i < l->options->npublish; i++) {
        bool first = i == 0;

        json_item(f, &first, l->options->publish[i]);
    }
    fprintf(f, "]");
}

void inspect_network(const struct launch *l, FILE *f, bool json)
{
    unsigned n, more;
    struct nr_refused *refused = rules_refused(l->rules, &n, &more);

    if (json) {
        fprintf(f, "{\"network\":\"%s\"", network_mode(l));
        rules_json(l, f);
        fprintf(f, ",\"refused\":[");
        for (unsigned i = 0; i < n; i++) {
            fprintf(f, "%s{\"target\":", i ? "," : "");
            results_json_string(f, refused[i].target);
            fprintf(f, ",\"count\":%" PRIu32 "}", refused[i].count);
        }
        fprintf(f, "],\"others\":%u}\n", more);
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

static void print_json(const struct launch *l, FILE *f)
{
    const struct shown *s = l->shown;

    fprintf(f, "{\"uid\":%u,\"gid\":%u,\"platform\":\"%s\",\"network\":\"%s\"",
            (unsigned)l->user->uid, (unsigned)l->user->gid, l->platform->name, network_mode(l));
    rules_json(l, f);
    fprintf(f, ",\"limits\":{");
    for (unsigned i = 0; i < LIMITS; i++) {
        if (l->limits[i] == UNLIMITED)
            fprintf(f, "%s\"%s\":null", i ? "," : "", limit_names[i]);
        else
            fprintf(f, "%s\"%s\":%" PRIu64, i ? "," : "", limit_names[i], l->limits[i]);
    }
    fprintf(f, "},\"shown\":[");
    for (unsigned i = 0; i < s->nmounts; i++) {
        const struct sentry_mount *m = &s->mounts[i];

        fprintf(f, "%s{\"path\":", i ? "," : "");
        results_json_string(f, m->path);
        fprintf(f, ",\"kind\":\"%s\"", kind_of(m));
        if (shown_of(s, m)) {
            fprintf(f, ",\"source\":");
            results_json_string(f, shown_of(s, m)->src);
        }
        fprintf(f, "}");
    }
    fprintf(f, "]}\n");
}

void inspect_print(const struct launch *l, FILE *f, bool json)
{
    (json ? print_json : print_text)(l, f);
}
