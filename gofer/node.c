/* SPDX-License-Identifier: Apache-2.0 */
/* The table of nodes: numbers with generations, bounded. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "gofer/node.h"

static struct {
    pthread_mutex_t lock;
    struct node **chunks; /* chunks never move: a node's address is good while it is referenced */
    uint32_t used, max;   /* used: high water mark */
    uint32_t free;        /* index + 1 of the first free node */
    unsigned live;
} table = { .lock = PTHREAD_MUTEX_INITIALIZER };

#define CHUNK 256u

int nodes_init(unsigned max)
{
    table.max = max;
    table.used = table.free = table.live = 0;
    table.chunks = calloc((max + CHUNK - 1) / CHUNK, sizeof(*table.chunks));
    return table.chunks ? 0 : -ENOMEM;
}

static struct node *at(uint32_t index)
{
    return &table.chunks[index / CHUNK][index % CHUNK];
}

/* An index that is free, with a node behind it; -1 when there is none. */
static int64_t take_index_locked(void)
{
    if (table.free) {
        uint32_t index = table.free - 1;
        table.free = at(index)->next_free;
        return index;
    }
    if (table.used >= table.max)
        return -1;
    uint32_t index = table.used;
    if (index % CHUNK == 0) {
        table.chunks[index / CHUNK] = calloc(CHUNK, sizeof(struct node));
        if (!table.chunks[index / CHUNK])
            return -1;
    }
    table.used++;
    return index;
}

static uint64_t add(int fd, const struct gofer_export *export, bool is_root, bool is_file,
                    bool is_open)
{
    uint64_t number = 0;

    pthread_mutex_lock(&table.lock);
    int64_t index = take_index_locked();
    if (index >= 0) {
        struct node *n = at((uint32_t)index);
        n->fd = fd;
        n->index = (uint32_t)index;
        n->refs = 1;
        n->gen++;
        n->live = true;
        n->is_root = is_root;
        n->is_file = is_file;
        n->is_open = is_open;
        n->export = export;
        table.live++;
        number = (uint64_t)n->gen << 32 | ((uint64_t)index + 1);
    }
    pthread_mutex_unlock(&table.lock);
    if (!number)
        close(fd);
    return number;
}

uint64_t node_add(int fd, const struct gofer_export *export, bool is_root, bool is_file)
{
    return add(fd, export, is_root, is_file, /* is_open= */ false);
}

uint64_t node_add_open(int fd, const struct gofer_export *export)
{
    return add(fd, export, /* is_root= */ false, /* is_file= */ true, /* is_open= */ true);
}

static struct node *find_locked(uint64_t number)
{
    uint32_t index = (uint32_t)number - 1; /* 0 becomes the highest, which is never used */

    if (index >= table.used)
        return NULL;
    struct node *n = at(index);
    return n->live && n->gen == number >> 32 ? n : NULL;
}

struct node *node_get(uint64_t number)
{
    pthread_mutex_lock(&table.lock);
    struct node *n = find_locked(number);
    if (n)
        n->refs++;
    pthread_mutex_unlock(&table.lock);
    return n;
}

static void put_locked(struct node *n)
{
    if (--n->refs > 0)
        return;
    close(n->fd);
    n->fd = -1;
    n->next_free = table.free;
    table.free = n->index + 1;
}

void node_put(struct node *n)
{
    if (!n)
        return;
    pthread_mutex_lock(&table.lock);
    put_locked(n);
    pthread_mutex_unlock(&table.lock);
}

void node_forget(uint64_t number)
{
    pthread_mutex_lock(&table.lock);
    struct node *n = find_locked(number);
    if (n && !n->is_root) {
        n->live = false;
        table.live--;
        put_locked(n);
    }
    pthread_mutex_unlock(&table.lock);
}

unsigned nodes_live(void)
{
    pthread_mutex_lock(&table.lock);
    unsigned n = table.live;
    pthread_mutex_unlock(&table.lock);
    return n;
}
