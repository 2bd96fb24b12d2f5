/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of values: sockets. An entry that covers several bits stands before those bits.
 * Values that our libc's headers do not know yet are literal.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "sentry/strace/xlat.h"

static const struct xlat t_af[] = {
    X(AF_UNSPEC), X(AF_UNIX),  X(AF_INET), X(AF_INET6),     X(AF_NETLINK),
    X(AF_PACKET), X(AF_VSOCK), X(AF_ALG),  X(AF_BLUETOOTH), X(AF_CAN),
    X(AF_KEY),    X(AF_XDP),   X(AF_TIPC), X(AF_QIPCRTR),
};
XSET(x_af, t_af, "AF_");

static const struct xlat t_shut[] = {
    X(SHUT_RD),
    X(SHUT_WR),
    X(SHUT_RDWR),
};
XSET(x_shut, t_shut, "SHUT_");

static const struct xlat t_solevel[] = {
    X(SOL_SOCKET), X(SOL_IP),     X(SOL_TCP),     { 17, "SOL_UDP" }, X(SOL_IPV6),
    X(SOL_RAW),    X(SOL_PACKET), X(SOL_NETLINK), X(SOL_ALG),
};
XSET(x_solevel, t_solevel, "SOL_");

static const struct xlat t_socktype[] = {
    X(SOCK_STREAM),    X(SOCK_DGRAM), X(SOCK_RAW),    X(SOCK_RDM),
    X(SOCK_SEQPACKET), X(SOCK_DCCP),  X(SOCK_PACKET),
};
XSET(x_socktype, t_socktype, "SOCK_");

static const struct xlat t_sockflags[] = {
    X(SOCK_CLOEXEC),
    X(SOCK_NONBLOCK),
};
XSET(x_sockflags, t_sockflags, "SOCK_");

static const struct xlat t_msg[] = {
    X(MSG_OOB),          X(MSG_PEEK),       X(MSG_DONTROUTE), X(MSG_CTRUNC),   X(MSG_PROXY),
    X(MSG_TRUNC),        X(MSG_DONTWAIT),   X(MSG_EOR),       X(MSG_WAITALL),  X(MSG_FIN),
    X(MSG_SYN),          X(MSG_CONFIRM),    X(MSG_RST),       X(MSG_ERRQUEUE), X(MSG_NOSIGNAL),
    X(MSG_MORE),         X(MSG_WAITFORONE), X(MSG_BATCH),     X(MSG_ZEROCOPY), X(MSG_FASTOPEN),
    X(MSG_CMSG_CLOEXEC),
};
XSET(x_msg, t_msg, "MSG_");
