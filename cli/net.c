/* SPDX-License-Identifier: Apache-2.0 */
/* sbx net: the rules of a named sandbox's network, shown and changed (cli/serve.h). */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "cli/cli.h"
#include "cli/error.h"
#include "cli/serve.h"

static const struct {
    const char *name;
    enum serve_net verb;
} verbs[] = { { "allow", SERVE_NET_ALLOW },
              { "deny", SERVE_NET_DENY },
              { "remove", SERVE_NET_REMOVE } };

static int usage(void)
{
    return fail(EXIT_SBX, "net: give a name: sbx net [--json] NAME, or sbx net NAME "
                          "allow|deny|remove RULE...");
}

/* Behind the verb. */
static int put_rules(char **rules, struct serve_msg *m)
{
    for (; *rules; rules++) {
        size_t n = strlen(*rules) + 1;

        if (n > sizeof m->text - m->len)
            return fail(EXIT_SBX, "net: too many rules at once; give fewer");
        memcpy(m->text + m->len, *rules, n);
        m->len += (uint32_t)n;
    }
    return 0;
}

static int ask(const char *name, struct serve_msg *m)
{
    int fd = named_connect(name);

    if (fd < 0)
        return EXIT_SBX;
    if (send(fd, m, sizeof *m, MSG_NOSIGNAL) != sizeof *m)
        return fail(EXIT_SBX, "%s has ended", name);
    for (;;) {
        if (recv(fd, m, sizeof *m, 0) != sizeof *m || m->len > sizeof m->text)
            return fail(EXIT_SBX, "%s has ended", name);
        if (m->type == SERVE_FAILED)
            return fail(EXIT_SBX, "net %s: %.*s", name, (int)m->len, m->text);
        if (m->type != SERVE_TEXT)
            break;
        fwrite(m->text, 1, m->len, stdout);
    }
    return fflush(stdout) == 0 ? 0 : EXIT_SBX;
}

int cmd_net(int argc, char **argv)
{
    static struct serve_msg m = { .type = SERVE_NET, .value = SERVE_NET_TEXT };
    int at = 1;

    if (at < argc && strcmp(argv[at], "--json") == 0) {
        m.value = SERVE_NET_JSON;
        at++;
    }
    if (argc - at < 1)
        return usage();
    if (argc - at == 2 && strcmp(argv[at + 1], "--json") == 0)
        m.value = SERVE_NET_JSON;
    else if (argc - at > 1) {
        if (m.value == SERVE_NET_JSON || argc - at < 3)
            return usage();
        for (unsigned i = 0; i < ARRAY_SIZE(verbs); i++)
            if (strcmp(argv[at + 1], verbs[i].name) == 0)
                m.value = (int32_t)verbs[i].verb;
        if (m.value < SERVE_NET_ALLOW)
            return usage();
        if (put_rules(argv + at + 2, &m) != 0)
            return EXIT_SBX;
    }
    return ask(argv[at], &m);
}
