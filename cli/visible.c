/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See visible.h. An allow-list: what is not here does not exist inside. In order, parents first.
 * Names of /etc are those that programs and the C library read, and that hold no secret on a usual
 * system; that they are readable by any user is checked again when the gofer opens them.
 */
#include "cli/visible.h"

#include "abi/types.h"

/* clang-format off: tables, laid out by hand */

const struct visible visible_table[] = {
    { "/usr", V_TREE, 0, "programs and libraries" },
    { "/bin", V_TREE, 0, "programs" },
    { "/sbin", V_TREE, 0, "programs" },
    { "/lib", V_TREE, 0, "libraries" },
    { "/lib32", V_TREE, 0, "libraries" },
    { "/lib64", V_TREE, 0, "libraries" },
    { "/libx32", V_TREE, 0, "libraries" },
    { "/etc", V_NAMES, 0, "named files only, see below" },
    { "/proc", V_PROC, 0, "the sandbox's own processes" },
    { "/sys", V_SYSFS, 0, "processors and memory" },
    { "/dev", V_DEV, 0, "null, zero, full, random, tty, pts, shm" },
    { "/tmp", V_EMPTY, 01777, "scratch" },
    { "/var/tmp", V_EMPTY, 01777, "scratch" },
    { "/var/lib/ghc", V_TREE, 0, "the register of Haskell's libraries" },
    { "/run", V_EMPTY, 0755, "scratch" },
};
const unsigned visible_count = ARRAY_SIZE(visible_table);

const char *const visible_etc[] = {
    /* users, names of things */
    "passwd",
    "group",
    "services",
    "protocols",
    "rpc",
    "ethertypes",
    "networks",
    "shells",
    "nsswitch.conf",
    "host.conf",
    "gai.conf",
    "hosts",
    /* the dynamic loader and the C library */
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "locale.conf",
    "localtime",
    "timezone",

    /* the system's name, and what links lead through */
    "os-release",
    "debian_version",
    "lsb-release",
    "redhat-release",
    "alpine-release",
    "alternatives",
    "profile",
    "profile.d",
    "bash.bashrc",
    "bashrc",
    "inputrc",
    "skel",
    "login.defs",
    "terminfo",
    "mime.types",
    "magic",
    "mailcap",
    "papersize",
    "bash_completion",
    "bash_completion.d",
    "dircolors",
    "DIR_COLORS",
    /* public certificates; private keys are not for any user to read */
    "ssl",
    "pki",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    /* languages and tools */
    "python3",
    "python3.9",
    "python3.10",
    "python3.11",
    "python3.12",
    "python3.13",
    "perl",
    "gitconfig",
    "java",
    "java-11-openjdk",
    "java-17-openjdk",
    "java-21-openjdk",
    "maven",
    "fonts",
    "ImageMagick-6",
    "R",
    "php",
    "lua",

    "node",
    "wgetrc",
    "xattr.conf",
    "vim",
    "nanorc",
    "sensors3.conf",
    "mke2fs.conf",
    "matplotlibrc",
    "OpenCL",
    "libreoffice",
};
const unsigned visible_etc_count = ARRAY_SIZE(visible_etc);

const char *const visible_credentials[] = {
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".docker",
    ".oci",
    ".password-store",
    ".pki",
    ".mozilla",
    ".thunderbird",
    ".config/gcloud",
    ".config/gh",
    ".config/google-chrome",
    ".config/chromium",
    ".local/share/keyrings",
    ".vault",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".git-credentials",
    ".terraform.d",
    ".cargo/credentials",
};
const unsigned visible_credentials_count = ARRAY_SIZE(visible_credentials);

const char *const visible_env[] = {
    "TERM",
    "COLORTERM",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "NO_COLOR",
    "FORCE_COLOR",
    "COLUMNS",
    "LINES",
    "PYTHONUNBUFFERED",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONIOENCODING",
};
const unsigned visible_env_count = ARRAY_SIZE(visible_env);
