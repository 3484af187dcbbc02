# cmake --toolchain toolchains/aarch64.cmake -C toolchains/release.cmake -B build/arm64: 64-bit ARM, any ARMv8.
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(METERD_ARCH arm64)
set(METERD_TRIPLET aarch64-linux-gnu)
set(METERD_EMULATOR qemu-aarch64-static)
include(${CMAKE_CURRENT_LIST_DIR}/cross.cmake)
