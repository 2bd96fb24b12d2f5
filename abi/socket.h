/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets: addresses, messages and the structures of socket options. */
#pragma once

#include "abi/types.h"

#define LX_SOCKADDR_MAX 128 /* sizeof struct sockaddr_storage */

struct lx_sockaddr {
    uint16_t family;
    uint8_t data[14];
};

struct lx_sockaddr_un {
    uint16_t family;
    char path[108];
};

struct lx_sockaddr_in {
    uint16_t family;
    uint16_t port; /* big endian, as is addr */
    uint32_t addr;
    uint8_t zero[8];
};

struct lx_sockaddr_in6 {
    uint16_t family;
    uint16_t port;
    uint32_t flowinfo;
    uint8_t addr[16];
    uint32_t scope_id;
};

struct lx_sockaddr_nl {
    uint16_t family, pad_;
    uint32_t pid, groups;
};

struct lx_sockaddr_ll {
    uint16_t family, protocol;
    int32_t ifindex;
    uint16_t hatype;
    uint8_t pkttype, halen, addr[8];
};

struct lx_sockaddr_storage {
    uint16_t family;
    uint8_t data[126];
} __attribute__((aligned(8)));

struct lx_msghdr {
    gaddr_t name;
    int32_t namelen;
    uint32_t pad0_;
    gaddr_t iov;
    uint64_t iovlen;
    gaddr_t control;
    uint64_t controllen;
    uint32_t flags, pad1_;
};

struct lx_mmsghdr {
    struct lx_msghdr hdr;
    uint32_t len, pad_;
};

struct lx_cmsghdr { /* and its data; the next one is aligned to 8 */
    uint64_t len;   /* with this header */
    int32_t level, type;
};
#define LX_CMSG_ALIGN(n) (((n) + 7ul) & ~7ul)

struct lx_ucred {
    int32_t pid;
    uint32_t uid, gid;
};

struct lx_linger {
    int32_t onoff, linger;
};

struct lx_ip_mreqn {
    uint32_t multiaddr, address;
    int32_t ifindex;
};

struct lx_ipv6_mreq {
    uint8_t multiaddr[16];
    int32_t ifindex;
};

struct lx_in_pktinfo {
    int32_t ifindex;
    uint32_t spec_dst, addr;
};

struct lx_in6_pktinfo {
    uint8_t addr[16];
    int32_t ifindex;
};

struct lx_ifreq {
    char name[16];
    union {
        struct lx_sockaddr addr;
        int16_t flags;
        int32_t ivalue;
        char newname[16];
        struct {
            uint64_t mem_start, mem_end;
            uint16_t base_addr;
            uint8_t irq, dma, port;
        } map;
        gaddr_t data;
    };
};

struct lx_ifconf {
    int32_t len;
    uint32_t pad_;
    gaddr_t buf;
};

struct lx_tcp_info {
    uint8_t state, ca_state, retransmits, probes, backoff, options, wscale, app_limited;
    uint32_t rto, ato, snd_mss, rcv_mss, unacked, sacked, lost, retrans, fackets;
    uint32_t last_data_sent, last_ack_sent, last_data_recv, last_ack_recv;
    uint32_t pmtu, rcv_ssthresh, rtt, rttvar, snd_ssthresh, snd_cwnd, advmss, reordering;
    uint32_t rcv_rtt, rcv_space, total_retrans;
    uint64_t pacing_rate, max_pacing_rate, bytes_acked, bytes_received;
    uint32_t segs_out, segs_in, notsent_bytes, min_rtt, data_segs_in, data_segs_out;
    uint64_t delivery_rate, busy_time, rwnd_limited, sndbuf_limited;
    uint32_t delivered, delivered_ce;
    uint64_t bytes_sent, bytes_retrans;
    uint32_t dsack_dups, reord_seen, rcv_ooopack, snd_wnd;
};
