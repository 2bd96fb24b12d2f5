/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See sanitize.h. The sentry and the gofer have no standard error of their own and an empty root
 * directory, so a report needs a descriptor that was kept, and a symbolizer that has read the
 * program before. Options of the environment (ASAN_OPTIONS, ...) win over these.
 */
#ifdef SBX_WIDE_FILTERS
#include "cli/sanitize.h"

#include <fcntl.h>
#include <sanitizer/common_interface_defs.h>
#include <stdint.h>
#include <unistd.h>

#define REPORT_FD 900 /* out of the way of numbers that tests look at */

const char *__asan_default_options(void);
const char *__ubsan_default_options(void);
const char *__tsan_default_options(void);

static int report_fd = -1;

/*
 * Leaks: the front end leaves its tables to exit(). Null: a kernel answers ENOMEM. SEGV: children
 * set every signal to its default, a report is worth more.
 */
const char *__asan_default_options(void)
{
    return "detect_leaks=0:allocator_may_return_null=1:handle_segv=2:handle_sigbus=2:"
           "strip_path_prefix=" SBX_SOURCE_DIR "/";
}

const char *__ubsan_default_options(void)
{
    return "print_stacktrace=1:strip_path_prefix=" SBX_SOURCE_DIR "/";
}

/* Halt: nobody sees the status that a sentry ends with otherwise, and the tests would pass. */
const char *__tsan_default_options(void)
{
    return "halt_on_error=1:allocator_may_return_null=1:second_deadlock_stack=1:"
           "handle_segv=2:handle_sigbus=2:"
           "strip_path_prefix=" SBX_SOURCE_DIR "/";
}

void sanitize_begin(void)
{
    char text[64];

    report_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, REPORT_FD);
    if (report_fd < 0)
        report_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    sanitize_child();
    __sanitizer_symbolize_pc((void *)(uintptr_t)sanitize_begin, "%f", text, sizeof text);
}

/* The descriptor is remembered for one process id. */
void sanitize_child(void)
{
    if (report_fd >= 0)
        __sanitizer_set_report_fd((void *)(intptr_t)report_fd);
}

int sanitize_report_fd(void)
{
    return report_fd;
}

void sanitize_to_stderr(void)
{
    if (report_fd >= 0 && dup2(report_fd, STDERR_FILENO) == STDERR_FILENO)
        __sanitizer_set_report_fd((void *)(intptr_t)STDERR_FILENO);
}
#endif
