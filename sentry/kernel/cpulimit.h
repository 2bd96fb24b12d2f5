/* SPDX-License-Identifier: Apache-2.0 */
/* RLIMIT_CPU: SIGXCPU at the soft limit and each second after it, SIGKILL at the hard one. */
#pragma once

struct ktimer;
struct tgroup;

void cpulimit_init(struct tgroup *g);
/* The limit was set or inherited / the process has ended. tasks_lock held. */
void cpulimit_changed_locked(struct tgroup *g);
void cpulimit_gone_locked(struct tgroup *g);
