// SPDX-License-Identifier: Apache-2.0
//
// Reads TOML from standard input and prints what it says as JSON: a program of its own, as what it
// reads may have been written by anybody, and the library that reads it is C++
// (docs/decisions/toml-in-a-program-of-its-own.md). cli/toml.c starts it, with limits; before the first
// byte is read it gives up all host calls but those that a parser makes.
//
//   {"keys": [{"key": "bind", "line": 3, "list": true, "values": [{"line": 3, "type": "string", "text": "/x"}]}]}
//   {"error": "...", "line": 4}
//
// type: string, integer, float, boolean; any other is named as it is, without a text.
#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

#include <jansson.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <toml.hpp>
#include <unistd.h>

namespace {

constexpr size_t input_max = 65536;

// What a parser does: it reads, takes memory, writes, ends.
bool fence()
{
    static const int calls[] = { SCMP_SYS(read),   SCMP_SYS(write), SCMP_SYS(brk),
                                 SCMP_SYS(munmap), SCMP_SYS(futex), SCMP_SYS(exit_group) };
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
    bool ok = ctx != nullptr;

    for (int call : calls)
        ok = ok && seccomp_rule_add(ctx, SCMP_ACT_ALLOW, call, 0) == 0;
    // Memory without a file, never to be run.
    for (int call : { SCMP_SYS(mmap), SCMP_SYS(mprotect) })
        ok = ok && seccomp_rule_add(ctx, SCMP_ACT_ALLOW, call, 1,
                                    SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0;
    ok = ok && seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mremap), 0) == 0;
    // How the standard library asks what its output is.
    ok = ok && seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(newfstatat), 0) == 0;
    ok = ok && seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(getrandom), 0) == 0;
    ok = ok && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && seccomp_load(ctx) == 0;
    seccomp_release(ctx);
    return ok;
}

std::string slurp()
{
    std::string text(input_max + 1, 0);
    size_t n = 0;

    while (n < text.size()) {
        ssize_t r = read(0, &text[n], text.size() - n);

        if (r <= 0)
            break;
        n += static_cast<size_t>(r);
    }
    text.resize(n);
    return text;
}

void put(json_t *object, const char *name, json_t *value)
{
    if (!value || json_object_set_new(object, name, value) < 0)
        _exit(3);
}

json_t *line_of(const toml::value &v)
{
    return json_integer(v.location().line());
}

const char *type_of(const toml::value &v)
{
    switch (v.type()) {
    case toml::value_t::string: return "string";
    case toml::value_t::integer: return "integer";
    case toml::value_t::floating: return "float";
    case toml::value_t::boolean: return "boolean";
    case toml::value_t::array: return "list";
    case toml::value_t::table: return "table";
    default: return "date";
    }
}

json_t *scalar(const toml::value &v)
{
    json_t *o = json_object();
    char number[64] = "";
    std::string text;

    put(o, "line", line_of(v));
    put(o, "type", json_string(type_of(v)));
    if (v.is_string()) {
        text = v.as_string().str;
    } else if (v.is_integer()) {
        snprintf(number, sizeof number, "%" PRId64, static_cast<int64_t>(v.as_integer()));
        text = number;
    } else if (v.is_floating()) {
        snprintf(number, sizeof number, "%.17g", v.as_floating());
        text = number;
    } else if (v.is_boolean()) {
        text = v.as_boolean() ? "true" : "false";
    }
    json_t *value = json_stringn(text.data(), text.size());

    if (!value) // toml11 lets some through that are no UTF-8
        throw std::runtime_error("a string is no UTF-8");
    put(o, "text", value);
    return o;
}

json_t *entry(const std::string &key, const toml::value &v)
{
    json_t *o = json_object(), *values = json_array();

    put(o, "key", json_stringn(key.data(), key.size()));
    put(o, "line", line_of(v));
    put(o, "list", json_boolean(v.is_array()));
    if (v.is_array())
        for (const auto &x : v.as_array())
            json_array_append_new(values, scalar(x));
    else
        json_array_append_new(values, scalar(v));
    put(o, "values", values);
    return o;
}

// The library says it in many lines, drawn; the first has the words, after a mark and a function's name.
std::string first_line(const std::string &what)
{
    std::string s = what.substr(0, what.find('\n'));
    size_t at = s.find("[error] ");

    if (at != std::string::npos)
        s = s.substr(at + 8);
    if (s.compare(0, 6, "toml::") == 0 && (at = s.find(": ")) != std::string::npos)
        s = s.substr(at + 2);
    return s;
}

json_t *error(const std::string &what, unsigned line)
{
    json_t *o = json_object(), *text = json_stringn(what.data(), what.size());

    put(o, "error", text ? text : json_string("this is no TOML"));
    put(o, "line", json_integer(line));
    return o;
}

json_t *parse(const std::string &text)
{
    std::istringstream in(text);
    const toml::value top = toml::parse(in, "profile");
    std::vector<std::pair<std::string, const toml::value *>> keys;
    json_t *o = json_object(), *list = json_array();

    for (const auto &kv : top.as_table())
        keys.emplace_back(kv.first, &kv.second);
    std::sort(keys.begin(), keys.end(), [](const auto &a, const auto &b) {
        return a.second->location().line() < b.second->location().line();
    });
    for (const auto &kv : keys)
        json_array_append_new(list, entry(kv.first, *kv.second));
    put(o, "keys", list);
    return o;
}

json_t *answer(const std::string &text)
{
    if (text.size() > input_max)
        return error("the file is longer than 64 KiB", 1);
    if (text.find('\0') != std::string::npos)
        return error("there is a NUL in the file", 1);
    try {
        return parse(text);
    } catch (const toml::exception &e) {
        return error(first_line(e.what()), e.location().line());
    } catch (const std::exception &e) {
        return error(first_line(e.what()), 1);
    }
}

} // namespace

int main()
{
    json_object_seed(1); // not asked of the host, nor of a file
    if (!fence())
        return 4;
    char *out = json_dumps(answer(slurp()), JSON_COMPACT);
    size_t n = out ? std::char_traits<char>::length(out) : 0, done = 0;

    while (done < n) {
        ssize_t r = write(1, out + done, n - done);

        if (r <= 0)
            return 2;
        done += static_cast<size_t>(r);
    }
    return n > 0 ? 0 : 3;
}
