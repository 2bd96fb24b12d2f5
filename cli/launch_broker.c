/* SPDX-License-Identifier: Apache-2.0 */
/* The net broker's child, up to broker_main(): it stays in the host's network namespace. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "abi/unfenced.h"
#include "cli/error.h"
#include "cli/launch.h"
#include "cli/sanitize.h"

/* A descriptor a connect: as many as there may be. */
static void raise_files(void)
{
    struct rlimit rl;

    if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
        return;
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);
}

/* Sockets belong to the cgroup that they were made in: none is before we are in ours. */
static void wait_for_fence(const struct launch_fds *f)
{
    char c;

    if (f->fenced[0] < 0)
        return;
    close(f->fenced[1]);
    if (read(f->fenced[0], &c, 1) != 1)
        _exit(1);
}

void broker_child(const struct launch *l, const struct launch_fds *f, struct spawn *sp)
{
    const struct network *n = l->network;
    struct broker_config cfg = { .sock = f->broker_sock[0],
                                 .policy = &l->network->policy,
                                 .rules_sock = MAX(f->rules, 0),
                                 .nservers = n->nservers,
                                 .without = l->without,
                                 .tell_names = l->options->learn };
    int *keep = xcalloc(n->policy.npub + 4, sizeof *keep), null_fd, root_fd = -1, r;
    unsigned nkeep = 0;

    memcpy(cfg.servers, n->servers, sizeof cfg.servers);
    child_begin(sp);
    prctl(PR_SET_NAME, "sbx-net");
    wait_for_fence(f);
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    raise_files();
    if ((sp->flags & CLONE_NEWNS) && !unfenced("emptyroot"))
        root_fd = child_empty_root();
    r = child_become(sp);
    if (r < 0)
        child_fail(f->gofer_status, EXIT_SBX, "cannot start the net broker: setuid: %s",
                   strerror(-r));
    child_capabilities(~0ull); /* its fence drops them for good */
    keep[nkeep++] = f->broker_sock[0];
    if (f->rules >= 0)
        keep[nkeep++] = f->rules;
    for (unsigned i = 0; i < n->policy.npub; i++)
        keep[nkeep++] = n->policy.pub[i].fd;
    if (root_fd >= 0)
        keep[nkeep++] = root_fd;
    if (sanitize_report_fd() >= 0)
        keep[nkeep++] = sanitize_report_fd();
    child_close_all_but(keep, nkeep, null_fd);
    sanitize_to_stderr();
    cfg.root_fd = root_fd > 0 ? root_fd : 0;
    broker_main(&cfg);
}
