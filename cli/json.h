/* SPDX-License-Identifier: Apache-2.0 */
/* JSON for programs that read what we print, by jansson. Running out of memory ends us, as in error.h. */
#pragma once

#include <jansson.h>
#include <stdio.h>

/* Both take value; key is one of ours. */
void json_put(json_t *object, const char *key, json_t *value);
void json_append(json_t *array, json_t *value);
/*
 * A name of the host's or a program's: bytes. JSON has none but UTF-8, so of what is not, each bad byte is
 * U+FFFD, and the bytes themselves stand beside it, as KEY_hex.
 */
void json_put_bytes(json_t *object, const char *key, const char *text);
json_t *json_bytes(const char *text); /* without the second */
/* In one line; value is freed. 0, or the exit status after the error was printed. */
int json_print(json_t *value, FILE *f);
/* The same, as text with a line's end; to be freed. */
char *json_line(json_t *value);
