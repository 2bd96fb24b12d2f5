/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other side of the attacks: children that may die of what they do, and a watchdog, a well-behaved
 * guest process of another user that must not suffer.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define HOSTILE_ID 1000 /* what attackers run as; the watchdog is root's */

/*
 * Runs fn(0..n-1), each in a child of its own with HOSTILE_ID's rights in a session of its own, some
 * at a time. One that is not over after ms is killed. False when one cannot be ended.
 */
bool pool_run(void (*fn)(uint64_t i), uint64_t n, unsigned ms);

/* A page, and more, that this process and its children share. */
void *shared_new(size_t n);
void become_hostile(void);

/* The watchdog: start, and its end. False: it did not get on as it should have, or was meddled with. */
extern pid_t watchdog_pid;
extern char watchdog_mark[16]; /* says "the watchdog" in its memory, and nowhere else */
void watchdog_start(void);
bool watchdog_end(void);

uint64_t now_ms(void);
/* The first argument, 1 without one; 0: another each time. Printed. */
uint64_t seed_of(int argc, char **argv);
void end_hard(int status) __attribute__((noreturn)); /* no destructors, no flushing */

/* The modes. True: as it should be. Each prints what it did. */
bool jump_all(int argc, char **argv);
bool calls_all(int argc, char **argv);
bool reach_all(int argc, char **argv);
bool scribble_all(int argc, char **argv);
bool lent_all(int argc, char **argv);
bool lentnet_all(int argc, char **argv);
bool deaths_all(int argc, char **argv);
bool liars_all(int argc, char **argv);
bool faults_all(int argc, char **argv);
bool exhaust_all(int argc, char **argv);
bool leaks_all(int argc, char **argv);
bool hunt_all(int argc, char **argv);
bool locks_all(int argc, char **argv);
