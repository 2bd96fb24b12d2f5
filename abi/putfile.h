/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* text, in one write, into the file at path, which is there: one of procfs or of a control group. 0 or -errno. */
int put_file(const char *path, const char *text);
