# SPDX-License-Identifier: Apache-2.0
#
# The program itself is linked with musl where musl-gcc is installed, because of its start: glibc asks
# the processor some hundred questions (CPUID) before main(), each of which leaves a virtual machine.
# That is 0.45 ms of a start that is to take 2. docs/decisions/musl.md has the figures.
#
# Tests and sanitized builds are linked with glibc, as is everything where there is no musl-gcc.
set(SBX_LIBC auto CACHE STRING "what sbx is linked with: auto, musl or glibc")
find_file(SBX_MUSL_SPECS musl-gcc.specs PATHS /usr/lib/x86_64-linux-musl /usr/lib/musl/lib)
set(_musl OFF)
if(NOT SBX_LIBC STREQUAL "glibc" AND NOT SBX_SANITIZE AND NOT SBX_COVERAGE AND SBX_MUSL_SPECS AND
   CMAKE_C_COMPILER_ID STREQUAL "GNU")
  set(_musl ON)
elseif(SBX_LIBC STREQUAL "musl")
  message(FATAL_ERROR "SBX_LIBC=musl needs gcc, musl-gcc (Debian: musl-tools), and no sanitizer")
endif()

# sbx_link(target sources...): a static PIE of all layers.
function(sbx_link target)
  if(NOT _musl)
    add_executable(${target} ${ARGN})
    target_link_libraries(${target} PRIVATE ${SBX_LAYERS})
    if(SBX_SANITIZE)
      target_link_options(${target} PRIVATE -pie)
    else()
      target_link_options(${target} PRIVATE -static-pie)
    endif()
    return()
  endif()
  # musl's headers, and of the host's those of the kernel and of libraries that are but headers.
  set(_inc ${CMAKE_BINARY_DIR}/musl-include)
  file(MAKE_DIRECTORY ${_inc})
  foreach(_name linux asm asm-generic liburing liburing.h xxhash.h jansson.h jansson_config.h ${SBX_UNPACK_HEADERS})
    foreach(_dir /usr/include /usr/include/${CMAKE_C_LIBRARY_ARCHITECTURE})
      if(EXISTS ${_dir}/${_name})
        file(CREATE_LINK ${_dir}/${_name} ${_inc}/${_name} SYMBOLIC)
      endif()
    endforeach()
  endforeach()
  set(_srcs ${ARGN})
  foreach(_layer sbx_abi sbx_platform sbx_gofer sbx_broker sbx_sentry sbx_cli)
    get_target_property(_of_layer ${_layer} SOURCES)
    list(APPEND _srcs ${_of_layer})
  endforeach()
  get_filename_component(_lib ${SBX_MUSL_SPECS} DIRECTORY)
  # Compiled for glibc: what it calls of that alone stands in abi/musl_chk.c.
  find_library(SBX_JANSSON libjansson.a REQUIRED)
  foreach(_name crtbeginS.o crtendS.o libgcc.a libgcc_eh.a)
    execute_process(COMMAND ${CMAKE_C_COMPILER} -print-file-name=${_name} OUTPUT_VARIABLE _of_gcc
                    OUTPUT_STRIP_TRAILING_WHITESPACE)
    set(_${_name} ${_of_gcc})
  endforeach()
  add_executable(${target} ${_srcs})
  # For tools that read the sources one compilation is enough: that of the layers.
  set_target_properties(${target} PROPERTIES EXPORT_COMPILE_COMMANDS OFF)
  target_compile_options(${target} PRIVATE -specs=${SBX_MUSL_SPECS} -isystem ${_inc}
                                           -include ${CMAKE_SOURCE_DIR}/abi/musl.h -fPIE)
  target_compile_definitions(${target} PRIVATE XXH_INLINE_ALL SBX_VERSION="${PROJECT_VERSION}"
                                               SBX_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  # Without the specs, which know no static PIE.
  target_link_options(${target} PRIVATE -nostdlib -nostartfiles -static-pie -L${_lib})
  target_link_libraries(${target} PRIVATE ${_lib}/rcrt1.o ${_lib}/crti.o ${_crtbeginS.o} sbx_blob ${SBX_JANSSON}
                        ${SBX_UNPACK_LIBS}
                        -lc ${_libgcc.a} ${_libgcc_eh.a} ${_crtendS.o} ${_lib}/crtn.o)
endfunction()
