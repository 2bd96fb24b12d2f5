# SPDX-License-Identifier: Apache-2.0
#
# sbx_unfenced(target): the target, which links ${SBX_LAYERS}, gets copies of all sources that use
# abi/unfenced.h, compiled so that SBX_UNFENCED=word,... leaves fences out. They come before the
# layers' own, which the linker then does not take. For tests only: nothing made so is installed.
option(SBX_UNFENCED "Build sbx-unfenced with the tests: fences can be left out by its environment" ON)

file(GLOB_RECURSE _users CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/abi/*.c ${CMAKE_SOURCE_DIR}/platform/*.c
     ${CMAKE_SOURCE_DIR}/gofer/*.c ${CMAKE_SOURCE_DIR}/broker/*.c ${CMAKE_SOURCE_DIR}/sentry/*.c ${CMAKE_SOURCE_DIR}/cli/*.c ${CMAKE_SOURCE_DIR}/oci/*.c)
set(SBX_UNFENCED_SOURCES)
foreach(_src ${_users})
  file(STRINGS ${_src} _uses REGEX "include \"abi/unfenced\\.h\"" LIMIT_COUNT 1)
  if(_uses)
    list(APPEND SBX_UNFENCED_SOURCES ${_src})
    # A file that ceases to use it is found when it changes; for one that begins to, run cmake.
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${_src})
  endif()
endforeach()

function(sbx_unfenced target)
  target_sources(${target} PRIVATE ${SBX_UNFENCED_SOURCES})
  target_compile_definitions(${target} PRIVATE SBX_UNFENCED=1 SBX_VERSION="${PROJECT_VERSION}"
                                               SBX_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  target_compile_options(${target} PRIVATE -fPIE)
  add_dependencies(${target} sbx_gofer sbx_broker sbx_sentry) # which make the fences' headers
endfunction()

if(SBX_UNFENCED)
  add_executable(sbx-unfenced EXCLUDE_FROM_ALL cli/main.c)
  set_target_properties(sbx-unfenced PROPERTIES EXPORT_COMPILE_COMMANDS OFF)
  target_link_libraries(sbx-unfenced PRIVATE ${SBX_LAYERS})
  sbx_unfenced(sbx-unfenced)
  if(SBX_SANITIZE)
    target_link_options(sbx-unfenced PRIVATE -pie)
  else()
    target_link_options(sbx-unfenced PRIVATE -static-pie)
  endif()
endif()
