/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TOML, read by a program of its own (cli/toml/sbx_toml.cpp, docs/decisions/toml-in-a-program-of-its-own.md):
 * its text may be anybody's. What comes back is checked like any other stranger's word.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define TOML_MAX 65536 /* bytes of a file */

enum toml_type { TOML_STRING, TOML_INTEGER, TOML_FLOAT, TOML_BOOLEAN, TOML_OTHER };

struct toml_value {
    enum toml_type type;
    char *kind; /* the type's name, for the user */
    char *text;
    unsigned line;
};

struct toml_key {
    char *key;
    unsigned line;
    bool list; /* written as one; else there is one value */
    struct toml_value *values;
    unsigned n;
};

struct toml_file {
    struct toml_key *keys;
    unsigned n;
};

/* where: the file's name, for errors. 0, or the exit status after the error was printed. */
int toml_read(const char *where, const char *text, size_t n, struct toml_file *ret);
/* NULL: there is no such key. */
const struct toml_key *toml_find(const struct toml_file *f, const char *key);
