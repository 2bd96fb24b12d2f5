/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is printed on a terminal: output processing (OPOST), echo, and the ring from which the
 * master takes it. All under tty->lock.
 *
 * Programs leave TTY_OUT_SPARE bytes of the ring to echo; echo that finds no room is lost, as Linux
 * loses it when its echo buffer overflows.
 */
#include <ctype.h>

#include "sentry/fs/tty/tty_priv.h"

static unsigned room(const struct tty *tty)
{
    return TTY_OUT_SIZE - tty_out_count(tty);
}

static void put(struct tty *tty, uint8_t c)
{
    if (room(tty) > 0)
        tty->out[tty->out_head++ & (TTY_OUT_SIZE - 1)] = c;
}

static void put_tab(struct tty *tty)
{
    unsigned spaces = 8 - (tty->column & 7);
    tty->column += spaces;
    if ((tty->tio.c_oflag & TABDLY) != TAB3) {
        put(tty, '\t');
        return;
    }
    while (spaces--)
        put(tty, ' ');
}

static void put_return(struct tty *tty)
{
    if (O_FLAG(tty, ONOCR) && tty->column == 0)
        return;
    if (O_FLAG(tty, OCRNL)) {
        if (O_FLAG(tty, ONLRET))
            tty->canon_column = tty->column = 0;
        put(tty, '\n');
        return;
    }
    tty->canon_column = tty->column = 0;
    put(tty, '\r');
}

static void put_newline(struct tty *tty)
{
    if (O_FLAG(tty, ONLRET))
        tty->column = 0;
    if (O_FLAG(tty, ONLCR)) {
        tty->column = 0;
        put(tty, '\r');
    }
    tty->canon_column = tty->column;
    put(tty, '\n');
}

static bool processes(const struct tty *tty)
{
    return O_FLAG(tty, OPOST) && !tty->host;
}

/* One character with output processing; at most 8 bytes. */
static void put_processed(struct tty *tty, uint8_t c)
{
    if (!processes(tty)) {
        put(tty, c);
        return;
    }
    switch (c) {
    case '\n':
        put_newline(tty);
        return;
    case '\r':
        put_return(tty);
        return;
    case '\t':
        put_tab(tty);
        return;
    case '\b':
        if (tty->column > 0)
            tty->column--;
        break;
    default:
        if (!tty_cntrl(c)) {
            if (O_FLAG(tty, OLCUC))
                c = (uint8_t)toupper(c);
            if (!tty_continuation(tty, c))
                tty->column++;
        }
    }
    put(tty, c);
}

static void wake_master(struct tty *tty)
{
    wq_wake(&tty->master_rd, POLLIN | POLLRDNORM);
}

bool tty_can_print_locked(const struct tty *tty)
{
    return !tty->stopped && room(tty) > TTY_OUT_SPARE;
}

void tty_print_locked(struct tty *tty, const uint8_t *from, size_t n)
{
    assert_locked(&tty->lock);
    for (size_t i = 0; i < n; i++)
        put_processed(tty, from[i]);
    if (n)
        wake_master(tty);
}

void tty_echo_raw_locked(struct tty *tty, uint8_t c)
{
    if (room(tty) < 8)
        return;
    put_processed(tty, c);
    wake_master(tty);
}

void tty_echo_locked(struct tty *tty, uint8_t c)
{
    if (L_FLAG(tty, ECHOCTL) && tty_cntrl(c) && c != '\t') {
        tty_echo_raw_locked(tty, '^');
        tty_echo_raw_locked(tty, c ^ 0100);
    } else {
        tty_echo_raw_locked(tty, c);
    }
}

static void rub_out(struct tty *tty)
{
    tty_echo_raw_locked(tty, '\b');
    tty_echo_raw_locked(tty, ' ');
    tty_echo_raw_locked(tty, '\b');
}

/* A tab is as wide as what stands before it on the line left to it. */
static unsigned tab_width(const struct tty *tty)
{
    unsigned chars = 0;
    bool after_tab = false;
    for (unsigned i = tty->in_head; i != tty->in_canon && !after_tab; i--) {
        uint8_t c = tty->in[(i - 1) & (TTY_IN_SIZE - 1)];
        if (c == '\t')
            after_tab = true;
        else if (tty_cntrl(c))
            chars += L_FLAG(tty, ECHOCTL) ? 2 : 0;
        else if (!tty_continuation(tty, c))
            chars++;
    }
    if (!after_tab)
        chars += tty->canon_column;
    return 8 - (chars & 7);
}

void tty_echo_erase_locked(struct tty *tty, uint8_t c)
{
    if (c == '\t') {
        for (unsigned n = tab_width(tty); n > 0; n--)
            tty_echo_raw_locked(tty, '\b');
        return;
    }
    if (tty_cntrl(c)) {
        if (!L_FLAG(tty, ECHOCTL))
            return;
        rub_out(tty);
    }
    rub_out(tty);
}

size_t tty_peek_locked(struct tty *tty, const uint8_t **ret)
{
    unsigned at = tty->out_tail & (TTY_OUT_SIZE - 1);
    *ret = tty->out + at;
    return MIN(tty_out_count(tty), TTY_OUT_SIZE - at);
}

void tty_taken_locked(struct tty *tty, size_t n)
{
    assert_locked(&tty->lock);
    bool was_full = room(tty) <= TTY_OUT_SPARE;
    tty->out_tail += (unsigned)n;
    if (was_full && tty_can_print_locked(tty))
        wq_wake(&tty->slave_wr, POLLOUT | POLLWRNORM);
}

size_t tty_print_room_locked(const struct tty *tty)
{
    if (!tty_can_print_locked(tty))
        return 0;
    unsigned worst = !processes(tty) ? 1 : (tty->tio.c_oflag & TABDLY) == TAB3 ? 8 : 2;
    return MAX((room(tty) - TTY_OUT_SPARE) / worst, 1u);
}

void tty_flush_output_locked(struct tty *tty)
{
    tty->out_tail = tty->out_head;
    if (tty->pkt) {
        tty->pkt_status |= PKT_FLUSHWRITE;
        wq_wake(&tty->master_rd, POLLPRI | POLLIN | POLLRDNORM);
    }
    wq_wake(&tty->slave_wr, POLLOUT | POLLWRNORM);
}
