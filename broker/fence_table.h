/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every host call the broker may make once it is fenced (abi/fence_rule.h). It makes sockets of the
 * Internet, and nothing else: no file is opened, no process or thread made, no page is executable.
 * Where it connects is its own check (broker/policy.h), behind a pointer here. Anything else ends it:
 * it can only be a compromise.
 */
#pragma once

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "abi/fence_rule.h"

#define FENCE_DEFAULT SCMP_ACT_KILL_PROCESS

#define TYPE_IS(type) FENCE_ARG(1, ~(uint64_t)(SOCK_NONBLOCK | SOCK_CLOEXEC), type)
#define PROTO_IS(proto) FENCE_ARG(2, ~0ull, proto)
#define FAMILY_IS(family) FENCE_ARG(0, ~0ull, family)
#define SET_IS(level, name) FENCE_ARG(1, ~0ull, level), FENCE_ARG(2, ~0ull, name)

static const struct fence_rule fence_rules[] = {
    /* its own memory */
    ALLOW_IF(mmap, "malloc; nothing executable", FENCE_ARG(2, PROT_EXEC, 0)),
    ALLOW_IF(mprotect, "malloc; nothing executable", FENCE_ARG(2, PROT_EXEC, 0)),
    ALLOW(munmap, "malloc"),
    ALLOW_IF(madvise, "malloc gives back", FENCE_ARG(2, 0xffffffffull, MADV_DONTNEED)),
    ALLOW(clock_gettime, "where the vDSO cannot answer"),
    ALLOW(getrandom, "ids and letters of DNS queries"),
    ALLOW(rt_sigreturn, "a handler returns"),
    ALLOW(restart_syscall, "a call stopped by SIGSTOP goes on"),
    ALLOW(exit_group, "the sentry is gone"),

    /* the channel, and waiting */
    ALLOW(epoll_ctl, "what is waited for"),
    ALLOW(epoll_pwait, "waiting"),
    ALLOW(poll, "back-off"),
    ALLOW(recvmsg, "requests, with descriptors"),
    ALLOW(sendmsg, "answers, with sockets"),
    ALLOW(close, "sockets that were handed over"),
    ALLOW_IF(fcntl, "a published socket that begins to listen",
             FENCE_ARG(1, ~0ull, F_DUPFD_CLOEXEC)),
    ALLOW_IF(fcntl, "close-on-exec, which musl says twice", FENCE_ARG(1, ~0ull, F_SETFD)),
    ALLOW_IF(socketpair, "a program's TCP connection to the nameserver", FAMILY_IS(AF_UNIX),
             TYPE_IS(SOCK_STREAM)),

    /* the network */
    ALLOW_IF(socket, "TCP", FAMILY_IS(AF_INET), TYPE_IS(SOCK_STREAM)),
    ALLOW_IF(socket, "TCP", FAMILY_IS(AF_INET6), TYPE_IS(SOCK_STREAM)),
    ALLOW_IF(socket, "UDP, and ICMP echo", FAMILY_IS(AF_INET), TYPE_IS(SOCK_DGRAM)),
    ALLOW_IF(socket, "UDP, and ICMP echo", FAMILY_IS(AF_INET6), TYPE_IS(SOCK_DGRAM)),
    ALLOW(connect, "addresses that the policy has"),
    ALLOW(bind, "listening on the host's ports, --net=host"),
    ALLOW(listen, "published ports"),
    ALLOW(accept4, "who comes to them"),
    ALLOW(shutdown, "listening ends; a connection is closed"),
    ALLOW_IF(ioctl, "is there something unread when it is closed",
             FENCE_ARG(1, 0xffffffffull, FIONREAD)),
    ALLOW(getsockname, "what a program is told of its socket"),
    ALLOW(recvfrom, "answers of nameservers; published UDP"),
    ALLOW(sendto, "queries; urgent data; published UDP"),
    ALLOW(getsockopt, "how a connect ended; options that programs read"),
    ALLOW_IF(setsockopt, "options that programs set", SET_IS(SOL_SOCKET, SO_KEEPALIVE)),
    ALLOW_IF(setsockopt, "the same", SET_IS(SOL_SOCKET, SO_LINGER)),
    ALLOW_IF(setsockopt, "the same", SET_IS(SOL_SOCKET, SO_SNDBUF)),
    ALLOW_IF(setsockopt, "the same", SET_IS(SOL_SOCKET, SO_RCVBUF)),
    ALLOW_IF(setsockopt, "the same", SET_IS(SOL_SOCKET, SO_RCVLOWAT)),
    ALLOW_IF(setsockopt, "the same", SET_IS(SOL_SOCKET, SO_OOBINLINE)),
    ALLOW_IF(setsockopt, "the same", SET_IS(SOL_SOCKET, SO_REUSEADDR)),
    ALLOW_IF(setsockopt, "the same", SET_IS(SOL_SOCKET, SO_REUSEPORT)),
    ALLOW_IF(setsockopt, "NODELAY to KEEPCNT, and the like; broker/option.c has the list",
             FENCE_ARG(1, ~0ull, IPPROTO_TCP), FENCE_ARG(2, ~15ull, 0)),
    ALLOW_IF(setsockopt, "TCP_USER_TIMEOUT", SET_IS(IPPROTO_TCP, 18)),
    ALLOW_IF(setsockopt, "the same", SET_IS(IPPROTO_IP, IP_TTL)),
    ALLOW_IF(setsockopt, "the same", SET_IS(IPPROTO_IP, IP_TOS)),
    ALLOW_IF(setsockopt, "the same", SET_IS(IPPROTO_IP, IP_MTU_DISCOVER)),
    ALLOW_IF(setsockopt, "the same", SET_IS(IPPROTO_IPV6, IPV6_UNICAST_HOPS)),
    ALLOW_IF(setsockopt, "the same", SET_IS(IPPROTO_IPV6, IPV6_TCLASS)),
    ALLOW_IF(setsockopt, "the same", SET_IS(IPPROTO_IPV6, IPV6_V6ONLY)),

    /* what glibc does in its own ways */
    GLIBC(brk, "malloc"),
    GLIBC(mremap, "realloc"),
    GLIBC(futex, "locks of malloc"),
    GLIBC(epoll_wait, "epoll_wait()"),
    GLIBC(getpid, "abort()"),
    GLIBC(gettid, "abort()"),
    GLIBC(tgkill, "abort()"),
    GLIBC(rt_sigprocmask, "abort()"),

    /* sanitizers */
    WIDE(open, "/proc/self"),
    WIDE(openat, "/proc/self"),
    WIDE(readlink, "/proc/self/exe"),
    WIDE(sigaltstack, "stacks"),
    WIDE(prctl, "names of mappings"),
    WIDE(prlimit64, "stack bounds"),
    WIDE(write, "reports"),
    WIDE(read, "/proc/self/maps"),
    WIDE(sched_yield, "locks"),
    WIDE(getuid, "checks"),
    WIDE(rt_sigaction, "reports"),
};
