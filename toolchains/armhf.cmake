# cmake --toolchain toolchains/armhf.cmake -C toolchains/release.cmake -B build/armhf: 32-bit ARM as Debian's armhf, ARMv7
# with a floating-point unit.
set(CMAKE_SYSTEM_PROCESSOR armv7l)
set(METERD_ARCH armhf)
set(METERD_TRIPLET arm-linux-gnueabihf)
set(METERD_EMULATOR qemu-arm-static)
# g++ notes at each such call how it was compiled before GCC 7.
set(CMAKE_CXX_FLAGS_INIT -Wno-psabi)
include(${CMAKE_CURRENT_LIST_DIR}/cross.cmake)
