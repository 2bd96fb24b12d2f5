/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a detached sandbox prints, in the directory of the names (serve.h), beside its socket:
 *
 *   .log.NAME   what was printed last, at most LOGS_HALF bytes; then it becomes
 *   .old.NAME   which was there before, and is gone
 *   .end.NAME   when it has ended: how, in JSON
 *
 * So at least the last LOGS_HALF bytes are kept, and at most twice as many take room. The files stay until the
 * name is taken again, by `sbx rm`, or until LOGS_ENDED sandboxes have ended since. A file is a head, then
 * records: a struct logs_record and its bytes.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOGS_HALF (8u << 20)
#define LOGS_PIECE 65536u
#define LOGS_ENDED 16u

#define LOGS_MAGIC 0x31676f6c78627373ull

struct logs_head {
    uint64_t magic, seq; /* one more than that of the file before */
};

struct logs_record {
    uint32_t len, stream; /* 1 or 2 */
    uint64_t time_ns;     /* CLOCK_REALTIME */
};

/* ---- the writer ---- */

/* 0, or the exit status after the error was printed. */
int logs_open(const char *name);
void logs_add(int stream, const char *buf, size_t n);
void logs_close(const char *name, int status, char *const *command, bool keep);
/* What was left of one of that name. */
void logs_forget(const char *name);

/* ---- the readers ---- */

/* How the sandbox of that name ended, as JSON; NULL: that is not known. */
json_t *logs_ended(const char *name);
char *logs_path(const char *what,
                const char *name); /* ".log.", ...; NULL after the error was printed */
