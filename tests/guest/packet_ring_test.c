/* SPDX-License-Identifier: Apache-2.0 */
/* PACKET_RX_RING in its three versions, as libpcap uses them. */
#include <poll.h>
#include <sys/mman.h>

#include "packet.h"

static void ring_refusals(int p, int version)
{
    struct tpacket_req3 q = { 4096, 4, 2048, 8, 10, 0, 0 };
    socklen_t n = version == TPACKET_V3 ? sizeof q : sizeof(struct tpacket_req);

    CHECK_ERR(setsockopt(p, SOL_PACKET, PACKET_RX_RING, &q, n - 1), EINVAL);
    q.tp_block_size = 1000;
    CHECK_ERR(setsockopt(p, SOL_PACKET, PACKET_RX_RING, &q, n), EINVAL);
    q.tp_block_size = 4096;
    q.tp_frame_nr = 7;
    CHECK_ERR(setsockopt(p, SOL_PACKET, PACKET_RX_RING, &q, n), EINVAL);
    q.tp_frame_nr = 8;
    q.tp_frame_size = 2040;
    CHECK_ERR(setsockopt(p, SOL_PACKET, PACKET_RX_RING, &q, n), EINVAL);
    q.tp_frame_size = 16;
    CHECK_ERR(setsockopt(p, SOL_PACKET, PACKET_RX_RING, &q, n), EINVAL);
    q.tp_frame_size = 2048;
    q.tp_sizeof_priv = 0xfffffff0u;
    if (version == TPACKET_V3)
        CHECK_ERR(setsockopt(p, SOL_PACKET, PACKET_RX_RING, &q, n), EINVAL);
}

static unsigned char *ring(int p, int version, unsigned tov)
{
    struct tpacket_req3 q = { 4096, 4, 2048, 8, tov, 0, 0 };
    socklen_t n = version == TPACKET_V3 ? sizeof q : sizeof(struct tpacket_req);
    unsigned char *m;

    CHECK_EQ(setsockopt(p, SOL_PACKET, PACKET_VERSION, &version, sizeof version), 0);
    ring_refusals(p, version);
    CHECK_EQ(setsockopt(p, SOL_PACKET, PACKET_RX_RING, &q, n), 0);
    CHECK_ERR(setsockopt(p, SOL_PACKET, PACKET_RX_RING, &q, n), EBUSY);
    CHECK_ERR(setsockopt(p, SOL_PACKET, PACKET_VERSION, &version, sizeof version), EBUSY);
    m = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_SHARED, p, 0);
    CHECK(m != MAP_FAILED);
    CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, p, 0) == MAP_FAILED);
    return m;
}

/* The frame that stands in slot i of a ring of version 1 or 2 is the datagram `text`. */
static void see_frame(int version, unsigned char *f, const char *text)
{
    size_t whole = ETH + 28 + strlen(text);
    struct sockaddr_ll ll;

    if (version == TPACKET_V1) {
        struct tpacket_hdr *h = (void *)f;

        CHECK(__atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER);
        CHECK_EQ(h->tp_len, whole);
        CHECK_EQ(h->tp_snaplen, whole);
        CHECK_EQ(h->tp_net, 80);
        CHECK_EQ(h->tp_mac, 66);
        CHECK(h->tp_sec && h->tp_usec < 1000000);
        CHECK(memcmp(f + h->tp_mac + ETH + 28, text, strlen(text)) == 0);
    } else {
        struct tpacket2_hdr *h = (void *)f;

        CHECK(__atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER);
        CHECK_EQ(h->tp_len, whole);
        CHECK_EQ(h->tp_mac, 66);
        CHECK(memcmp(f + h->tp_mac + ETH + 28, text, strlen(text)) == 0);
    }
    memcpy(&ll, f + 32, sizeof ll);
    CHECK_EQ(ll.sll_family, AF_PACKET);
    CHECK_EQ(ll.sll_protocol, htons(ETH_P_IP));
    CHECK_EQ(ll.sll_pkttype, PACKET_HOST);
}

static void ring_of_frames(int version)
{
    int p = listener(SOCK_RAW, ETH_P_IP), u;
    unsigned char *m = ring(p, version, 0);
    struct pollfd w = { .fd = p, .events = POLLIN };
    struct tpacket_stats st;
    struct sockaddr_in to;
    socklen_t n = sizeof st;

    u = inet(SOCK_DGRAM, &to);
    CHECK_EQ(poll(&w, 1, 0), 0);
    for (int i = 0; i < 9; i++)
        CHECK_EQ(sendto(u, &"123456789"[i], (size_t)(9 - i), 0, (void *)&to, sizeof to), 9 - i);
    CHECK_EQ(poll(&w, 1, 1000), 1);
    for (int i = 0; i < 8; i++)
        see_frame(version, m + i * 2048, &"123456789"[i]);
    CHECK_EQ(getsockopt(p, SOL_PACKET, PACKET_STATISTICS, &st, &n), 0);
    CHECK_EQ(st.tp_packets, 9);
    CHECK_EQ(st.tp_drops, 1); /* the ring was full */
    for (int i = 0; i < 8; i++)
        *(volatile unsigned *)(void *)(m + i * 2048) = TP_STATUS_KERNEL;
    CHECK_EQ(poll(&w, 1, 0), 0);
    CHECK_EQ(sendto(u, "again", 5, 0, (void *)&to, sizeof to), 5);
    see_frame(version, m, "again");
    munmap(m, 16384);
    close(u);
    close(p);
}

static void ring1(void)
{
    ring_of_frames(TPACKET_V1);
}

static void ring2(void)
{
    ring_of_frames(TPACKET_V2);
}

static void ring3(void)
{
    int p = listener(SOCK_RAW, ETH_P_IP), u;
    unsigned char *m = ring(p, TPACKET_V3, 50);
    struct tpacket_block_desc *b = (void *)m;
    struct pollfd w = { .fd = p, .events = POLLIN };
    struct tpacket3_hdr *h;
    struct sockaddr_in to;
    char big[1200] = "big";

    u = inet(SOCK_DGRAM, &to);
    CHECK_EQ(sendto(u, "one", 3, 0, (void *)&to, sizeof to), 3);
    CHECK_EQ(sendto(u, "three", 5, 0, (void *)&to, sizeof to), 5);
    CHECK_EQ(poll(&w, 1, 5000), 1); /* when the time of the block is over */
    CHECK_EQ(b->hdr.bh1.block_status, TP_STATUS_USER | TP_STATUS_BLK_TMO);
    CHECK_EQ(b->version, TPACKET_V3);
    CHECK_EQ(b->offset_to_priv, 48);
    CHECK_EQ(b->hdr.bh1.num_pkts, 2);
    CHECK_EQ(b->hdr.bh1.seq_num, 1);
    CHECK_EQ(b->hdr.bh1.offset_to_first_pkt, 48);
    h = (void *)(m + 48);
    CHECK_EQ(h->tp_len, ETH + 28 + 3);
    CHECK_EQ(h->tp_snaplen, ETH + 28 + 3);
    CHECK_EQ(h->tp_mac, 82);
    CHECK_EQ(h->tp_net, 96);
    CHECK_EQ(h->tp_next_offset, 128);
    CHECK(memcmp((char *)h + h->tp_mac + ETH + 28, "one", 3) == 0);
    h = (void *)((char *)h + h->tp_next_offset);
    CHECK_EQ(h->tp_len, ETH + 28 + 5);
    CHECK_EQ(h->tp_next_offset, 0);
    CHECK(memcmp((char *)h + h->tp_mac + ETH + 28, "three", 5) == 0);
    /* Of these three go into a block: the fourth hands it over. */
    for (int i = 0; i < 4; i++)
        CHECK_EQ(sendto(u, big, sizeof big, 0, (void *)&to, sizeof to), sizeof big);
    b = (void *)(m + 4096);
    CHECK_EQ(b->hdr.bh1.block_status, TP_STATUS_USER);
    CHECK_EQ(b->hdr.bh1.num_pkts, 3 - (b->hdr.bh1.num_pkts == 2));
    munmap(m, 16384);
    close(u);
    close(p);
}

int main(void)
{
    to_own_network(0);
    RUN(ring1);
    RUN(ring2);
    RUN(ring3);
    DONE();
}
