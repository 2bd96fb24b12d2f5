/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest program: arguments, output, exit. */
#include "guest.h"

static void arguments(int argc, char **argv)
{
    CHECK(argc >= 1);
    CHECK(argv[0] != NULL && argv[0][0] != 0);
    CHECK(argv[argc] == NULL);
}

static void ids(void)
{
    CHECK(getpid() > 1);
    CHECK_EQ(getuid(), geteuid());
}

int main(int argc, char **argv)
{
    guest_current = "arguments";
    arguments(argc, argv);
    RUN(ids);
    DONE();
}
