/* SPDX-License-Identifier: Apache-2.0 */
/* Not there yet: the families beside AF_UNIX. */
#include "sentry/net/inet.h"

#include <errno.h>

int inet_create(struct task *t, int family, int type, int protocol, struct sock **ret)
{
    (void)t, (void)family, (void)type, (void)protocol, (void)ret;
    return -EAFNOSUPPORT;
}

int netlink_create(struct task *t, int type, int protocol, struct sock **ret)
{
    (void)t, (void)type, (void)protocol, (void)ret;
    return -EAFNOSUPPORT;
}

int inet_cmsg(struct sock *sk, const struct cmsghdr *m, struct send_req *r)
{
    (void)sk, (void)m, (void)r;
    return -EINVAL;
}
