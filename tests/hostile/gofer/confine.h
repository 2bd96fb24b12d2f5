/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where attacks on the gofer that writes are run: in a mount namespace in which the whole host is
 * read-only but for one new directory under /tmp, and in a pid namespace with a procfs of its own. A
 * fence that is broken, or a mistake in an attack, then reaches canaries and nothing else.
 */
#pragma once

/*
 * Goes there; returns in a child, whose parent waits, removes the directory and ends with its status.
 * The directory's name (static). Where any of it cannot be done the program ends, before an attack is
 * run: 77 and a line that says why, if it was not started by root.
 */
const char *confine_enter(void);
/* In a program exec'd by one that is there: the same directory, seen to be so once more. */
const char *confine_again(void);
