/* SPDX-License-Identifier: Apache-2.0 */
/* The program: hands over to the front end, which is a library so that tests can link it. */
#include <fcntl.h>

#include "cli/cli.h"
#include "cli/sanitize.h"

/*
 * A standard stream that is closed stays closed inside, but its number must not become that of a
 * descriptor of ours. What comes through an exec is never close-on-exec: that marks the stopgap.
 */
static void hold_closed_streams(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", O_RDWR | O_CLOEXEC);
}

int main(int argc, char **argv)
{
    hold_closed_streams();
    sanitize_begin();
    return cli_main(argc, argv);
}
