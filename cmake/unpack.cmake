# SPDX-License-Identifier: Apache-2.0
#
# Libraries that unpack images of file systems (sentry/fs/image/unpack.c), linked statically. One that is
# not there is left out: images that need it are then refused, as by a Linux that was built without.
set(SBX_UNPACK_LIBS)
set(SBX_UNPACK_HEADERS zlib.h zconf.h lz4.h zstd.h zstd_errors.h lzma.h lzma)
set(_missing)
foreach(_name zlib lz4 zstd lzma)
  string(REGEX REPLACE "^z?lib$" "z" _file ${_name})
  string(TOUPPER ${_name} _upper)
  find_path(SBX_${_upper}_HEADER ${_name}.h)
  find_library(SBX_${_upper}_LIBRARY lib${_file}.a)
  if(SBX_${_upper}_HEADER AND SBX_${_upper}_LIBRARY)
    list(APPEND SBX_UNPACK_LIBS ${SBX_${_upper}_LIBRARY})
    set_property(SOURCE sentry/fs/image/unpack.c APPEND PROPERTY COMPILE_DEFINITIONS SBX_WITH_${_upper})
  else()
    list(APPEND _missing ${_name})
  endif()
endforeach()
if(_missing)
  list(JOIN _missing ", " _missing)
  message(STATUS "Images packed by these cannot be mounted, as the libraries are not there: ${_missing}")
endif()
target_link_libraries(sbx_sentry PUBLIC ${SBX_UNPACK_LIBS})
