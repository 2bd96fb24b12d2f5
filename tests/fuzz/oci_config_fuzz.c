/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.json of a container, as a process (`exec --process`) and as resources (`update`) too. What is taken
 * must keep what oci/config.h promises.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oci/config.h"
#include "tests/fuzz/forget.h"
#include "tests/fuzz/fuzz.h"

static void need(int ok)
{
    if (!ok)
        abort();
}

static void process_holds(const struct oci_process *p)
{
    need(p->args && p->args[0] && p->env && p->cwd && p->cwd[0] == '/');
    need(process_check(&p->spec) == 0);
    need(p->rows <= 65535 && p->cols <= 65535);
}

static void holds(const struct oci_config *c)
{
    need(strncmp(c->version, "1.", 2) == 0 && c->root && *c->root);
    need(!c->hostname || strlen(c->hostname) <= 64);
    if (c->has_process)
        process_holds(&c->process);
    for (unsigned i = 0; i < c->nmounts; i++) {
        const struct oci_mount *m = &c->mounts[i];

        need(m->destination[0] == '/' && m->options);
        need(m->bind ? m->source && *m->source : m->type && *m->type);
    }
    for (unsigned k = 0; k < HOOKS; k++)
        for (unsigned i = 0; i < c->nhooks[k]; i++)
            need(c->hooks[k][i].path[0] == '/');
    for (unsigned i = 0; i < c->nnamespaces; i++)
        need(c->namespaces[i].type &&
             oci_namespace_of(c, c->namespaces[i].type) == &c->namespaces[i]);
    for (unsigned i = 0; i < c->ndevices; i++)
        need(c->devices[i].path[0] == '/');
    need(c->masked && c->readonly);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char why[OCI_WHY];
    struct oci_config c;
    struct oci_resources r;
    json_t *doc;

    forget_begin();
    for (int process = 0; process < 2; process++) {
        doc = NULL;
        if (oci_config_parse((const char *)p, n, process, &c, &doc, why) != 0)
            need(why[0] && strlen(why) < OCI_WHY);
        else if (process)
            process_holds(&c.process);
        else
            holds(&c);
        json_decref(doc);
    }
    doc = NULL;
    oci_resources_parse((const char *)p, n, &r, &doc, why);
    json_decref(doc);
    forget_end();
    return 0;
}

size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
    static const char *const seeds[] = {
        "{\"ociVersion\":\"1.2.1\",\"root\":{\"path\":\"r\",\"readonly\":true},\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\","
        "\"env\":[\"A=b\"],\"user\":{\"uid\":1,\"gid\":2,\"umask\":18,\"additionalGids\":[3]},\"terminal\":true,"
        "\"consoleSize\":{\"height\":1,\"width\":2},\"noNewPrivileges\":true,\"oomScoreAdj\":-5}}",
        "{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},\"mounts\":[{\"destination\":\"/a\",\"type\":\"bind\",\"source\":\"/b\","
        "\"options\":[\"rbind\",\"ro\",\"rprivate\",\"size=5\"]},{\"destination\":\"p\",\"type\":\"proc\"}],"
        "\"hooks\":{\"prestart\":[{\"path\":\"/h\",\"args\":[\"a\"],\"env\":[],\"timeout\":5}]},\"annotations\":{\"a\":\"b\"}}",
        "{\"ociVersion\":\"1.1.0\",\"root\":{\"path\":\"r\"},\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"network\","
        "\"path\":\"/n\"}],\"devices\":[{\"path\":\"/dev/x\",\"type\":\"c\",\"major\":1,\"minor\":3,\"fileMode\":438}],"
        "\"sysctl\":{\"net.x\":\"1\"},\"maskedPaths\":[\"/m\"],\"readonlyPaths\":[\"/r\"],\"rootfsPropagation\":\"rslave\","
        "\"cgroupsPath\":\"/c\",\"resources\":{\"memory\":{\"limit\":-1},\"cpu\":{\"shares\":2},\"pids\":{\"limit\":5},"
        "\"unified\":{\"a\":\"b\"}}}}",
        ("{\"args\":[\"sh\",\"-c\"],\"cwd\":\"/x\",\"capabilities\":{\"bounding\":[\"CAP_KILL\",\"x\"]},"
         "\"rlimits\":[{\"type\":\"RLIMIT_CORE\",\"soft\":1,\"hard\":18446744073709551615}]}"),
        "{\"memory\":{\"limit\":1e18,\"swap\":0},\"cpu\":{\"quota\":50000,\"period\":100000,\"cpus\":\"0-1\"},\"pids\":null}",
    };
    const char *s = seeds[i % 5];
    size_t n = strlen(s);

    if (n > cap)
        return 0;
    memcpy(buf, s, n);
    return n;
}
