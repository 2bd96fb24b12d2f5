/* SPDX-License-Identifier: Apache-2.0 */
/* A process of a container as the sentry is asked for it (sentry/job.h). */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "oci/box.h"
#include "sentry/job.h"

static void put(FILE *f, const char *s)
{
    fwrite(s, 1, strlen(s) + 1, f);
}

int box_job(const struct oci_process *p, const char *path, char *const *env, uint32_t flags)
{
    struct job_request h = { .as = p->spec };
    int fd = memfd_create("job", MFD_CLOEXEC);
    FILE *f = fd >= 0 ? fdopen(dup(fd), "w") : NULL;

    if (!f)
        return -1;
    h.as.flags |= flags | (path ? PROCESS_FILE : 0);
    h.as.rows = (uint16_t)p->rows;
    h.as.cols = (uint16_t)p->cols;
    while (p->args[h.argc])
        h.argc++;
    h.argc += path != NULL;
    while (env[h.envc])
        h.envc++;
    fwrite(&h, sizeof h, 1, f);
    put(f, p->cwd);
    if (path)
        put(f, path);
    for (char **a = p->args; *a; a++)
        put(f, *a);
    for (char *const *v = env; *v; v++)
        put(f, *v);
    return fclose(f) == 0 && lseek(fd, 0, SEEK_END) <= (off_t)JOB_REQUEST_MAX ? fd : -1;
}
