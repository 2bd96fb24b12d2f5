/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of names and inodes: what is in them is found while they grow, and goes again. */
#include "fake.h"

#define MANY 100000 /* more than either table has buckets */

static const struct inode_ops no_ops;
static struct inode *inodes[MANY];
static struct dentry *names[MANY];

START_TEST(inodes_are_found)
{
    struct super *sb;
    struct inode *found;

    fake_vfs();
    sb = first_container.root->root->sb;
    for (unsigned n = 0; n < MANY; n++) {
        struct inode *i = inode_new(sb, &no_ops, NULL, S_IFREG | 0644, 1000000 + n);

        ck_assert_ptr_nonnull(i);
        inodes[n] = inode_enter(i);
        ck_assert_ptr_eq(inodes[n], i);
    }
    for (unsigned n = 0; n < MANY; n++) {
        found = inode_find(sb, 1000000 + n);
        ck_assert_ptr_eq(found, inodes[n]);
        inode_put(found);
    }
    for (unsigned n = 0; n < MANY; n++)
        inode_put(inodes[n]);
    for (unsigned n = 0; n < MANY; n += 7)
        ck_assert_ptr_null(inode_find(sb, 1000000 + n));
}
END_TEST

START_TEST(names_are_found)
{
    struct dentry *root, *found;
    char name[32];

    fake_vfs();
    root = first_container.root->root;
    for (unsigned n = 0; n < MANY; n++) {
        struct inode *i = inode_new(root->sb, &no_ops, NULL, S_IFREG | 0644, 0);
        int len = snprintf(name, sizeof name, "name%u", n);

        names[n] = dentry_add(root, name, (size_t)len, i);
        ck_assert_ptr_nonnull(names[n]);
    }
    for (unsigned n = 0; n < MANY; n++) {
        int len = snprintf(name, sizeof name, "name%u", n);

        found = dentry_cached(root, name, (size_t)len);
        ck_assert_ptr_eq(found, names[n]);
        dentry_put(found);
    }
    for (unsigned n = 0; n < MANY; n++) {
        dentry_drop(names[n]);
        dentry_put(names[n]);
    }
    ck_assert_ptr_null(dentry_cached(root, "name7", 5));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("vfs/tables");
    TCase *tc = tcase_create("tables");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, inodes_are_found);
    tcase_add_test(tc, names_are_found);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
