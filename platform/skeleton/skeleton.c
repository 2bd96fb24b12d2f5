/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The platform that the next one starts from as a copy: it compiles, and fails cleanly. Every
 * operation of platform.h that a real one must have is listed; what is called before a context
 * exists fails, the rest cannot be reached.
 */
#include <errno.h>

#include "platform/platform.h"

static int probe(const char **ret_why)
{
    *ret_why = "the skeleton runs nothing: it is where a new platform starts";
    return -ENOSYS;
}

static int early(const struct platform_config *cfg)
{
    (void)cfg;
    return -ENOSYS;
}

static int start(void)
{
    return -ENOSYS;
}

static void stop(void)
{
}

static int blank(struct ctx **ret_ctx, struct aspace **ret_as)
{
    (void)ret_ctx, (void)ret_as;
    return -ENOSYS;
}

static gaddr_t limit(void)
{
    return 0;
}

static void no_block(void)
{
}

static void stats(struct platform_stats *ret)
{
    *ret = (struct platform_stats){ 0 };
}

const struct platform platform_skeleton = {
    .name = "skeleton",
    .probe = probe,
    .early = early,
    .start = start,
    .stop = stop,
    .blank = blank,
    .as_limit = limit,
    .worker_block_begin = no_block,
    .worker_block_end = no_block,
    .stats = stats,
};
