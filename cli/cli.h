/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of the front end. Each gets its own name as argv[0] and returns the exit status. */
#pragma once

int cli_main(int argc, char **argv);

int cmd_run(int argc, char **argv);
int cmd_ps(int argc, char **argv);
int cmd_exec(int argc, char **argv);
int cmd_kill(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_net(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_syscalls(int argc, char **argv);
