/* SPDX-License-Identifier: Apache-2.0 */
/* /dev, and character devices by number. */
#pragma once

struct file;
struct inode;
struct task;

/* The device of inode's number, wherever its node lies. -ENXIO: there is none. */
int chrdev_open(struct task *t, struct inode *inode, struct file *f);

/* After devtmpfs_new()'s file system is mounted at path: mounts pts and shm in it. 0 or -errno. */
int dev_mount_inner(const char *path);
