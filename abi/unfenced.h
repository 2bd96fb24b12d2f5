/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fences that a test build leaves out, so that the tests which attack them are known to bite.
 *
 *     if (!unfenced("landlock"))
 *         r = gofer_landlock(cfg);
 *
 * In the program that is installed this is the constant false, and nothing of it is in there. In
 * sbx-unfenced (cmake/unfenced.cmake: made for tests, never installed) and in tests that ask for it,
 * it is true of the words in the environment variable SBX_UNFENCED=word,word,... when the program
 * started. Without that variable such a build is fenced as any other.
 */
#pragma once

#include <stdbool.h>

#ifdef SBX_UNFENCED
bool unfenced(const char *fence);
#else
static inline bool unfenced(const char *fence)
{
    (void)fence;
    return false;
}
#endif
