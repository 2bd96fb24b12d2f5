# SPDX-License-Identifier: Apache-2.0
# `cmake --install`: the program, its manual page, completion for three shells. Another program that
# has the name already (Debian's sbx, say) is not overwritten unless -DSBX_OVERWRITE=ON was given.
option(SBX_OVERWRITE "Install over another program named sbx" OFF)

install(CODE "
  set(_target \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}/sbx\")
  if(EXISTS \"\${_target}\" AND NOT \"${SBX_OVERWRITE}\")
    file(STRINGS \"\${_target}\" _marks REGEX \"sbx runs programs under a kernel of its own\"
         LIMIT_COUNT 1)
    if(_marks STREQUAL \"\") # it is not run to be asked
      message(FATAL_ERROR \"\${_target} is another program; to replace it configure with \"
                          \"-DSBX_OVERWRITE=ON, or install elsewhere with --prefix\")
    endif()
  endif()
")
install(TARGETS sbx RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(CODE "
  file(CREATE_LINK sbx \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}/sbx-oci\" SYMBOLIC)
")
if(TARGET sbx-systemd)
  install(TARGETS sbx-systemd RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/sbx)
endif()
install(TARGETS sbx-toml RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/sbx)
install(FILES docs/sbx.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES docs/completions/sbx.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
        RENAME sbx)
install(FILES docs/completions/_sbx DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES docs/completions/sbx.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)

# `cpack --config build/release/CPackConfig.cmake -G DEB`: a package of the same. The program is static.
set(CPACK_PACKAGE_NAME sbx-sandbox) # Debian has another sbx
set(CPACK_PACKAGE_CONTACT "the sbx maintainers <maintainers@sbx.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "runs untrusted programs under a kernel of its own, in user space")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_GENERATOR DEB)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_CONFLICTS sbx)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS diffutils)
include(CPack)
