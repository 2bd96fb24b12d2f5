/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is typed on a terminal: the input half of the line discipline. One character at a time goes
 * through flow control, signals, mapping and, in canonical mode, line editing, into the input ring;
 * each prints its own echo. All under tty->lock.
 *
 * A full ring stops the typing (the master waits), but in canonical mode without a complete line:
 * then the last character is overwritten, so that a line end always gets in.
 */
#include <ctype.h>
#include <signal.h>
#include <string.h>

#include "sentry/fs/tty/tty_priv.h"

static uint8_t *in_at(struct tty *tty, unsigned pos)
{
    return &tty->in[pos & (TTY_IN_SIZE - 1)];
}

/* Is c the special character x? 0 there means: none. */
static bool is_cc(const struct tty *tty, uint8_t c, int x)
{
    return c != 0 && c == TTY_CC(tty, x);
}

static void in_put(struct tty *tty, uint8_t c, uint8_t kind)
{
    if (tty_in_count(tty) >= TTY_IN_SIZE)
        tty->in_head--; /* no complete line, see can_type */
    *in_at(tty, tty->in_head) = c;
    tty->in_kind[tty->in_head & (TTY_IN_SIZE - 1)] = kind;
    tty->in_head++;
}

static void in_wake(struct tty *tty)
{
    wq_wake(&tty->slave_rd, POLLIN | POLLRDNORM);
}

static void line_end(struct tty *tty, uint8_t c, uint8_t kind)
{
    in_put(tty, c, kind);
    tty->in_canon = tty->in_head;
    in_wake(tty);
}

/* A character for the reader; in the marking mode 0377 is told from a mark by doubling it. */
static void in_data(struct tty *tty, uint8_t c)
{
    if (c == 0377 && I_FLAG(tty, PARMRK))
        in_put(tty, c, IN_PLAIN);
    in_put(tty, c, IN_PLAIN);
    if (!L_FLAG(tty, ICANON))
        in_wake(tty);
}

/* ---- flow and signals ---- */

void tty_start_locked(struct tty *tty)
{
    if (!tty->stopped || tty->tco_stopped)
        return;
    tty->stopped = false;
    if (tty->pkt) {
        tty->pkt_status = (uint8_t)((tty->pkt_status & ~PKT_STOP) | PKT_START);
        wq_wake(&tty->master_rd, POLLPRI | POLLIN | POLLRDNORM);
    }
    wq_wake_all(&tty->slave_wr, POLLOUT | POLLWRNORM);
}

void tty_stop_locked(struct tty *tty)
{
    if (tty->stopped)
        return;
    tty->stopped = true;
    if (tty->pkt) {
        tty->pkt_status = (uint8_t)((tty->pkt_status & ~PKT_START) | PKT_STOP);
        wq_wake(&tty->master_rd, POLLPRI | POLLIN | POLLRDNORM);
    }
}

void tty_flush_input_locked(struct tty *tty)
{
    tty->in_tail = tty->in_canon = tty->in_head;
    tty->lnext = tty->erasing = false;
    if (tty->pkt) {
        tty->pkt_status |= PKT_FLUSHREAD;
        wq_wake(&tty->master_rd, POLLPRI | POLLIN | POLLRDNORM);
    }
    wq_wake_all(&tty->master_wr, POLLOUT | POLLWRNORM);
}

static bool key_flow(struct tty *tty, uint8_t c)
{
    if (!I_FLAG(tty, IXON))
        return false;
    if (is_cc(tty, c, VSTART)) {
        tty_start_locked(tty);
        return true;
    }
    if (is_cc(tty, c, VSTOP)) {
        tty_stop_locked(tty);
        return true;
    }
    if (tty->stopped && I_FLAG(tty, IXANY))
        tty_start_locked(tty);
    return false;
}

static bool key_signal(struct tty *tty, uint8_t c)
{
    if (!L_FLAG(tty, ISIG))
        return false;
    int sig = is_cc(tty, c, VINTR)   ? SIGINT
              : is_cc(tty, c, VQUIT) ? SIGQUIT
              : is_cc(tty, c, VSUSP) ? SIGTSTP
                                     : 0;
    if (!sig)
        return false;
    tty_signal_foreground(tty, sig);
    if (!L_FLAG(tty, NOFLSH)) {
        tty_flush_output_locked(tty);
        tty_flush_input_locked(tty);
    }
    if (I_FLAG(tty, IXON))
        tty_start_locked(tty);
    if (L_FLAG(tty, ECHO))
        tty_echo_locked(tty, c);
    return true;
}

/* ---- editing ---- */

static void finish_erasing(struct tty *tty)
{
    if (tty->erasing) {
        tty_echo_raw_locked(tty, '/');
        tty->erasing = false;
    }
}

/* Takes the last character off, and says which it was and how many bytes; 0: half of one is left. */
static unsigned take_last(struct tty *tty, uint8_t *ret)
{
    unsigned head = tty->in_head;
    uint8_t c;
    do
        c = *in_at(tty, --head);
    while (tty_continuation(tty, c) && head != tty->in_canon);
    if (tty_continuation(tty, c))
        return 0;
    unsigned n = tty->in_head - head;
    tty->in_head = head;
    *ret = c;
    return n;
}

static void echo_erased(struct tty *tty, uint8_t c, unsigned n, bool single)
{
    if (L_FLAG(tty, ECHOPRT)) {
        if (!tty->erasing) {
            tty_echo_raw_locked(tty, '\\');
            tty->erasing = true;
        }
        tty_echo_locked(tty, c);
        for (unsigned i = 1; i < n; i++)
            tty_echo_raw_locked(tty, *in_at(tty, tty->in_head + i));
    } else if (single && !L_FLAG(tty, ECHOE)) {
        tty_echo_locked(tty, TTY_CC(tty, VERASE));
    } else {
        tty_echo_erase_locked(tty, c);
    }
}

/* All at once, where the echo does not rub out. */
static bool kill_line(struct tty *tty)
{
    if (L_FLAG(tty, ECHO) && L_FLAG(tty, ECHOK) && L_FLAG(tty, ECHOKE) && L_FLAG(tty, ECHOE))
        return false;
    tty->in_head = tty->in_canon;
    if (!L_FLAG(tty, ECHO))
        return true;
    finish_erasing(tty);
    tty_echo_locked(tty, TTY_CC(tty, VKILL));
    if (L_FLAG(tty, ECHOK))
        tty_echo_raw_locked(tty, '\n');
    return true;
}

static bool key_erase(struct tty *tty, uint8_t key)
{
    bool one = is_cc(tty, key, VERASE), line = is_cc(tty, key, VKILL);
    bool word = is_cc(tty, key, VWERASE) && L_FLAG(tty, IEXTEN), seen = false;
    if (!one && !line && !word)
        return false;
    if (tty->in_head == tty->in_canon || (!one && line && kill_line(tty)))
        return true;
    word = word && !one && !line;
    while (tty->in_head != tty->in_canon) {
        unsigned before = tty->in_head;
        uint8_t c = 0;
        unsigned n = take_last(tty, &c);
        if (n == 0)
            break;
        bool letter = isalnum(c) || c == '_' || c >= 0x80;
        if (word && seen && !letter) {
            tty->in_head = before;
            break;
        }
        seen |= letter;
        if (L_FLAG(tty, ECHO))
            echo_erased(tty, c, n, one);
        if (one)
            break;
    }
    if (tty->in_head == tty->in_canon && L_FLAG(tty, ECHO))
        finish_erasing(tty);
    return true;
}

static void echo_data(struct tty *tty, uint8_t c)
{
    if (!L_FLAG(tty, ECHO))
        return;
    finish_erasing(tty);
    if (c == '\n') {
        tty_echo_raw_locked(tty, c);
        return;
    }
    if (tty->in_canon == tty->in_head)
        tty->canon_column = tty->column;
    tty_echo_locked(tty, c);
}

static void reprint(struct tty *tty, uint8_t key)
{
    finish_erasing(tty);
    tty_echo_locked(tty, key);
    tty_echo_raw_locked(tty, '\n');
    for (unsigned i = tty->in_canon; i != tty->in_head; i++)
        tty_echo_locked(tty, *in_at(tty, i));
}

/* true: the character was used up. */
static bool key_canonical(struct tty *tty, uint8_t c)
{
    if (key_erase(tty, c))
        return true;
    if (L_FLAG(tty, IEXTEN) && is_cc(tty, c, VLNEXT)) {
        tty->lnext = true;
        if (L_FLAG(tty, ECHO)) {
            finish_erasing(tty);
            if (L_FLAG(tty, ECHOCTL)) {
                tty_echo_raw_locked(tty, '^');
                tty_echo_raw_locked(tty, '\b');
            }
        }
        return true;
    }
    if (L_FLAG(tty, IEXTEN) && L_FLAG(tty, ECHO) && is_cc(tty, c, VREPRINT)) {
        reprint(tty, c);
        return true;
    }
    if (c == '\n') {
        if (L_FLAG(tty, ECHO) || L_FLAG(tty, ECHONL))
            tty_echo_raw_locked(tty, '\n');
        line_end(tty, c, IN_EOL);
        return true;
    }
    if (is_cc(tty, c, VEOF)) {
        line_end(tty, 0, IN_EOF);
        return true;
    }
    if (is_cc(tty, c, VEOL) || (is_cc(tty, c, VEOL2) && L_FLAG(tty, IEXTEN))) {
        echo_data(tty, c);
        if (c == 0377 && I_FLAG(tty, PARMRK))
            in_put(tty, c, IN_PLAIN);
        line_end(tty, c, IN_EOL);
        return true;
    }
    return false;
}

/* ---- one character ---- */

static void type_one(struct tty *tty, uint8_t c)
{
    if (I_FLAG(tty, ISTRIP))
        c &= 0x7f;
    if (I_FLAG(tty, IUCLC) && L_FLAG(tty, IEXTEN))
        c = (uint8_t)tolower(c);
    if (tty->lnext) {
        tty->lnext = false;
        echo_data(tty, c);
        in_data(tty, c);
        return;
    }
    if (key_flow(tty, c) || key_signal(tty, c))
        return;
    if (c == '\r') {
        if (I_FLAG(tty, IGNCR))
            return;
        if (I_FLAG(tty, ICRNL))
            c = '\n';
    } else if (c == '\n' && I_FLAG(tty, INLCR)) {
        c = '\r';
    }
    if (L_FLAG(tty, ICANON) && key_canonical(tty, c))
        return;
    echo_data(tty, c);
    in_data(tty, c);
}

static bool can_type(const struct tty *tty)
{
    unsigned count = tty_in_count(tty);
    if (count < TTY_IN_SIZE - 1)
        return true;
    return L_FLAG(tty, ICANON) && tty->in_canon == tty->in_tail;
}

size_t tty_type_room_locked(const struct tty *tty)
{
    if (!can_type(tty))
        return 0;
    unsigned count = tty_in_count(tty);
    return MAX((TTY_IN_SIZE - MIN(count, TTY_IN_SIZE)) / 2, 1u); /* PARMRK may make two of one */
}

size_t tty_type_locked(struct tty *tty, const uint8_t *from, size_t n)
{
    assert_locked(&tty->lock);
    size_t i = 0;
    for (; i < n && can_type(tty); i++)
        type_one(tty, from[i]);
    return i;
}

void tty_typed_locked(struct tty *tty, const uint8_t *from, size_t n)
{
    assert_locked(&tty->lock);
    bool canonical = L_FLAG(tty, ICANON);
    n = MIN(n, (size_t)(TTY_IN_SIZE - tty_in_count(tty)));
    if (n == 0 && canonical && tty_in_count(tty) < TTY_IN_SIZE)
        line_end(tty, 0, IN_EOF);
    for (size_t i = 0; i < n; i++) {
        if (canonical && i + 1 == n)
            line_end(tty, from[i], IN_EOL); /* perhaps not all of the line: no more was wanted */
        else
            in_put(tty, from[i], IN_PLAIN);
    }
    in_wake(tty);
}

/* What was typed under the old settings is read under the new ones: as one unfinished line. */
static void canonical_changed(struct tty *tty)
{
    memset(tty->in_kind, IN_PLAIN, sizeof tty->in_kind);
    tty->lnext = tty->erasing = false;
    if (!L_FLAG(tty, ICANON) || tty_in_count(tty) == 0) {
        tty->in_canon = tty->in_tail;
        return;
    }
    tty->in_kind[(tty->in_head - 1) & (TTY_IN_SIZE - 1)] = IN_EOL;
    tty->in_canon = tty->in_head;
}

void tty_settings_changed_locked(struct tty *tty, const struct lx_termios2 *old)
{
    if ((old->c_lflag ^ tty->tio.c_lflag) & ICANON)
        canonical_changed(tty);
    if (!I_FLAG(tty, IXON) && (old->c_iflag & IXON))
        tty_start_locked(tty);
    if (tty->pkt) {
        bool was = (old->c_iflag & IXON) && old->c_cc[VSTART] == 021 && old->c_cc[VSTOP] == 023;
        bool is = I_FLAG(tty, IXON) && TTY_CC(tty, VSTART) == 021 && TTY_CC(tty, VSTOP) == 023;
        if (was != is) {
            tty->pkt_status &= (uint8_t) ~(PKT_DOSTOP | PKT_NOSTOP);
            tty->pkt_status |= is ? PKT_DOSTOP : PKT_NOSTOP;
            wq_wake(&tty->master_rd, POLLPRI | POLLIN | POLLRDNORM);
        }
    }
    wq_wake_all(&tty->slave_rd, POLLIN | POLLRDNORM);
    wq_wake_all(&tty->slave_wr, POLLOUT | POLLWRNORM);
    wq_wake_all(&tty->master_wr, POLLOUT | POLLWRNORM);
}
