# The Debian packages: `cpack --config build/NAME/CPackConfig.cmake -B DIRECTORY` makes them of whatever is built there;
# platform/package builds what ships. CPack lays the files of each component into a folder of its own, and `pack` makes
# packages of those: CPack 3.25's own generator knows no Multi-Arch and no triggers, and its debug packages fail lintian.
file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/changelog changed LIMIT_COUNT 1)
if(NOT changed MATCHES "^meterd \\(${PROJECT_VERSION}\\) ")
  message(FATAL_ERROR "platform/debian/changelog begins with \"${changed}\": wanted is version ${PROJECT_VERSION}")
endif()

set(CPACK_GENERATOR External)
set(CPACK_EXTERNAL_ENABLE_STAGING ON)
set(CPACK_EXTERNAL_PACKAGE_SCRIPT ${CMAKE_CURRENT_LIST_DIR}/external.cmake)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_COMPONENTS_ALL meterd libmeter libmeter-dev)
set(CPACK_COMPONENTS_GROUPING IGNORE)
# For `pack`.
set(CPACK_METERD_SOURCE ${PROJECT_SOURCE_DIR})
set(CPACK_METERD_TRIPLET ${CMAKE_LIBRARY_ARCHITECTURE})
set(CPACK_METERD_OBJCOPY ${CMAKE_OBJCOPY})
set(CPACK_METERD_SYSROOT "${CMAKE_SYSROOT}")
include(CPack)
