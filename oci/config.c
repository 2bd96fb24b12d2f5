/* SPDX-License-Identifier: Apache-2.0 */
/* config.json as a whole; its larger parts are in config_process.c, config_mounts.c and config_linux.c. */
#include "oci/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/error.h"
#include "oci/oci.h"

static char *no_strings[] = { NULL };

/* ---- hooks ---- */

static void parse_hook(struct oci_parse *p, const json_t *o, struct oci_hook *ret)
{
    int64_t timeout = 0;

    if (!json_is_object(o)) {
        oci_wrong(p, "", "expected objects in it");
        return;
    }
    oci_string(p, o, "path", &ret->path);
    if (!ret->path || *ret->path != '/')
        oci_wrong(p, "path", "must be an absolute path");
    oci_strings(p, o, "args", &ret->args);
    oci_strings(p, o, "env", &ret->env);
    oci_number(p, o, "timeout", INT64_MIN + 1, INT32_MAX, &timeout);
    if (json_object_get(o, "timeout") && !json_is_null(json_object_get(o, "timeout")) &&
        timeout <= 0)
        oci_wrong(p, "timeout", "must be greater than zero");
    ret->timeout = (unsigned)MAX(timeout, 0);
}

static void parse_hooks(struct oci_parse *p, const json_t *doc, struct oci_config *ret)
{
    static const char *const names[HOOKS] = { "prestart",       "createRuntime", "createContainer",
                                              "startContainer", "poststart",     "poststop" };
    const json_t *all = oci_member(p, doc, "hooks", JSON_OBJECT);
    size_t mark = oci_into(p, "hooks");

    for (unsigned k = 0; k < HOOKS; k++) {
        const json_t *list = oci_member(p, all, names[k], JSON_ARRAY);
        size_t inner = oci_into(p, names[k]), n = json_array_size(list);

        ret->hooks[k] = xcalloc(n + 1, sizeof **ret->hooks);
        ret->nhooks[k] = (unsigned)n;
        for (size_t i = 0; i < n; i++)
            parse_hook(p, json_array_get(list, i), &ret->hooks[k][i]);
        oci_out(p, inner);
    }
    oci_out(p, mark);
}

/* ---- the whole ---- */

static void parse_annotations(struct oci_parse *p, const json_t *doc, struct oci_config *ret)
{
    json_t *all = oci_member(p, doc, "annotations", JSON_OBJECT), *value;
    const char *key;

    json_object_foreach(all, key, value)
    {
        if (!*key || !json_is_string(value))
            oci_wrong(p, "annotations", "expected names and strings in it");
    }
    ret->annotations = all;
}

static void parse_version(struct oci_parse *p, const json_t *doc, struct oci_config *ret)
{
    oci_string(p, doc, "ociVersion", &ret->version);
    if (!oci_well(p))
        return;
    if (!ret->version)
        oci_wrong(p, "ociVersion", "is missing");
    else if (strncmp(ret->version, "1.", 2) != 0)
        oci_wrong(p, "ociVersion", "\"%.40s\" is not supported; 1.x is", ret->version);
}

static void parse_root(struct oci_parse *p, const json_t *doc, struct oci_config *ret)
{
    const json_t *root = oci_member(p, doc, "root", JSON_OBJECT);
    size_t mark;

    if (!root) {
        oci_wrong(p, "root", "is missing");
        return;
    }
    mark = oci_into(p, "root");
    oci_string(p, root, "path", &ret->root);
    oci_bool(p, root, "readonly", &ret->root_ro);
    if (!ret->root || !*ret->root)
        oci_wrong(p, "path", "is missing");
    oci_out(p, mark);
}

static void resources_unset(struct oci_resources *r)
{
    *r = (struct oci_resources){ .memory = OCI_UNSET,
                                 .swap = OCI_UNSET,
                                 .reservation = OCI_UNSET,
                                 .swappiness = OCI_UNSET,
                                 .shares = OCI_UNSET,
                                 .quota = OCI_UNSET,
                                 .period = OCI_UNSET,
                                 .pids = OCI_UNSET };
}

static void parse_all(struct oci_parse *p, const json_t *doc, struct oci_config *ret)
{
    const json_t *process;

    parse_version(p, doc, ret);
    parse_root(p, doc, ret);
    oci_string(p, doc, "hostname", &ret->hostname);
    oci_string(p, doc, "domainname", &ret->domainname);
    if (ret->hostname && strlen(ret->hostname) > 64)
        oci_wrong(p, "hostname", "is longer than 64 characters");
    if (ret->domainname && strlen(ret->domainname) > 64)
        oci_wrong(p, "domainname", "is longer than 64 characters");
    process = oci_member(p, doc, "process", JSON_OBJECT);
    if (process) {
        size_t mark = oci_into(p, "process");

        ret->has_process = true;
        oci_parse_process(p, process, &ret->process);
        oci_out(p, mark);
    }
    oci_parse_mounts(p, doc, ret);
    parse_hooks(p, doc, ret);
    parse_annotations(p, doc, ret);
    oci_parse_linux(p, doc, ret);
}

static json_t *load(const char *text, size_t n, struct oci_parse *p)
{
    json_error_t e;
    json_t *doc = json_loadb(text, n, 0, &e);

    if (!doc)
        snprintf(p->why, OCI_WHY, "line %d, column %d: %.200s", e.line, e.column, e.text);
    else if (!json_is_object(doc))
        snprintf(p->why, OCI_WHY, "expected an object");
    return doc;
}

int oci_config_parse(const char *text, size_t n, bool process_only, struct oci_config *ret,
                     json_t **ret_doc, char why[OCI_WHY])
{
    struct oci_parse p = { .why = why };

    why[0] = 0;
    *ret = (struct oci_config){ .masked = no_strings, .readonly = no_strings };
    resources_unset(&ret->resources);
    *ret_doc = load(text, n, &p);
    if (oci_well(&p) && process_only) {
        ret->has_process = true;
        oci_parse_process(&p, *ret_doc, &ret->process);
    } else if (oci_well(&p)) {
        parse_all(&p, *ret_doc, ret);
    }
    return oci_well(&p) ? 0 : -1;
}

int oci_resources_parse(const char *text, size_t n, struct oci_resources *ret, json_t **ret_doc,
                        char why[OCI_WHY])
{
    struct oci_parse p = { .why = why };

    why[0] = 0;
    resources_unset(ret);
    *ret_doc = load(text, n, &p);
    if (oci_well(&p))
        oci_parse_resources(&p, *ret_doc, ret);
    return oci_well(&p) ? 0 : -1;
}

char *oci_file_read(const char *path, size_t *ret_n)
{
    bool in = strcmp(path, "-") == 0;
    int fd = in ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), err = 0;
    size_t n = 0, cap = 16384;
    char *text = xcalloc(cap, 1);

    if (fd < 0)
        return NULL;
    while (err == 0) {
        ssize_t got;

        if (n + 1 >= cap)
            text = xreallocarray(text, cap *= 2, 1);
        got = read(fd, text + n, cap - 1 - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            err = errno;
        if (got <= 0)
            break;
        n += (size_t)got;
        if (n > OCI_CONFIG_MAX)
            err = EFBIG;
    }
    if (!in)
        close(fd);
    if (err) {
        free(text);
        errno = err;
        return NULL;
    }
    text[n] = 0;
    *ret_n = n;
    return text;
}

int oci_config_read(const char *path, bool process_only, struct oci_config *ret, json_t **ret_doc,
                    char why[OCI_WHY])
{
    char text[OCI_WHY], *file;
    size_t n;

    file = oci_file_read(path, &n);
    if (!file) {
        snprintf(why, OCI_WHY, "open %.250s: %s", path, oci_strerror(errno));
        return -1;
    }
    if (oci_config_parse(file, n, process_only, ret, ret_doc, text) == 0) {
        free(file);
        return 0;
    }
    free(file);
    snprintf(why, OCI_WHY, "invalid %.120s: %.250s",
             strrchr(path, '/') ? strrchr(path, '/') + 1 : path, text);
    return -1;
}

const struct oci_namespace *oci_namespace_of(const struct oci_config *c, unsigned type)
{
    for (unsigned i = 0; i < c->nnamespaces; i++)
        if (c->namespaces[i].type == type)
            return &c->namespaces[i];
    return NULL;
}
