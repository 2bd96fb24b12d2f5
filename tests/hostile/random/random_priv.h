/* SPDX-License-Identifier: Apache-2.0 */
/* What random_args.c and random_structs.c share: numbers, and things that lie in the arena. */
#pragma once

#include "random_args.h"
#include "random_flags.h"

uint64_t rnd_number(struct random_args *r);
uint64_t rnd_size(struct random_args *r);
uint64_t rnd_offset(struct random_args *r);
uint64_t rnd_descriptor(struct random_args *r);
uint64_t rnd_pid(struct random_args *r);
uint64_t rnd_listed(struct random_args *r, const struct flag_list *l);
void *rnd_place(struct random_args *r, size_t n);
uint64_t rnd_bad_pointer(struct random_args *r);
void *rnd_words(struct random_args *r, size_t n);
void *rnd_text(struct random_args *r, const char *s);
void *rnd_path(struct random_args *r);
void *rnd_name(struct random_args *r);
void *rnd_strings(struct random_args *r);
void *rnd_vector(struct random_args *r);
