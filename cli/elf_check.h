/* SPDX-License-Identifier: Apache-2.0 */
/* A look at an ELF file before it is run, for errors that say what is wrong with it. */
#pragma once

#include "cli/view.h"

/* 0, or the exit status after the error was printed. */
int elf_check(const struct view *v, const char *path);
