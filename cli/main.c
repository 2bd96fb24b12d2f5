/* SPDX-License-Identifier: Apache-2.0 */
/* The program: hands over to the front end, which is a library so that tests can link it. */
#include "cli/cli.h"

#ifdef SBX_WIDE_FILTERS
/* What the front end allocates lives as long as its process (cli/error.h): that is no leak. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}
#endif

int main(int argc, char **argv)
{
    return cli_main(argc, argv);
}
