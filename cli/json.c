/* SPDX-License-Identifier: Apache-2.0 */
/* See json.h. */
#include "cli/json.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cli/error.h"
#include "cli/utf8.h"

static void need(bool ok)
{
    if (!ok)
        exit(fail(EXIT_SBX, "out of memory"));
}

void json_put(json_t *object, const char *key, json_t *value)
{
    need(value && json_object_set_new(object, key, value) == 0);
}

void json_append(json_t *array, json_t *value)
{
    need(value && json_array_append_new(array, value) == 0);
}

/* Copies text with each byte that is no UTF-8 replaced; false: there was one. */
static bool repair(const char *text, char *out)
{
    const unsigned char *s = (const unsigned char *)text;
    bool whole = true;

    while (*s) {
        uint32_t c;
        unsigned n = utf8_decode(s, &c);

        if (n) {
            memcpy(out, s, n);
            out += n;
        } else {
            memcpy(out, "\xef\xbf\xbd", 3);
            out += 3;
            whole = false;
        }
        s += n ? n : 1;
    }
    *out = 0;
    return whole;
}

static json_t *bytes(const char *text, bool *ret_whole)
{
    char *out = xcalloc(3 * strlen(text) + 1, 1);
    json_t *value;

    *ret_whole = repair(text, out);
    value = json_string(out);
    free(out);
    need(value);
    return value;
}

json_t *json_bytes(const char *text)
{
    bool whole;

    return bytes(text, &whole);
}

void json_put_bytes(json_t *object, const char *key, const char *text)
{
    char *name, *hex;
    bool whole;

    json_put(object, key, bytes(text, &whole));
    if (whole)
        return;
    name = xasprintf("%s_hex", key);
    hex = xcalloc(2 * strlen(text) + 1, 1);
    for (size_t i = 0; text[i]; i++)
        snprintf(hex + 2 * i, 3, "%02x", (unsigned char)text[i]);
    json_put(object, name, json_string(hex));
    free(hex);
    free(name);
}

char *json_line(json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)), *line;

    need(text);
    json_decref(value);
    line = xasprintf("%s\n", text);
    free(text);
    return line;
}

int json_print(json_t *value, FILE *f)
{
    char *line = json_line(value);
    int r = fputs(line, f) < 0 || fflush(f) != 0 ? EXIT_SBX : 0;

    free(line);
    return r ? fail(r, "the list cannot be written") : 0;
}
