/* SPDX-License-Identifier: Apache-2.0 */
/* See names.h. */
#include "abi/names.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>

#include "abi/types.h"

static const struct {
    const char *name, *text;
} errors[] = {
#define ERR(name, text) [name] = { #name, text },
#include "abi/errno.def"
#undef ERR
};

static const char *const signals[] = {
    [SIGHUP] = "HUP",   [SIGINT] = "INT",       [SIGQUIT] = "QUIT", [SIGILL] = "ILL",
    [SIGTRAP] = "TRAP", [SIGABRT] = "ABRT",     [SIGBUS] = "BUS",   [SIGFPE] = "FPE",
    [SIGKILL] = "KILL", [SIGUSR1] = "USR1",     [SIGSEGV] = "SEGV", [SIGUSR2] = "USR2",
    [SIGPIPE] = "PIPE", [SIGALRM] = "ALRM",     [SIGTERM] = "TERM", [16] = "STKFLT",
    [SIGCHLD] = "CHLD", [SIGCONT] = "CONT",     [SIGSTOP] = "STOP", [SIGTSTP] = "TSTP",
    [SIGTTIN] = "TTIN", [SIGTTOU] = "TTOU",     [SIGURG] = "URG",   [SIGXCPU] = "XCPU",
    [SIGXFSZ] = "XFSZ", [SIGVTALRM] = "VTALRM", [SIGPROF] = "PROF", [SIGWINCH] = "WINCH",
    [SIGIO] = "IO",     [SIGPWR] = "PWR",       [SIGSYS] = "SYS",
};

const char *errno_name(int err)
{
    return err > 0 && err < (int)ARRAY_SIZE(errors) ? errors[err].name : NULL;
}

const char *errno_text(int err)
{
    return err > 0 && err < (int)ARRAY_SIZE(errors) ? errors[err].text : NULL;
}

const char *signal_name(int sig)
{
    return sig > 0 && sig < (int)ARRAY_SIZE(signals) ? signals[sig] : NULL;
}
