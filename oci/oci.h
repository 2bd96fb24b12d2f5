/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sbx as an OCI runtime (docs/OCI.md): what the files here share. Nobody links with us; a caller (containerd's
 * shim, conmon, a person) runs one command at a time, and what is to stay between two of them is a process,
 * the init proxy (proxy.h), and a folder (state.h).
 *
 * As elsewhere in a front end memory lives as long as the process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "abi/types.h"

#define OCI_VERSION "1.2.1" /* of the specification */

enum oci_level { OCI_DEBUG, OCI_INFO, OCI_WARNING, OCI_ERROR };

/* The options before the command. */
struct oci_globals {
    const char *root; /* folder of the states */
    const char *log;  /* NULL: standard error */
    bool json, debug;
    bool systemd_cgroup, no_cgroup;
    bool rootless; /* what the caller has no right to, of the host's, is left out with a warning */
    const char *net; /* of runsc's flag: none, host, sandbox; NULL: not given */
};

extern struct oci_globals oci;

/* ---- log.c ---- */

/* Where the log goes. 0 or the exit status after the error was printed. */
int oci_log_open(void);
/* In a process that stays: its records are dropped, since the files are other processes' now. */
void oci_log_child(void);
/* One record. Of level error it is also printed to standard error. */
void oci_log(enum oci_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);
/*
 * The one error of a command: to the log and to standard error. Returns 1, what every command but an
 * attached exec ends with.
 */
int oci_fail(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* strerror as callers match it: with a small letter. */
const char *oci_strerror(int err);

/* ---- commands: argv[0] is the command's name; the exit status ---- */

int oci_create(int argc, char **argv);
int oci_run(int argc, char **argv);
int oci_start(int argc, char **argv);
int oci_state(int argc, char **argv);
int oci_kill(int argc, char **argv);
int oci_delete(int argc, char **argv);
int oci_list(int argc, char **argv);
int oci_exec(int argc, char **argv);
int oci_ps(int argc, char **argv);
int oci_pause(int argc, char **argv);
int oci_resume(int argc, char **argv);
int oci_update(int argc, char **argv);
int oci_events(int argc, char **argv);
int oci_features(int argc, char **argv);
int oci_spec(int argc, char **argv);

/* ---- options.c ---- */

/* The whole command line, argv[0] included; the exit status. */
int oci_main(int argc, char **argv);
/* Is sbx called by a name that callers of runtimes use? */
bool oci_called(const char *argv0);

struct oci_option {
    const char *name; /* without dashes */
    char letter;      /* 0: none */
    bool takes_value;
    void *to;     /* bool *, const char **; NULL: it is taken and has no effect */
    char ***list; /* takes a value, may come often: a vector, NULL at the end */
};

/*
 * Takes options (--x v, --x=v, -x v) off the front until the first other word. Returns the index of
 * that word, or -1 after the error was printed. List ends with a name of NULL.
 */
int oci_options(int argc, char **argv, const struct oci_option *list);
/* The id among what is left, which must be that alone; NULL after the error was printed. */
const char *oci_id_only(int argc, char **argv, int at);
/* [A-Za-z0-9_+.-]{1,1024}, and neither "." nor "..". */
bool oci_id_ok(const char *id);
