/* SPDX-License-Identifier: Apache-2.0 */
/* The program: hands over to the front end, which is a library so that tests can link it. */
#include "cli/cli.h"

int main(int argc, char **argv)
{
    return cli_main(argc, argv);
}
