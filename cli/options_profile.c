/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options from a profile: keys are the words of the table, values go the way of the command line's. And
 * back: options as a profile.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/error.h"
#include "cli/options_table.h"
#include "cli/profile.h"
#include "cli/require.h"
#include "cli/results.h"

static const struct option_row *find_row(const char *key)
{
    for (unsigned i = 0; i < option_rows_count; i++) {
        if (strcmp(option_rows[i].word, key) == 0)
            return &option_rows[i];
    }
    return NULL;
}

uint64_t options_bit(const char *word)
{
    return 1ull << (find_row(word) - option_rows);
}

/* What a profile has no say in; and what the script's own has none in: sbx itself would write, or look elsewhere. */
static const char *const not_there[] = { "name",          "detach", "rm",
                                         "interactive",   "tty",    "profile",
                                         "trust-profile", "help",   "ro-bind",
                                         "print-profile", NULL };
static const char *const not_authors[] = { "rootfs", "save-changes", "apply",     "json", "strace",
                                           "stats",  "log",          "log-level", NULL };

static bool is_one_of(const struct option_row *r, const char *const *words)
{
    while (*words && strcmp(*words, r->word) != 0)
        words++;
    return *words;
}

/* What a key may be: 's' a string, 'n' a whole number, 'f' any number, 'b' true or false, 'l' a list. */
static const char *fits(const struct option_row *r)
{
    switch (r->take) {
    case T_FLAG:
        return "b";
    case T_LIST:
    case T_BIND:
    case T_REQUIRE:
        return "sl";
    case T_DURATION:
    case T_CPUS:
        return "snf";
    case T_LIMIT:
        return r->where == LIMIT_CPU_TIME ? "snf" : "sn";
    case T_STRACE:
    case T_STATS:
    case T_CHANGES:
    case T_APPLY:
        return "sb";
    default:
        return "s";
    }
}

static const char *wanted(const char *fit)
{
    return strcmp(fit, "b") == 0     ? "true or false"
           : strcmp(fit, "sl") == 0  ? "a string, or a list of strings"
           : strcmp(fit, "snf") == 0 ? "a number or a string"
           : strcmp(fit, "sn") == 0  ? "a whole number or a string"
           : strcmp(fit, "sb") == 0  ? "a string, true or false"
                                     : "a string";
}

static bool type_fits(const char *fit, const struct toml_key *k)
{
    static const char letters[] = { [TOML_STRING] = 's',
                                    [TOML_INTEGER] = 'n',
                                    [TOML_FLOAT] = 'f',
                                    [TOML_BOOLEAN] = 'b',
                                    [TOML_OTHER] = '-' };

    for (unsigned i = 0; i < k->n; i++) {
        if (!strchr(k->list ? "s" : fit, letters[k->values[i].type]))
            return false;
    }
    return !k->list || strchr(fit, 'l');
}

/* A path of the script's author is meant from where the profile lies. */
static const char *from_there(const struct profile *p, const char *v)
{
    return !p->dir || v[0] == '/' || (v[0] == '~' && v[1] == '/') ? v : xjoin(p->dir, v);
}

static int take_values(const struct profile *p, struct run_options *o, const struct option_row *r,
                       const struct toml_key *k)
{
    int e = 0;

    for (unsigned i = 0; e == 0 && i < k->n; i++) {
        const struct toml_value *v = &k->values[i];
        char *where = xasprintf("%s:%u", p->shown, v->line);

        fail_where(where);
        if (v->type != TOML_BOOLEAN)
            e = option_take(o, r, r->take == T_BIND ? from_there(p, v->text) : v->text);
        else if (strcmp(v->text, "true") == 0)
            e = option_take(o, r, NULL);
        fail_where(NULL);
        free(where);
    }
    return e;
}

static int take_key(const struct profile *p, struct run_options *o, const struct toml_key *k)
{
    const struct option_row *r = find_row(k->key);

    if (!r || is_one_of(r, not_there))
        return fail(EXIT_SBX, "%s:%u: unknown key %s; keys are the options of `sbx run --help`",
                    p->shown, k->line, results_escaped(k->key));
    if (p->dir && is_one_of(r, not_authors))
        return fail(EXIT_SBX, "%s:%u: %s is not for a script's author to say; give --%s yourself",
                    p->shown, k->line, r->word, r->word);
    if (!type_fits(fits(r), k))
        return fail(EXIT_SBX, "%s:%u: %s is a %s; give %s", p->shown, k->line, r->word,
                    k->list ? "list" : k->values[0].kind, wanted(fits(r)));
    return take_values(p, o, r, k);
}

/* ---- contradictions, which the command line's own checks would name without a line ---- */

static const struct toml_value *says(const struct toml_key *k, const char *text)
{
    for (unsigned i = 0; k && i < k->n; i++) {
        if (strcmp(k->values[i].text, text) == 0)
            return &k->values[i];
    }
    return NULL;
}

static int check_net(const struct profile *p)
{
    const struct toml_key *allow = toml_find(&p->file, "allow-net"),
                          *deny = toml_find(&p->file, "deny-net"),
                          *net = toml_find(&p->file, "net"),
                          *publish = toml_find(&p->file, "publish");

    for (unsigned i = 0; deny && i < deny->n; i++) {
        const struct toml_value *other = says(allow, deny->values[i].text);

        if (other)
            return fail(EXIT_SBX,
                        "%s:%u: deny-net says %s, and so does allow-net in line %u; leave "
                        "one out",
                        p->shown, deny->values[i].line, results_escaped(other->text), other->line);
    }
    const struct toml_key *more = allow ? allow : publish ? publish : deny;

    if (says(net, "none") && more)
        return fail(EXIT_SBX,
                    "%s:%u: net = \"none\" allows nothing; leave it out, or %s in line %u",
                    p->shown, net->line, more->key, more->line);
    if (says(net, "host") && allow)
        return fail(EXIT_SBX,
                    "%s:%u: net = \"host\" allows all; leave it out, or allow-net in line %u",
                    p->shown, net->line, allow->line);
    return 0;
}

static const char *place(const struct bind_option *b)
{
    return b->dst ? b->dst : b->src;
}

static int check_binds(const struct profile *p, const struct run_options *o)
{
    const struct toml_key *bind = toml_find(&p->file, "bind"),
                          *tmpfs = toml_find(&p->file, "tmpfs");

    for (unsigned i = 0; bind && i < o->nbinds; i++) { /* one for each value, in order */
        const struct toml_value *other = says(tmpfs, place(&o->binds[i]));

        for (unsigned k = 0; !other && k < i; k++) {
            if (strcmp(place(&o->binds[k]), place(&o->binds[i])) == 0)
                other = &bind->values[k];
        }
        if (other)
            return fail(EXIT_SBX, "%s:%u: line %u shows something else at %s; leave one out",
                        p->shown, bind->values[i].line, other->line,
                        results_escaped(place(&o->binds[i])));
    }
    return 0;
}

/* ---- beneath the command line ---- */

static void prepend(void *arrp, unsigned *n, const void *first, unsigned m, size_t size)
{
    void **arr = arrp;
    char *all = xcalloc(*n + m + 1ul, size);

    if (m)
        memcpy(all, first, m * size);
    if (*n)
        memcpy(all + m * size, *arr, *n * size);
    *arr = all;
    *n += m;
}

/* Takes out of list what is in other: the command line says the opposite. */
static void leave_out(const char **list, unsigned *n, const char *const *other, unsigned m)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < *n; i++) {
        bool both = false;

        for (unsigned k = 0; k < m; k++)
            both |= strcmp(list[i], other[k]) == 0;
        if (!both)
            list[kept++] = list[i];
    }
    *n = kept;
}

static void network_beats(const struct run_options *o, struct run_options *p)
{
    if (o->net) {
        p->nallow_net = 0;
        if (strcmp(o->net, "host") != 0)
            p->ndeny_net = p->npublish = 0;
    }
    if (p->net && (o->nallow_net || (strcmp(p->net, "host") != 0 && o->npublish)))
        p->net = NULL;
    leave_out(p->allow_net, &p->nallow_net, o->deny_net, o->ndeny_net);
    leave_out(p->deny_net, &p->ndeny_net, o->allow_net, o->nallow_net);
    /* What is allowed is gone, and with it what was denied of it. */
    if (!p->nallow_net && !o->nallow_net && !p->npublish && !o->npublish && !p->net && !o->net)
        p->ndeny_net = 0;
}

static void merge_row(struct run_options *o, const struct run_options *p,
                      const struct option_row *r)
{
    char *to = (char *)o + r->where;
    const char *from = (const char *)p + r->where;

    switch (r->take) {
    case T_STRING:
        *(const char **)(void *)to = *(const char *const *)(const void *)from;
        break;
    case T_FLAG:
        *(bool *)to = *(const bool *)from;
        break;
    case T_DURATION:
        o->timeout_ns = p->timeout_ns;
        break;
    case T_LEVEL:
        o->log_level = p->log_level;
        break;
    case T_STRACE:
        o->strace = p->strace;
        o->strace_file = p->strace_file;
        break;
    case T_STATS:
        o->stats = p->stats;
        break;
    case T_LIMIT:
        o->limit[r->where] = p->limit[r->where];
        o->given |= 1u << r->where;
        break;
    case T_CPUS:
        o->cpus = p->cpus;
        break;
    case T_CHANGES:
        o->changes = p->changes;
        o->changes_path = p->changes_path;
        break;
    case T_APPLY:
        o->apply = p->apply;
        break;
    default:
        break;
    }
}

static void merge(struct run_options *o, struct run_options *p)
{
    network_beats(o, p);
    for (unsigned i = 0; i < option_rows_count; i++) {
        if ((p->given_rows & ~o->given_rows) >> i & 1)
            merge_row(o, p, &option_rows[i]);
    }
    prepend(&o->binds, &o->nbinds, p->binds, p->nbinds, sizeof *o->binds);
    for (unsigned i = 0; i < option_rows_count; i++) {
        const struct option_row *r = &option_rows[i];
        unsigned m;
        void *list;

        if (r->take != T_LIST)
            continue;
        memcpy(&m, (char *)p + r->count, sizeof m);
        memcpy(&list, (char *)p + r->where, sizeof list);
        prepend((char *)o + r->where, (unsigned *)(void *)((char *)o + r->count), list, m,
                sizeof(char *));
    }
    o->require |= p->require;
    o->given_rows |= p->given_rows;
}

int options_add_profile(struct run_options *o, const struct profile *p)
{
    struct run_options mine = OPTIONS_INIT;
    int e = 0;

    for (unsigned i = 0; e == 0 && i < p->file.n; i++)
        e = take_key(p, &mine, &p->file.keys[i]);
    if (e == 0)
        e = check_net(p);
    if (e == 0)
        e = check_binds(p, &mine);
    if (e == 0)
        e = profile_check_links(p, &mine);
    if (e == 0)
        merge(o, &mine);
    return e;
}

/* ---- and back ---- */

void toml_put_string(FILE *f, const char *s)
{
    fputc('"', f);
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;

        if (c == '"' || c == '\\')
            fprintf(f, "\\%c", c);
        else if (c < ' ' || c == 127)
            fprintf(f, "\\u%04x", c);
        else
            fputc(c, f);
    }
    fputc('"', f);
}

static void put_list(FILE *f, const char *word, const char *const *list, unsigned n)
{
    if (n == 0)
        return;
    fprintf(f, "%s = [", word);
    for (unsigned i = 0; i < n; i++) {
        fputs(i ? ", " : "", f);
        toml_put_string(f, list[i]);
    }
    fprintf(f, "]\n");
}

static void put_binds(FILE *f, const struct run_options *o)
{
    const char **list = xcalloc(o->nbinds + 1ul, sizeof *list);

    for (unsigned i = 0; i < o->nbinds; i++) {
        const struct bind_option *b = &o->binds[i];

        list[i] = xasprintf("%s%s%s%s", b->src, b->dst ? ":" : "", b->dst ? b->dst : "",
                            b->ro   ? ":ro"
                            : b->rw ? ":rw"
                                    : "");
    }
    put_list(f, "bind", list, o->nbinds);
    free(list);
}

static void put_choice(FILE *f, const char *word, const char *v)
{
    fprintf(f, "%s = ", word);
    if (v)
        toml_put_string(f, v);
    else
        fprintf(f, "true");
    fprintf(f, "\n");
}

static void put_row(FILE *f, const struct run_options *o, const struct option_row *r)
{
    static const char *const levels[] = { "error", "warning", "info", "debug" };
    const char *at = (const char *)o + r->where;
    const char *const *list;
    unsigned n;

    switch (r->take) {
    case T_STRING:
        memcpy(&list, at, sizeof list);
        if (list)
            put_choice(f, r->word, (const char *)list);
        break;
    case T_FLAG:
        if (*(const bool *)at)
            put_choice(f, r->word, NULL);
        break;
    case T_LIST:
        memcpy(&list, at, sizeof list);
        memcpy(&n, (const char *)o + r->count, sizeof n);
        put_list(f, r->word, list, n);
        break;
    case T_BIND:
        put_binds(f, o);
        break;
    case T_DURATION:
        fprintf(f, "%s = \"%.9gs\"\n", r->word, (double)o->timeout_ns / 1e9);
        break;
    case T_LEVEL:
        put_choice(f, r->word, levels[o->log_level & 3]);
        break;
    case T_STRACE:
        put_choice(f, r->word, o->strace_file);
        break;
    case T_STATS:
        put_choice(f, r->word, o->stats == STATS_JSON ? "json" : NULL);
        break;
    case T_LIMIT:
        if (r->where == LIMIT_CPU_TIME)
            fprintf(f, "%s = \"%.9gs\"\n", r->word, (double)o->limit[r->where] / 1e9);
        else if (o->limit[r->where] == UNLIMITED)
            put_choice(f, r->word, "none");
        else
            fprintf(f, "%s = %" PRIu64 "\n", r->word, o->limit[r->where]);
        break;
    case T_CPUS:
        fprintf(f, "%s = %.6g\n", r->word, o->cpus);
        break;
    case T_REQUIRE:
        put_choice(f, r->word, require_words(o->require));
        break;
    case T_CHANGES:
        put_choice(f, r->word, o->changes_path);
        break;
    case T_APPLY:
        put_choice(f, r->word, o->apply == APPLY_ALWAYS ? "always" : "ask");
        break;
    default:
        break;
    }
}

void options_print_profile(FILE *f, const struct run_options *o)
{
    for (unsigned i = 0; i < option_rows_count; i++) {
        if (o->given_rows >> i & 1 && !is_one_of(&option_rows[i], not_there))
            put_row(f, o, &option_rows[i]);
    }
}
