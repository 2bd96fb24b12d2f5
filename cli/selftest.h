/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sbx doctor --self-test`: the most telling attacks, tried from within a sandbox on the host of whoever
 * asks. See selftest.c.
 */
#pragma once

/* Prints a line for each attack. Status 0 when all were held, 1 when one was not, EXIT_SBX. */
int selftest(void);

/* The hidden command that runs inside: argv[1] a token, then what to attack (attack.h). */
int cmd_attack(int argc, char **argv);
