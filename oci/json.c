/* SPDX-License-Identifier: Apache-2.0 */
/* Members of JSON objects, with one error that says where. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/error.h"
#include "oci/config.h"

size_t oci_into(struct oci_parse *p, const char *key)
{
    size_t mark = strlen(p->at);

    snprintf(p->at + mark, sizeof p->at - mark, "%s%s", mark ? "." : "", key);
    return mark;
}

void oci_out(struct oci_parse *p, size_t mark)
{
    p->at[mark] = 0;
}

void oci_wrong(struct oci_parse *p, const char *key, const char *fmt, ...)
{
    va_list ap;
    int n;

    if (!oci_well(p)) /* the first one is told */
        return;
    n = snprintf(p->why, OCI_WHY, "%s%s%s: ", p->at, *p->at && *key ? "." : "", key);
    va_start(ap, fmt);
    vsnprintf(p->why + n, (size_t)MAX(OCI_WHY - n, 0), fmt, ap);
    va_end(ap);
}

static const char *type_name(json_type t)
{
    switch (t) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "a whole number";
    case JSON_TRUE:
        return "true or false";
    default:
        return "a value";
    }
}

json_t *oci_member(struct oci_parse *p, const json_t *o, const char *key, json_type type)
{
    json_t *m = json_object_get(o, key);

    if (!m || json_is_null(m))
        return NULL;
    if (json_typeof(m) == type || (type == JSON_TRUE && json_is_boolean(m)))
        return m;
    oci_wrong(p, key, "expected %s", type_name(type));
    return NULL;
}

void oci_string(struct oci_parse *p, const json_t *o, const char *key, const char **ret)
{
    const json_t *m = oci_member(p, o, key, JSON_STRING);

    if (m)
        *ret = json_string_value(m);
}

void oci_bool(struct oci_parse *p, const json_t *o, const char *key, bool *ret)
{
    const json_t *m = oci_member(p, o, key, JSON_TRUE);

    if (m)
        *ret = json_is_true(m);
}

void oci_number(struct oci_parse *p, const json_t *o, const char *key, int64_t min, int64_t max,
                int64_t *ret)
{
    const json_t *m = json_object_get(o, key);
    int64_t v;

    if (!m || json_is_null(m))
        return;
    if (json_is_real(m)) { /* above what fits: Go's largest unsigned means without limit */
        double d = json_real_value(m);

        v = d >= 9.2e18 ? INT64_MAX : d <= -9.2e18 ? INT64_MIN + 1 : (int64_t)d;
        if (d < 9.2e18 && d > -9.2e18 && (double)v != d) {
            oci_wrong(p, key, "expected a whole number");
            return;
        }
    } else if (json_is_integer(m)) {
        v = json_integer_value(m);
    } else {
        oci_wrong(p, key, "expected a whole number");
        return;
    }
    if (v < min || v > max)
        oci_wrong(p, key, "%lld is out of range", (long long)v);
    else
        *ret = v;
}

void oci_strings(struct oci_parse *p, const json_t *o, const char *key, char ***ret)
{
    const json_t *m = oci_member(p, o, key, JSON_ARRAY);
    size_t n = json_array_size(m);
    char **list;

    if (!m)
        return;
    list = xcalloc(n + 1, sizeof *list);
    for (size_t i = 0; i < n; i++) {
        const json_t *s = json_array_get(m, i);

        if (!json_is_string(s)) {
            oci_wrong(p, key, "expected strings in it");
            return;
        }
        list[i] = xstrdup(json_string_value(s));
    }
    *ret = list;
}
