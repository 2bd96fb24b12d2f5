#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# CPython's own tests of what it asks of the system: the same ones fail.
python=/usr/bin/python3.11
[ -f /usr/lib/python3.11/test/test_os.py ] || { echo "libpython3.11-testsuite is missing"; exit 77; }
for module in test_fcntl test_os test_posix test_resource test_shutil test_signal test_select test_epoll \
    test_poll test_mmap test_pty test_tempfile test_time test_threadsignals test_fork1 test_wait3 \
    test_wait4 test_pathlib test_io test_fileio test_selectors test_ioctl test_glob test_subprocess \
    test_threading test_asyncio.test_subprocess test_faulthandler; do
    skip= # the part of a fresh tmpfs that is used is 0, there as on the host
    [ $module != test_shutil ] || skip='-i test_disk_usage'
    timeout 150 $python -m test -u all,-network,-urlfetch,-cpu,-largefile,-gui -v $skip $module >log 2>&1
    echo "$module $?"
    grep -E '^(FAIL|ERROR):' log | sort
done
rm -f log
