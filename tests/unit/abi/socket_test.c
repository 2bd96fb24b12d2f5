/* SPDX-License-Identifier: Apache-2.0 */
#include "abi/socket.h"

#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#define tcp_info kernel_tcp_info
#include <linux/tcp.h>
#undef tcp_info

#include "same.h"

#define T(m) AT(lx_tcp_info, m, kernel_tcp_info, tcpi_##m)

static const struct same sockets[] = {
    SIZE(lx_sockaddr, sockaddr),
    SIZE(lx_sockaddr_un, sockaddr_un),
    AT(lx_sockaddr_un, path, sockaddr_un, sun_path),
    SIZE(lx_sockaddr_in, sockaddr_in),
    AT(lx_sockaddr_in, port, sockaddr_in, sin_port),
    AT(lx_sockaddr_in, addr, sockaddr_in, sin_addr),
    SIZE(lx_sockaddr_in6, sockaddr_in6),
    AT(lx_sockaddr_in6, port, sockaddr_in6, sin6_port),
    AT(lx_sockaddr_in6, flowinfo, sockaddr_in6, sin6_flowinfo),
    AT(lx_sockaddr_in6, addr, sockaddr_in6, sin6_addr),
    AT(lx_sockaddr_in6, scope_id, sockaddr_in6, sin6_scope_id),
    SIZE(lx_sockaddr_nl, sockaddr_nl),
    AT(lx_sockaddr_nl, pid, sockaddr_nl, nl_pid),
    AT(lx_sockaddr_nl, groups, sockaddr_nl, nl_groups),
    SIZE(lx_sockaddr_ll, sockaddr_ll),
    AT(lx_sockaddr_ll, ifindex, sockaddr_ll, sll_ifindex),
    AT(lx_sockaddr_ll, addr, sockaddr_ll, sll_addr),
    SIZE(lx_sockaddr_storage, sockaddr_storage),
    VALUE(LX_SOCKADDR_MAX, sizeof(struct sockaddr_storage)),
    SIZE(lx_msghdr, msghdr),
    AT(lx_msghdr, namelen, msghdr, msg_namelen),
    AT(lx_msghdr, iov, msghdr, msg_iov),
    AT(lx_msghdr, iovlen, msghdr, msg_iovlen),
    AT(lx_msghdr, control, msghdr, msg_control),
    AT(lx_msghdr, controllen, msghdr, msg_controllen),
    AT(lx_msghdr, flags, msghdr, msg_flags),
    SIZE(lx_mmsghdr, mmsghdr),
    AT(lx_mmsghdr, len, mmsghdr, msg_len),
    SIZE(lx_cmsghdr, cmsghdr),
    AT(lx_cmsghdr, level, cmsghdr, cmsg_level),
    AT(lx_cmsghdr, type, cmsghdr, cmsg_type),
    VALUE(LX_CMSG_ALIGN(13), CMSG_ALIGN(13)),
    SIZE(lx_ucred, ucred),
    AT(lx_ucred, uid, ucred, uid),
    AT(lx_ucred, gid, ucred, gid),
    SIZE(lx_linger, linger),
    SIZE(lx_ip_mreqn, ip_mreqn),
    AT(lx_ip_mreqn, ifindex, ip_mreqn, imr_ifindex),
    SIZE(lx_ipv6_mreq, ipv6_mreq),
    AT(lx_ipv6_mreq, ifindex, ipv6_mreq, ipv6mr_interface),
    SIZE(lx_in_pktinfo, in_pktinfo),
    AT(lx_in_pktinfo, addr, in_pktinfo, ipi_addr),
    SIZE(lx_in6_pktinfo, in6_pktinfo),
    SIZE(lx_ifreq, ifreq),
    AT(lx_ifreq, addr, ifreq, ifr_addr),
    AT(lx_ifreq, map.irq, ifreq, ifr_map.irq),
    SIZE(lx_ifconf, ifconf),
    AT(lx_ifconf, buf, ifconf, ifc_buf),
    SIZE(lx_tcp_info, kernel_tcp_info),
    T(state),
    T(options),
    T(rto),
    T(retrans),
    T(last_data_sent),
    T(pmtu),
    T(rtt),
    T(snd_cwnd),
    T(reordering),
    T(total_retrans),
    T(pacing_rate),
    T(bytes_received),
    T(segs_out),
    T(min_rtt),
    T(delivery_rate),
    T(delivered),
    T(bytes_sent),
    T(snd_wnd),
};

SAME_MAIN("abi/socket", sockets)
