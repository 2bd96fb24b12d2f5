/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories of cgroups that we made are removed at our end. Where the front end is killed a small process does
 * it, the cleaner: it holds nothing but a pidfd of the front end, hears nobody, and ends when all are gone. There
 * is one while there is such a directory.
 */
#pragma once

#define CLEANER_MAX 8

/* From now on dir goes with us. 0 or -errno: then it does not. */
int cleaner_add(const char *dir);
/* Removes it now. False: somebody is in it still, and it is left to the cleaner. */
_Bool cleaner_remove(const char *dir);
