/* SPDX-License-Identifier: Apache-2.0 */
/* The trap platform keeps the contract. */
#include "contract.h"

int main(void)
{
    TCase *tc = tcase_create("trap");

    add_contract(tc);
    return run_tests("trap", tc, /* light= */ false);
}
