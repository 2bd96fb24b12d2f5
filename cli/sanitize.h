/* SPDX-License-Identifier: Apache-2.0 */
/* What a sanitizer build (SBX_SANITIZE) needs of the program; nothing in an ordinary one. */
#pragma once

#ifdef SBX_WIDE_FILTERS
void sanitize_begin(void);     /* once, first thing in main() */
void sanitize_child(void);     /* first thing in a child */
int sanitize_report_fd(void);  /* reports go there; children keep it open. -1: nowhere */
void sanitize_to_stderr(void); /* for the gofer, which keeps only that */
#else
static inline void sanitize_begin(void)
{
}
static inline void sanitize_child(void)
{
}
static inline int sanitize_report_fd(void)
{
    return -1;
}
static inline void sanitize_to_stderr(void)
{
}
#endif
