/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods: a container whose annotations name a sandbox, as Kubernetes' and podman's do, is a further one in the
 * sentry of that sandbox's first (docs/decisions/a-pod-is-one-sentry.md). Its proxy has gofers of its own, no sentry, and
 * its control socket leads to that of the first.
 */
#pragma once

#include "oci/box.h"
#include "oci/exec_terminal.h"
#include "oci/passed.h"
#include "oci/state.h"

/*
 * A connection to the proxy of the pod's first container, whose id goes to s->pod; -1 where s is to be a sandbox of its own,
 * because it names none, or none of ours lives, or it could not be in that one (which is a warning).
 */
int pod_find(const struct oci_config *c, struct oci_state *s);

/*
 * In the proxy, which stands in all that is the container's: starts its gofers and hands all to the pod. l->control leads
 * to the sentry then. pids: its numbers are the first one's, too. streams: three, and those of passed follow. 0, or -1 with one line in why.
 */
int pod_join(int pod, struct launch *l, bool pids, const struct oci_process *p,
             const int streams[3], const struct passed *passed, char why[OCI_WHY]);
