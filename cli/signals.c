/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/signals.h"

#include <signal.h>
#include <stdlib.h>
#include <strings.h>

#include "abi/types.h"

int signal_number(const char *name)
{
    static const struct {
        const char *name;
        int number;
    } names[] = {
        { "HUP", SIGHUP },   { "INT", SIGINT },   { "QUIT", SIGQUIT },   { "ABRT", SIGABRT },
        { "KILL", SIGKILL }, { "USR1", SIGUSR1 }, { "USR2", SIGUSR2 },   { "ALRM", SIGALRM },
        { "TERM", SIGTERM }, { "CONT", SIGCONT }, { "STOP", SIGSTOP },   { "TSTP", SIGTSTP },
        { "TTIN", SIGTTIN }, { "TTOU", SIGTTOU }, { "WINCH", SIGWINCH }, { "PIPE", SIGPIPE },
    };
    char *end;
    long n = strtol(name, &end, 10);

    if (end != name && *end == 0)
        return n >= 1 && n <= 64 ? (int)n : 0;
    if (strncasecmp(name, "SIG", 3) == 0)
        name += 3;
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcasecmp(names[i].name, name) == 0)
            return names[i].number;
    }
    return 0;
}
