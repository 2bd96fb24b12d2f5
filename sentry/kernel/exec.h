/* SPDX-License-Identifier: Apache-2.0 */
/* Inside exec: the state of one execve, and its strings (exec_args.c). */
#pragma once

#include "sentry/kernel/elf.h"
#include "sentry/kernel/task.h"

#define EXEC_STRINGS_MAX (6ul << 20) /* three quarters of the kernel's _STK_LIM */
#define EXEC_STRING_MAX (128ul << 10)

enum exec_step { EXEC_COPY, EXEC_OPEN, EXEC_MAP, EXEC_MAPPED, EXEC_ALONE };

struct exec_strings { /* NUL-terminated, one behind the other */
    char *buf;
    size_t len, cap;
    unsigned n;
};

struct file_caps { /* security.capability of a file */
    bool there, effective;
    uint64_t permitted, inheritable;
};

struct exec_state { /* the record's scratch */
    enum exec_step step;
    int dfd, flags;
    char path[4096], name[4096]; /* what was asked for; what comm and AT_EXECFN show */
    char exe_path[4096];         /* what is opened now: a script's interpreter after a #! */
    struct exec_strings argv, envp;
    struct file *file, *interp_file;
    struct elf_image image, interp;
    unsigned depth;  /* of #! */
    struct ctx *ctx; /* the new one */
    struct aspace *as;
    struct as_op ops[AS_OPS_MAX];
    unsigned nops, stack_op;
    gaddr_t stack_top, stack_low;
    struct file_caps caps;
    struct cred *cred; /* the new one, until it is the task's */
    bool secure;       /* AT_SECURE: it gains rights */
    bool first;        /* the sandbox's first program: no old image, argv from the front end */
};

int exec_strings_add(struct exec_strings *s, const char *str, size_t len);
int exec_strings_from_guest(struct task *t, struct exec_strings *s, gaddr_t vec, size_t *budget);
int exec_strings_from_kernel(struct exec_strings *s, char *const *vec);
/* Puts strings in front (a script's interpreter and its argument) in place of the first one. */
int exec_strings_replace_first(struct exec_strings *s, const char *const *front, unsigned n);
void exec_strings_free(struct exec_strings *s);

/* exec_open.c: opens all that is to be mapped and lists the operations; and undoes the opening. */
int exec_open_all(struct task *t, struct exec_state *s);
void exec_close(struct exec_state *s);
/* A random number of pages below 1 << bits, in bytes. */
uint64_t exec_random_pages(unsigned bits);

/* exec_stack.c: strings, vectors and auxv onto the new stack; *ret_sp. Fills mm's areas. */
int exec_build_stack(struct task *t, struct exec_state *s, struct mm *mm, gaddr_t *ret_sp);

/* exec_cred.c: asks the file for its capabilities; makes s->cred: -EPERM, -ENOMEM. */
void exec_file_caps(struct task *t, struct exec_state *s);
int exec_new_cred(struct task *t, struct exec_state *s);

/* "#!": fills interp (path) and arg ("" when none). 0, or -ENOEXEC when head is no script. */
int exec_parse_script(const char *head, size_t n, char *interp, char *arg, size_t cap);

/* sentry/main.c: the program of t, of a job or the first of its container, is loaded. Any worker. */
void program_started(struct task *t);
/* The first program could not be started: its container ends; of the first container this does not return. */
void program_start_failed(struct task *t, int err);
