/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of ours that sbx starts for what it does not do itself. */
#pragma once

/* The one of that name, to be run: beside us in a build, in ../libexec/sbx where we are installed. A descriptor; -1. */
int program_beside(const char *name);
