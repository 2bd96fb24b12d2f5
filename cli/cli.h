/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of the front end. Each gets its own name as argv[0] and returns the exit status. */
#pragma once

#include <stdio.h>

int cli_main(int argc, char **argv);

int cmd_run(int argc, char **argv);
int cmd_learn(int argc, char **argv);
int cmd_ps(int argc, char **argv);
int cmd_logs(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_wait(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_rm(int argc, char **argv);
int cmd_exec(int argc, char **argv);
int cmd_kill(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_net(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_syscalls(int argc, char **argv);

/* `sbx run`; learned: then a profile of what it used is printed there (learn.h). NULL: not. */
int run_sandbox(int argc, char **argv, FILE *learned);
