# SPDX-License-Identifier: Apache-2.0
#
# container.py COMMAND...: runs it behind a seccomp filter like that of Docker's default profile for a
# container without capabilities: no io_uring, no mounts, no namespaces; clone3 is not there (ENOSYS), and
# a number that the filter's list does not have is refused (EPERM).
import ctypes, os, struct, sys

LD, JEQ, JGE, JSET, RET = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, EPERM, ENOSYS = 0x7FFF0000, 0x50001, 0x50026
refused = [155, 165, 166, 172, 175, 176, 246, 272, 298, 303, 304, 308, 310, 311, 313, 321, 323, 425, 426, 427,
           428, 429, 430, 431, 432, 433, 438, 442]  # mount, unshare, process_vm_*, pidfd_getfd, io_uring_*, ...
code = [(LD, 0, 0, 0)]
for nr in refused:
    code += [(JEQ, 0, 1, nr), (RET, 0, 0, EPERM)]
code += [(JEQ, 0, 1, 435), (RET, 0, 0, ENOSYS)]
code += [(JGE, 0, 1, 463), (RET, 0, 0, EPERM)]
code += [(JEQ, 0, 3, 56), (LD, 0, 0, 16), (JSET, 0, 1, 0x7E020000), (RET, 0, 0, EPERM)]  # clone
code += [(RET, 0, 0, ALLOW)]
data = b"".join(struct.pack("HBBI", *c) for c in code)
buf = ctypes.create_string_buffer(data)
prog = struct.pack("HxxxxxxQ", len(code), ctypes.addressof(buf))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.c_char_p(prog), 0, 0):
    sys.exit("seccomp: " + os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[1], sys.argv[1:])
