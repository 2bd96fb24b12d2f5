/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts, and what the words among their options mean. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "abi/mount.h"
#include "cli/error.h"
#include "oci/config.h"

/* A recursive form means the same: a tree of the host is one mount inside. */
static const struct {
    const char *word;
    unsigned flag;
    bool clear;
} words[] = {
    { "ro", MS_RDONLY, false },
    { "rw", MS_RDONLY, true },
    { "rro", MS_RDONLY, false },
    { "rrw", MS_RDONLY, true },
    { "nosuid", MS_NOSUID, false },
    { "suid", MS_NOSUID, true },
    { "rnosuid", MS_NOSUID, false },
    { "rsuid", MS_NOSUID, true },
    { "nodev", MS_NODEV, false },
    { "dev", MS_NODEV, true },
    { "rnodev", MS_NODEV, false },
    { "rdev", MS_NODEV, true },
    { "noexec", MS_NOEXEC, false },
    { "exec", MS_NOEXEC, true },
    { "rnoexec", MS_NOEXEC, false },
    { "rexec", MS_NOEXEC, true },
    { "noatime", MS_NOATIME, false },
    { "atime", MS_NOATIME, true },
    { "rnoatime", MS_NOATIME, false },
    { "ratime", MS_NOATIME, true },
    { "nodiratime", MS_NODIRATIME, false },
    { "diratime", MS_NODIRATIME, true },
    { "rnodiratime", MS_NODIRATIME, false },
    { "rdiratime", MS_NODIRATIME, true },
    { "relatime", MS_RELATIME, false },
    { "norelatime", MS_RELATIME, true },
    { "rrelatime", MS_RELATIME, false },
    { "rnorelatime", MS_RELATIME, true },
    { "nosymfollow", LX_MS_NOSYMFOLLOW, false },
    { "symfollow", LX_MS_NOSYMFOLLOW, true },
    { "rnosymfollow", LX_MS_NOSYMFOLLOW, false },
    { "rsymfollow", LX_MS_NOSYMFOLLOW, true },
    /* of the host's file system, or without effect */
    { "defaults", 0, false },
    { "sync", 0, false },
    { "async", 0, false },
    { "dirsync", 0, false },
    { "mand", 0, false },
    { "nomand", 0, false },
    { "lazytime", 0, false },
    { "nolazytime", 0, false },
    { "strictatime", MS_STRICTATIME, false },
    { "nostrictatime", MS_STRICTATIME, true },
    { "rstrictatime", MS_STRICTATIME, false },
    { "rnostrictatime", MS_STRICTATIME, true },
    { "silent", 0, false },
    { "loud", 0, false },
    { "iversion", 0, false },
    { "noiversion", 0, false },
    { "remount", 0, false },
    { "acl", 0, false },
    { "noacl", 0, false },
    { "z", 0, false },
    { "Z", 0, false },
};

static const struct {
    const char *word;
    unsigned type;
} propagations[] = {
    { "private", MS_PRIVATE },
    { "shared", MS_SHARED },
    { "slave", MS_SLAVE },
    { "unbindable", MS_UNBINDABLE },
    { "rprivate", MS_PRIVATE | MS_REC },
    { "rshared", MS_SHARED | MS_REC },
    { "rslave", MS_SLAVE | MS_REC },
    { "runbindable", MS_UNBINDABLE | MS_REC },
};

const char *const *oci_mount_words(void)
{
    static const char *list[ARRAY_SIZE(words) + ARRAY_SIZE(propagations) + 6];
    unsigned n = 0;

    if (list[0])
        return list;
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
        list[n++] = words[i].word;
    for (unsigned i = 0; i < ARRAY_SIZE(propagations); i++)
        list[n++] = propagations[i].word;
    list[n++] = "bind";
    list[n++] = "rbind";
    list[n++] = "tmpcopyup";
    list[n++] = "idmap";
    list[n++] = "ridmap";
    return list;
}

unsigned oci_propagation(const char *word)
{
    for (unsigned i = 0; i < ARRAY_SIZE(propagations); i++)
        if (strcmp(word, propagations[i].word) == 0)
            return propagations[i].type;
    return 0;
}

static bool take_flag(struct oci_mount *m, const char *word)
{
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        if (strcmp(word, words[i].word) != 0)
            continue;
        if (words[i].clear)
            m->flags &= ~words[i].flag;
        else
            m->flags |= words[i].flag;
        return true;
    }
    return false;
}

/* Words for the file system, as its own options are: those that it shows. */
static bool for_super(const char *word)
{
    return strcmp(word, "sync") == 0 || strcmp(word, "dirsync") == 0 ||
           strcmp(word, "lazytime") == 0;
}

static void take_option(struct oci_mount *m, const char *word)
{
    unsigned type = oci_propagation(word);

    if (type) {
        m->propagation = type;
    } else if (strcmp(word, "bind") == 0 || strcmp(word, "rbind") == 0) {
        m->bind = true;
        m->recursive |= word[0] == 'r';
    } else if (strcmp(word, "tmpcopyup") == 0) {
        m->copy_up = true;
    } else if (strcmp(word, "idmap") == 0 || strcmp(word, "ridmap") == 0) {
        m->idmap = true;
        m->idmap_all |= word[0] == 'r';
    } else if (for_super(word) || !take_flag(m, word)) {
        char *old = m->data;

        m->data = old ? xasprintf("%s,%s", old, word) : xstrdup(word);
        free(old);
    }
}

static void parse_maps(struct oci_parse *p, const json_t *o, struct oci_mount *m)
{
    m->uids = xcalloc(1, sizeof *m->uids);
    m->gids = xcalloc(1, sizeof *m->gids);
    oci_parse_map(p, o, "uidMappings", m->uids);
    oci_parse_map(p, o, "gidMappings", m->gids);
    if (!m->uids->n != !m->gids->n)
        oci_wrong(p, m->uids->n ? "gidMappings" : "uidMappings", "both are needed");
    m->idmap |= m->uids->n > 0;
    if (m->uids->n == 0) {
        free(m->uids);
        free(m->gids);
        m->uids = m->gids = NULL;
    }
    if (m->idmap && !m->bind)
        oci_wrong(p, "uidMappings", "are for binds");
}

static void parse_mount(struct oci_parse *p, const json_t *o, struct oci_mount *m)
{
    static char *none[] = { NULL };

    if (!json_is_object(o)) {
        oci_wrong(p, "", "expected objects in it");
        return;
    }
    m->options = none;
    oci_string(p, o, "destination", &m->destination);
    oci_string(p, o, "type", &m->type);
    oci_string(p, o, "source", &m->source);
    oci_strings(p, o, "options", &m->options);
    if (!m->destination || !*m->destination) {
        oci_wrong(p, "destination", "is missing");
        return;
    }
    if (*m->destination != '/') /* old callers gave such */
        m->destination = xasprintf("/%s", m->destination);
    for (char **word = m->options; *word; word++)
        take_option(m, *word);
    m->bind |= m->type && strcmp(m->type, "bind") == 0;
    parse_maps(p, o, m);
    if (m->bind && (!m->source || !*m->source))
        oci_wrong(p, "source", "is missing of a bind");
    if (!m->bind && (!m->type || !*m->type))
        oci_wrong(p, "type", "is missing");
}

void oci_parse_mounts(struct oci_parse *p, const json_t *doc, struct oci_config *ret)
{
    const json_t *list = oci_member(p, doc, "mounts", JSON_ARRAY);
    size_t n = json_array_size(list);

    ret->mounts = xcalloc(n + 1, sizeof *ret->mounts);
    ret->nmounts = (unsigned)n;
    for (size_t i = 0; i < n && oci_well(p); i++) {
        char at[40];

        snprintf(at, sizeof at, "mounts[%zu]", i);
        size_t mark = oci_into(p, at);

        parse_mount(p, json_array_get(list, i), &ret->mounts[i]);
        oci_out(p, mark);
    }
}
