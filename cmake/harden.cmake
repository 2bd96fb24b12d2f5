# SPDX-License-Identifier: Apache-2.0
#
# What the compiler and the linker do against mistakes of ours (docs/decisions/0031-compiled-hard.md has
# the figures). tests/checks/hardened.sh reads the result; what is not here, and why, stands there too.
#
# The stub's blob is compiled by flags of its own (platform/stub/CMakeLists.txt): it has no writable
# data for a canary, and all of it is the guest's anyway.
include(CheckCCompilerFlag)

# Probes each page of a large frame: it cannot jump over a guard page. Locals begin as zero: what lay on
# the stack before is neither used nor copied to a guest.
set(_zero -ftrivial-auto-var-init=zero)
if(CMAKE_C_COMPILER_ID STREQUAL "Clang" AND CMAKE_C_COMPILER_VERSION VERSION_LESS 16)
  add_compile_options(-enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang ${_zero})
endif()
foreach(_flag -fstack-protector-strong -fstack-clash-protection -ftrivial-auto-var-init=zero)
  string(MAKE_C_IDENTIFIER "SBX_HAS${_flag}" _has)
  check_c_compiler_flag(${_flag} ${_has})
  if(${_has})
    add_compile_options(${_flag})
  endif()
endforeach()

if(NOT SBX_SANITIZE)
  # Linux has no forward-edge check in user space, and a shadow stack only with a libc that asks.
  add_compile_options(-fcf-protection=none)
  # An index beyond its array traps. No run-time library is needed; sanitized builds have it whole.
  if(CMAKE_C_COMPILER_ID STREQUAL "Clang")
    set(SBX_BOUNDS -fsanitize=bounds -fsanitize-trap=bounds)
  else()
    set(SBX_BOUNDS -fsanitize=bounds -fsanitize-undefined-trap-on-error)
  endif()
  add_compile_options(${SBX_BOUNDS})
  # musl's headers know nothing of it; where glibc is linked (tests, SBX_LIBC=glibc) it is on.
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()

# Relocations are done and made read-only before main(), also by abi/relro.c; no stack is executable.
add_link_options(-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,separate-code)
