/* SPDX-License-Identifier: Apache-2.0 */
/* The prctl options on capabilities and securebits. */
#pragma once

struct task;

long cap_prctl(struct task *t, int option, unsigned long a2, unsigned long a3, unsigned long a4,
               unsigned long a5);
