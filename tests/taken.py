# SPDX-License-Identifier: Apache-2.0
#
# taken.py COMMAND...: runs it as a supervisor does that has itself told of calls by seccomp: behind a filter
# with a listener, beside which a process can have no other. The filter lets all calls pass.
import ctypes, os, struct, sys

NEW_LISTENER, ALLOW = 8, 0x7FFF0000
buf = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, ALLOW))
prog = struct.pack("HxxxxxxQ", 1, ctypes.addressof(buf))
libc = ctypes.CDLL(None, use_errno=True)
fd = -1 if libc.prctl(38, 1, 0, 0, 0) else libc.syscall(317, 1, NEW_LISTENER, ctypes.c_char_p(prog))
if fd < 0:
    sys.exit("seccomp: " + os.strerror(ctypes.get_errno()))
os.set_inheritable(fd, True)  # gone, it would leave the place free
os.execvp(sys.argv[1], sys.argv[1:])
