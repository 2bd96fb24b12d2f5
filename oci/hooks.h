/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that the configuration wants to be run at certain moments. */
#pragma once

#include "oci/config.h"
#include "oci/state.h"

/*
 * Runs those of that kind in order, in the namespaces of the caller, with the state on standard input.
 * 0, or -1 with one line in why after the first that failed; of poststop all are run.
 */
int oci_hooks_run(const struct oci_config *c, enum oci_hook_kind kind, const struct oci_state *s,
                  enum oci_status status, char why[OCI_WHY]);
/* What a hook reads, as a descriptor; -1. */
int oci_hooks_state(const struct oci_state *s, enum oci_status status);
