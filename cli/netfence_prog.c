/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs are short, and made here of the kernel's own instructions: why not by libbpf is told in
 * docs/decisions/second-net-fence.md. What they do:
 *
 *   egress    key = destination, IPv4 as v4-mapped      from the packet's header
 *             port = destination port of TCP and UDP, 0 of others
 *             ranges = the longest prefix that has key  a map, which the rules were flattened into
 *             let it pass when one of the ranges has port
 *             let it pass when peers has destination, port and source port
 *   ingress   when it is for a published port: put source, its port and that one into peers
 *             let it pass
 */
#include "cli/netfence_prog.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/types.h"

int netfence_bpf(int cmd, union bpf_attr *a)
{
    int r = (int)syscall(SYS_bpf, cmd, a, sizeof *a);

    return r < 0 ? -errno : r;
}

/* Its stack, from the frame pointer down. */
enum {
    KEY = -24,
    KEY_IP = -20,
    KEY_V4 = -8,
    HEAD = -28,
    HEAD_IHL = -27,
    HEAD_PORT = -26,
    PEER = -48,
    PEER_PORT = -32,
    PEER_OURS = -30
};

#define EXITS_MAX 80
#define PORTS_MAX 64 /* that are compared one by one */

struct exits { /* jumps to one place */
    unsigned at[EXITS_MAX], n;
};

struct prog {
    struct bpf_insn code[512];
    unsigned n;
    struct exits pass, stop, ask;
};

/* BPF_K and BPF_IMM are 0, and not written beside another 0. */
static unsigned op(struct prog *p, unsigned code, unsigned dst, unsigned src, int off, int imm)
{
    p->code[p->n] = (struct bpf_insn){ .code = (uint8_t)code,
                                       .dst_reg = (uint8_t)dst & 15,
                                       .src_reg = (uint8_t)src & 15,
                                       .off = (int16_t)off,
                                       .imm = imm };
    return p->n++;
}

/* A jump that was made, to the next instruction. */
static void here(struct prog *p, unsigned jump)
{
    p->code[jump].off = (int16_t)(p->n - jump - 1);
}

static void land(struct prog *p, const struct exits *e)
{
    for (unsigned i = 0; i < e->n; i++)
        here(p, e->at[i]);
}

static void leave_by(struct exits *e, unsigned jump)
{
    e->at[e->n++] = jump;
}

static void set_imm(struct prog *p, unsigned reg, int v)
{
    op(p, BPF_ALU64 | BPF_MOV | BPF_K, reg, 0, 0, v);
}

static void set_reg(struct prog *p, unsigned reg, unsigned from)
{
    op(p, BPF_ALU64 | BPF_MOV | BPF_X, reg, from, 0, 0);
}

static void store(struct prog *p, int at, uint32_t v)
{
    op(p, BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, at, (int)v);
}

static void stop_if(struct prog *p, unsigned code, unsigned reg, unsigned with, int imm)
{
    leave_by(&p->stop, op(p, BPF_JMP | code, reg, with, 0, imm));
}

/* n bytes of the packet from where r2 says. */
static void load(struct prog *p, int to, int n)
{
    set_reg(p, BPF_REG_1, BPF_REG_6);
    set_reg(p, BPF_REG_3, BPF_REG_10);
    op(p, BPF_ALU64 | BPF_ADD, BPF_REG_3, 0, 0, to);
    set_imm(p, BPF_REG_4, n);
    op(p, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_skb_load_bytes);
    stop_if(p, BPF_JNE | BPF_K, BPF_REG_0, 0, 0);
}

static void load_from(struct prog *p, int from, int to, int n)
{
    set_imm(p, BPF_REG_2, from);
    load(p, to, n);
}

/* An address from there in IPv4's and IPv6's header, and the protocol; where the ports are into r7. */
static void take_headers(struct prog *p, int at_v4, int at_v6)
{
    unsigned v4, both;

    op(p, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_6, offsetof(struct __sk_buff, protocol), 0);
    v4 = op(p, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_2, 0, 0, htons(ETH_P_IP));
    stop_if(p, BPF_JNE | BPF_K, BPF_REG_2, 0, htons(ETH_P_IPV6));
    load_from(p, at_v6, KEY_IP, 16);
    load_from(p, 6, HEAD, 1);
    set_imm(p, BPF_REG_7, 40);
    both = op(p, BPF_JMP | BPF_JA, 0, 0, 0, 0);
    here(p, v4);
    load_from(p, at_v4, KEY_V4, 4);
    load_from(p, 9, HEAD, 1);
    load_from(p, 0, HEAD_IHL, 1);
    op(p, BPF_LDX | BPF_MEM | BPF_B, BPF_REG_7, BPF_REG_10, HEAD_IHL, 0);
    op(p, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_7, 0, 0, 15);
    op(p, BPF_ALU64 | BPF_LSH | BPF_K, BPF_REG_7, 0, 0, 2);
    here(p, both);
}

/* The destination's, into r8. */
static void take_port(struct prog *p)
{
    unsigned tcp, neither;

    set_imm(p, BPF_REG_8, 0);
    op(p, BPF_LDX | BPF_MEM | BPF_B, BPF_REG_2, BPF_REG_10, HEAD, 0);
    tcp = op(p, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_2, 0, 0, IPPROTO_TCP);
    neither = op(p, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_2, 0, 0, IPPROTO_UDP);
    here(p, tcp);
    set_reg(p, BPF_REG_2, BPF_REG_7);
    op(p, BPF_ALU64 | BPF_ADD, BPF_REG_2, 0, 0, 2);
    load(p, HEAD_PORT, 2);
    op(p, BPF_LDX | BPF_MEM | BPF_H, BPF_REG_8, BPF_REG_10, HEAD_PORT, 0);
    op(p, BPF_ALU | BPF_END | BPF_TO_BE, BPF_REG_8, 0, 0, 16);
    here(p, neither);
}

static void look_up(struct prog *p, int map, int key)
{
    op(p, BPF_LD | BPF_DW, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, map);
    op(p, 0, 0, 0, 0, 0);
    set_reg(p, BPF_REG_2, BPF_REG_10);
    op(p, BPF_ALU64 | BPF_ADD, BPF_REG_2, 0, 0, key);
}

static void decide(struct prog *p, int map)
{
    look_up(p, map, KEY);
    op(p, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem);
    leave_by(&p->ask, op(p, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 0, 0));
    for (int i = 0; i < NET_FLAT_RANGES; i++) {
        op(p, BPF_LDX | BPF_MEM | BPF_H, BPF_REG_2, BPF_REG_0, 4 * i, 0);
        leave_by(&p->ask, op(p, BPF_JMP | BPF_JGT | BPF_X, BPF_REG_2, BPF_REG_8, 0, 0));
        op(p, BPF_LDX | BPF_MEM | BPF_H, BPF_REG_2, BPF_REG_0, 4 * i + 2, 0);
        leave_by(&p->pass, op(p, BPF_JMP | BPF_JGE | BPF_X, BPF_REG_2, BPF_REG_8, 0, 0));
    }
    land(p, &p->ask);
}

/* The peer onto the stack: its address is the key's, its port the header's of these two. */
static void take_peer(struct prog *p, int at_port, int at_ours)
{
    stop_if(p, BPF_JEQ | BPF_K, BPF_REG_8, 0, 0);
    for (int i = 0; i < 16; i += 4) {
        op(p, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_1, BPF_REG_10, KEY_IP + i, 0);
        op(p, BPF_STX | BPF_MEM | BPF_W, BPF_REG_10, BPF_REG_1, PEER + i, 0);
    }
    set_reg(p, BPF_REG_2, BPF_REG_7);
    op(p, BPF_ALU64 | BPF_ADD, BPF_REG_2, 0, 0, at_port);
    load(p, PEER_PORT, 2);
    set_reg(p, BPF_REG_2, BPF_REG_7);
    op(p, BPF_ALU64 | BPF_ADD, BPF_REG_2, 0, 0, at_ours);
    load(p, PEER_OURS, 2);
}

/* Goes on where r8 is one of them. With more than are compared, all between the first and the last are. */
static void take_published(struct prog *p, const struct net_publish *pub, unsigned npub)
{
    unsigned least = 65535, most = 0;
    struct exits found = { .n = 0 };

    for (unsigned i = 0; i < npub; i++) {
        least = MIN(least, (unsigned)pub[i].host_port);
        most = MAX(most, (unsigned)pub[i].host_port);
        if (npub <= PORTS_MAX)
            leave_by(&found, op(p, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_8, 0, 0, pub[i].host_port));
    }
    if (npub > PORTS_MAX) {
        stop_if(p, BPF_JGT | BPF_K, BPF_REG_8, 0, (int)most);
        stop_if(p, BPF_JLT | BPF_K, BPF_REG_8, 0, (int)least);
    } else {
        leave_by(&p->stop, op(p, BPF_JMP | BPF_JA, 0, 0, 0, 0));
    }
    land(p, &found);
}

static void begin(struct prog *p)
{
    set_reg(p, BPF_REG_6, BPF_REG_1);
    store(p, KEY, 128);
    store(p, KEY_IP, 0);
    store(p, KEY_IP + 4, 0);
    store(p, KEY_IP + 8, htonl(0xffff));
    store(p, KEY_V4, 0);
    store(p, HEAD, 0);
    for (int i = 0; i < (int)sizeof(struct netfence_peer); i += 4)
        store(p, PEER + i, 0);
}

static void end(struct prog *p, int result)
{
    set_imm(p, BPF_REG_0, result);
    op(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static int load_program(const struct prog *p, const char *name, enum bpf_attach_type type)
{
    union bpf_attr a = { 0 };

    a.prog_type = BPF_PROG_TYPE_CGROUP_SKB;
    a.expected_attach_type = type;
    a.insns = (uintptr_t)p->code;
    a.insn_cnt = p->n;
    a.license = (uintptr_t) "Apache-2.0";
    memcpy(a.prog_name, name, strlen(name));
    return netfence_bpf(BPF_PROG_LOAD, &a);
}

int netfence_egress(int rules, int peers)
{
    struct prog p = { .n = 0 };

    begin(&p);
    take_headers(&p, 16, 24);
    take_port(&p);
    decide(&p, rules);
    if (peers >= 0) {
        take_peer(&p, 2, 0);
        look_up(&p, peers, PEER);
        op(&p, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem);
        leave_by(&p.pass, op(&p, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 0, 0));
    }
    land(&p, &p.stop);
    end(&p, 0);
    land(&p, &p.pass);
    end(&p, 1);
    return load_program(&p, "sbx_net", BPF_CGROUP_INET_EGRESS);
}

int netfence_ingress(int peers, const struct net_publish *pub, unsigned npub)
{
    struct prog p = { .n = 0 };

    begin(&p);
    take_headers(&p, 12, 8);
    take_port(&p);
    take_published(&p, pub, npub);
    take_peer(&p, 0, 2);
    look_up(&p, peers, PEER);
    set_reg(&p, BPF_REG_3, BPF_REG_10);
    op(&p, BPF_ALU64 | BPF_ADD, BPF_REG_3, 0, 0, HEAD); /* any 32 bits */
    set_imm(&p, BPF_REG_4, BPF_ANY);
    op(&p, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_update_elem);
    land(&p, &p.stop);
    end(&p, 1);
    return load_program(&p, "sbx_net_peers", BPF_CGROUP_INET_INGRESS);
}
