/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of sbx, in one table. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "cli/error.h"
#include "cli/selftest.h"
#include "oci/oci.h"
#include "sentry/syscalls/table.h"

static int cmd_help(int argc, char **argv);

static int cmd_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    puts("sbx " SBX_VERSION);
    return 0;
}

int cmd_syscalls(int argc, char **argv)
{
    bool native = argc == 2 && strcmp(argv[1], "--native") == 0;
    bool markdown = argc == 2 && strcmp(argv[1], "--markdown") == 0;

    if (argc > 1 && !native && !markdown)
        return fail(EXIT_SBX, "syscalls: unknown argument %s; give nothing or --native", argv[1]);
    int r = markdown ? syscalls_print_markdown(stdout) : syscalls_print(stdout, native);

    return r < 0 || fflush(stdout) != 0 ? fail(EXIT_SBX, "the list cannot be written") : 0;
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help; /* NULL: another name of the one above */
} commands[] = {
    { "run", cmd_run, "run a script or program in a sandbox" },
    { "learn", cmd_learn, "run a program with all there is, and propose a profile for it" },
    { "ps", cmd_ps, "the named sandboxes of this user (run --name, run -d)" },
    { "logs", cmd_logs, "what a detached sandbox (run -d) has printed" },
    { "stats", cmd_stats, "what named sandboxes use: cpu, memory, processes, network" },
    { "exec", cmd_exec, "run another program in a named sandbox" },
    { "kill", cmd_kill, "send a signal to the program of a named sandbox" },
    { "stop", cmd_stop, "end a named sandbox: SIGTERM, and later SIGKILL" },
    { "wait", cmd_wait, "wait until a named sandbox has ended, and print its exit status" },
    { "rm", cmd_rm, "remove what a detached sandbox that has ended left" },
    { "inspect", cmd_inspect, "the policy of a named sandbox: what is shown, its limits" },
    { "net", cmd_net, "what a named sandbox may reach, and what it was refused; changes it" },
    { "doctor", cmd_doctor,
      "what this host offers, and what would improve it (--self-test: attack it)" },
    { "syscalls", cmd_syscalls,
      "the system calls of the kernel inside (--native: those that pass)" },
    { "oci", oci_main, "be an OCI runtime, as when called sbx-oci (docs/OCI.md)" },
    { "version", cmd_version, "the version of this program" },
    { "--version", cmd_version, NULL },
    { "-V", cmd_version, NULL },
    { "attack", cmd_attack, NULL }, /* within `doctor --self-test` */
    { "help", cmd_help, "this text" },
    { "--help", cmd_help, NULL },
    { "-h", cmd_help, NULL },
};

static int cmd_help(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    puts("sbx runs programs under a kernel of its own, in user space.\n\n"
         "Usage: sbx COMMAND [options]\n");
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
        if (commands[i].help)
            printf("  %-10s %s\n", commands[i].name, commands[i].help);
    }
    puts("\nStart with: sbx run script.py        More: sbx run --help, man sbx");
    return 0;
}

int cli_main(int argc, char **argv)
{
    if (argc > 0 && oci_called(argv[0]))
        return oci_main(argc, argv);
    if (argc < 2)
        return fail(EXIT_SBX, "no command; try: sbx run script.py, or sbx help");
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    }
    return fail(EXIT_SBX, "unknown command %s; see `sbx help` (a program is run by: sbx run %s)",
                argv[1], argv[1]);
}
