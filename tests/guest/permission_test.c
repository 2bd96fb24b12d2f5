/* SPDX-License-Identifier: Apache-2.0 */
/* Who may do what: a child without privileges tries, root has prepared. */
#include <grp.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "scratch.h"

#define USER 1234
#define GROUP 1235

static void prepare(void)
{
    umask(0);
    CHECK_EQ(chmod(".", 0755), 0);
    CHECK_EQ(mkdir("closed", 0700), 0);
    put_text("closed/f", "x");
    CHECK_EQ(mkdir("enter", 0711), 0);
    put_text("enter/f", "seen");
    CHECK_EQ(mkdir("list", 0744), 0);
    put_text("list/f", "x");
    CHECK_EQ(mkdir("sticky", 01777), 0);
    put_text("sticky/root", "x");
    CHECK_EQ(mkdir("open", 0777), 0);
    put_text("open/root", "x");
    put_text("group", "g");
    CHECK_EQ(chown("group", 0, GROUP), 0);
    CHECK_EQ(chmod("group", 0640), 0);
    put_text("mine", "m");
    CHECK_EQ(chown("mine", USER, 0), 0);
    CHECK_EQ(chmod("mine", 0400), 0);
    put_text("nothing", "n"); /* the owner's bits count, though others would have more */
    CHECK_EQ(chown("nothing", USER, 0), 0);
    CHECK_EQ(chmod("nothing", 0077), 0);
    CHECK_EQ(mkdir("setgid", 02777), 0);
    CHECK_EQ(chown("setgid", 0, 55), 0);
    CHECK_EQ(chmod("setgid", 02777), 0);
}

static void look(void)
{
    struct stat st;

    CHECK_ERR(stat("closed/f", &st), EACCES);
    CHECK_ERR(open("closed", O_RDONLY), EACCES);
    CHECK_EQ(close(open("closed", O_PATH)), 0);
    CHECK_TEXT("enter/f", "seen");
    CHECK_ERR(open("enter", O_RDONLY | O_DIRECTORY), EACCES);
    CHECK_EQ(close(open("list", O_RDONLY | O_DIRECTORY)), 0);
    CHECK_ERR(stat("list/f", &st), EACCES);
    CHECK_ERR(chdir("list"), EACCES);
    CHECK_TEXT("group", "g");
    CHECK_ERR(open("group", O_WRONLY), EACCES);
    CHECK_TEXT("mine", "m");
    CHECK_ERR(open("mine", O_WRONLY), EACCES);
    CHECK_ERR(open("mine", O_RDONLY | O_TRUNC), EACCES);
    CHECK_ERR(open("nothing", O_RDONLY), EACCES);
    CHECK_ERR(access("nothing", R_OK), EACCES);
    CHECK_ERR(open("group", O_RDONLY | O_NOATIME), EPERM);
}

static void change(void)
{
    CHECK_ERR(open("new", O_CREAT | O_WRONLY, 0600), EACCES);
    CHECK_ERR(mkdir("new", 0700), EACCES);
    CHECK_ERR(symlink("x", "new"), EACCES);
    CHECK_ERR(unlink("mine"), EACCES);
    CHECK_ERR(rename("mine", "x"), EACCES);
    CHECK_ERR(mknod("open/dev", S_IFCHR | 0600, 0x103), EPERM);
    CHECK_ERR(unlink("sticky/root"), EPERM);
    CHECK_ERR(rename("sticky/root", "sticky/x"), EPERM);
    put_text("sticky/own", "x");
    CHECK_ERR(rename("sticky/own", "sticky/root"), EPERM);
    CHECK_EQ(unlink("sticky/own"), 0);
    CHECK_EQ(unlink("open/root"), 0);
    CHECK_ERR(chroot("."), EPERM);
    CHECK_ERR(rmdir("enter"), EACCES);
}

static void attributes(void)
{
    struct timespec ts[2] = { { 1, 0 }, { 1, 0 } };
    struct stat st;

    CHECK_ERR(chmod("group", 0777), EPERM);
    CHECK_ERR(chown("group", USER, -1), EPERM);
    CHECK_ERR(chown("mine", 0, -1), EPERM);
    CHECK_ERR(chown("mine", -1, 77), EPERM);
    CHECK_EQ(chown("mine", USER, GROUP), 0); /* a group of ours */
    CHECK_EQ(chmod("mine", 02666), 0);
    CHECK_EQ(stat("mine", &st), 0);
    CHECK_EQ(st.st_mode & 07777, 02666);
    CHECK_ERR(utimensat(AT_FDCWD, "group", ts, 0), EPERM);
    CHECK_ERR(utimensat(AT_FDCWD, "group", NULL, 0), EACCES);
    CHECK_EQ(utimensat(AT_FDCWD, "mine", ts, 0), 0);
    CHECK_ERR(truncate("group", 0), EACCES);
    CHECK_EQ(chmod("mine", 04777), 0);
    put_text("mine", "w"); /* writing takes the set-id bit */
    CHECK_EQ(stat("mine", &st), 0);
    CHECK_EQ(st.st_mode & 07777, 0777);
    CHECK_ERR(setxattr("mine", "trusted.x", "v", 1, 0), EPERM);
    CHECK_ERR(setxattr("group", "user.x", "v", 1, 0), EACCES);
}

static void inherited(void)
{
    struct stat st;

    put_text("setgid/f", "x");
    CHECK_EQ(stat("setgid/f", &st), 0);
    CHECK_EQ(st.st_gid, 55);
    CHECK_EQ(mkdir("setgid/d", 0755), 0);
    CHECK_EQ(stat("setgid/d", &st), 0);
    CHECK_EQ(st.st_gid, 55);
    CHECK_EQ(st.st_mode & 07777, 02755);
}

/* A program of the directory's group is not to be had by a umask that hides what it is. */
static void set_group(void)
{
    struct stat st;
    mode_t old = umask(S_IXGRP);

    CHECK_EQ(close(open("setgid/prog", O_CREAT | O_WRONLY, 02777)), 0);
    CHECK_EQ(stat("setgid/prog", &st), 0);
    CHECK_EQ(st.st_mode & 07777, 0767);
    CHECK_EQ(mknod("setgid/fifo", S_IFIFO | 02777, 0), 0);
    CHECK_EQ(stat("setgid/fifo", &st), 0);
    CHECK_EQ(st.st_mode & 07777, 0767);
    umask(old);
    CHECK_EQ(close(open("setgid/data", O_CREAT | O_WRONLY, 02644)), 0); /* no program: a mark */
    CHECK_EQ(stat("setgid/data", &st), 0);
    CHECK_EQ(st.st_mode & S_ISGID, S_ISGID);
}

int main(void)
{
    gid_t group = GROUP;
    int status = 0;
    pid_t pid;

    if (geteuid() != 0)
        SKIP("needs root");
    scratch_begin();
    RUN(prepare);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        if (setgroups(1, &group) < 0 || setgid(USER) < 0 || setuid(USER) < 0)
            _exit(77);
        RUN(look);
        RUN(change);
        RUN(attributes);
        RUN(inherited);
        RUN(set_group);
        fflush(stdout);
        _exit(guest_failures != 0);
    }
    CHECK(pid > 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    scratch_end();
    DONE();
}
