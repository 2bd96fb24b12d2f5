/* SPDX-License-Identifier: Apache-2.0 */
/* mprotect with PROT_GROWSDOWN: from the start of a mapping that grows, such as the stack. */
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>

#include "guest.h"

extern void *__libc_stack_end;

#define PAGE 4096ul

static const unsigned char forty_two[] = { 0xb8, 42, 0, 0, 0, 0xc3 }; /* mov $42, %eax; ret */

/* As the C library does for a library that wants it. */
static void stack_made_executable(void)
{
    unsigned char code[16];
    char *page = (char *)((uintptr_t)__libc_stack_end & -PAGE);
    int (*f)(void);

    CHECK_EQ(mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC | PROT_GROWSDOWN), 0);
    memcpy(code, forty_two, sizeof forty_two);
    memcpy(&f, &(void *){ code }, sizeof f);
    if (!guest_failures)
        CHECK_EQ(f(), 42);
    CHECK_EQ(mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_GROWSDOWN), 0);
}

static void all_from_the_start_of_a_growing_one(void)
{
    int zero = open("/dev/zero", O_RDONLY);
    char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0);

    CHECK(p != MAP_FAILED);
    p[0] = p[3 * PAGE] = 1;
    CHECK_EQ(mprotect(p + 2 * PAGE, PAGE, PROT_READ | PROT_GROWSDOWN), 0);
    CHECK_ERR(read(zero, p, 1), EFAULT);
    CHECK_ERR(read(zero, p + 2 * PAGE, 1), EFAULT);
    CHECK_EQ(read(zero, p + 3 * PAGE, 1), 1);
    munmap(p, 4 * PAGE);
    close(zero);
}

static void refused(void)
{
    char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *page = (char *)((uintptr_t)__libc_stack_end & -PAGE);

    CHECK(p != MAP_FAILED);
    CHECK_ERR(mprotect(p + PAGE, PAGE, PROT_READ | PROT_GROWSDOWN), EINVAL);
    CHECK_ERR(mprotect(p, PAGE, PROT_READ | PROT_GROWSUP), EINVAL);
    CHECK_ERR(mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_GROWSDOWN | PROT_GROWSUP), EINVAL);
    CHECK_ERR(mprotect(page + 1, PAGE, PROT_READ | PROT_WRITE | PROT_GROWSDOWN), EINVAL);
    CHECK_EQ(mprotect(page, 0, PROT_READ | PROT_WRITE | PROT_GROWSDOWN), 0);
    CHECK_EQ(munmap(p, 2 * PAGE), 0);
    CHECK_ERR(mprotect(p, PAGE, PROT_READ | PROT_GROWSDOWN), ENOMEM);
}

int main(void)
{
    RUN(stack_made_executable);
    RUN(all_from_the_start_of_a_growing_one);
    RUN(refused);
    DONE();
}
