# SPDX-License-Identifier: Apache-2.0
#
# sbx-faults: sbx with its host calls and its allocator behind wrappers (inject.c). Dynamic, so that
# only what our own sources call is wrapped, and not what the C library calls itself.
add_executable(sbx-faults EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/cli/main.c faults/inject.c)
target_compile_options(sbx-faults PRIVATE -fPIE)
target_link_libraries(sbx-faults PRIVATE ${SBX_LAYERS})
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS faults/wrapped.def)
file(READ ${CMAKE_CURRENT_SOURCE_DIR}/faults/wrapped.def _text)
string(REGEX MATCHALL "SYS_[a-z0-9_]+, [a-z0-9_]+" _calls "${_text}")
set(_options -pie -Wl,-z,now)
foreach(_call ${_calls})
  string(REGEX REPLACE ".*, " "" _name "${_call}")
  list(APPEND _options -Wl,--wrap=${_name})
endforeach()
foreach(_name sentry_main gofer_main malloc calloc realloc strdup free open openat fcntl ioctl prctl epoll_ctl
        mremap kzalloc krealloc kmemdup kstrdup syscall pthread_create)
  list(APPEND _options -Wl,--wrap=${_name})
endforeach()
target_link_options(sbx-faults PRIVATE ${_options})
add_executable(faults-work EXCLUDE_FROM_ALL faults/work.c)
target_compile_options(faults-work PRIVATE -fno-sanitize=all)
target_link_options(faults-work PRIVATE -fno-sanitize=all -static -pthread)
add_dependencies(tests sbx-faults faults-work)

# faults/sample: a few of the combinations, others each time (it prints the seed); faults/all: each one.
add_test(NAME faults/sample COMMAND python3 ${CMAKE_CURRENT_SOURCE_DIR}/faults/faults.py
         $<TARGET_FILE:sbx-faults> $<TARGET_FILE:faults-work> --sample 12 --seconds 60)
add_test(NAME faults/all COMMAND python3 ${CMAKE_CURRENT_SOURCE_DIR}/faults/faults.py
         $<TARGET_FILE:sbx-faults> $<TARGET_FILE:faults-work> --seconds 60)
set_tests_properties(faults/sample PROPERTIES TIMEOUT 300 LABELS faults)
set_tests_properties(faults/all PROPERTIES TIMEOUT 7200 LABELS slow RUN_SERIAL ON)
