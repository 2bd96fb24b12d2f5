# SPDX-License-Identifier: Apache-2.0
#
# sbx-faults: sbx with its host calls and its allocator behind wrappers (inject.c). Dynamic, so that
# only what our own sources call is wrapped, and not what the C library calls itself.
add_executable(sbx-faults EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/cli/main.c faults/inject.c)
target_compile_options(sbx-faults PRIVATE -fPIE)
target_link_libraries(sbx-faults PRIVATE ${SBX_LAYERS})
file(READ ${CMAKE_CURRENT_SOURCE_DIR}/faults/wrapped.def _text)
string(REGEX MATCHALL "SYS_[a-z0-9_]+, [a-z0-9_]+" _calls "${_text}")
set(_options -pie -Wl,-z,now)
foreach(_call ${_calls})
  string(REGEX REPLACE ".*, " "" _name "${_call}")
  list(APPEND _options -Wl,--wrap=${_name})
endforeach()
foreach(_name sentry_main gofer_main malloc calloc realloc strdup free open openat fcntl ioctl prctl
        mremap syscall pthread_create)
  list(APPEND _options -Wl,--wrap=${_name})
endforeach()
target_link_options(sbx-faults PRIVATE ${_options})
