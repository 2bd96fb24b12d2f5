/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `sbx learn` is told at the end (cli/learn.c makes a profile of it): what was opened of the host beyond
 * what every sandbox sees, files that were looked at, links that were walked through on the way, files that
 * were opened for writing, and who was talked to. Nothing is recorded unless kernel.learn.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct file;
struct inet_addr;
struct path;
struct task;

/* f was opened. Locks: none. */
void learn_file(struct task *t, const struct file *f);
/* What is at p was looked at by its name (stat, access); of files alone. Locks: none. */
void learn_look(struct task *t, const struct path *p);
/* The link at p is followed. Locks: none. */
void learn_link(struct task *t, const struct path *p);
/* A connection to the outside is there; name[len]: what the address was resolved for; 0: by number. */
void learn_peer(const char *name, size_t len, const struct inet_addr *a);
/* Somebody listens on port of TCP. */
void learn_listen(uint16_t port);
/* At the end of the sandbox. */
void learn_send(void);
