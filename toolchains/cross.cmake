# Shared by the toolchain files of other architectures, which set METERD_ARCH, METERD_TRIPLET and METERD_EMULATOR:
# Debian's cross compiler against the folder that platform/sysroot makes. Programs that run while building (protoc) are
# this system's own; tests are run by qemu.
set(CMAKE_SYSTEM_NAME Linux)
set(METERD_SYSROOT ${CMAKE_CURRENT_LIST_DIR}/../build/sysroot/${METERD_ARCH} CACHE PATH "Made by platform/sysroot")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES METERD_SYSROOT)
cmake_path(NORMAL_PATH METERD_SYSROOT)
if(NOT EXISTS ${METERD_SYSROOT}/usr/include)
  message(FATAL_ERROR "${METERD_SYSROOT} is not there: run platform/sysroot ${METERD_ARCH}")
endif()
set(CMAKE_SYSROOT ${METERD_SYSROOT})
set(CMAKE_C_COMPILER ${METERD_TRIPLET}-gcc)
set(CMAKE_CXX_COMPILER ${METERD_TRIPLET}-g++)
set(CMAKE_LIBRARY_ARCHITECTURE ${METERD_TRIPLET})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${METERD_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR} ${METERD_SYSROOT}/usr/lib/${METERD_TRIPLET}/pkgconfig:${METERD_SYSROOT}/usr/share/pkgconfig)
set(CMAKE_CROSSCOMPILING_EMULATOR ${METERD_EMULATOR} -L ${METERD_SYSROOT})
# Debian's mold, by the name under which a cross compiler finds it: GNU ld packs relocations (release.cmake) for x86 only.
add_link_options(-B/usr/libexec/mold)
