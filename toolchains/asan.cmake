# cmake -C toolchains/asan.cmake -B build/asan: the second compiler, which alone sees a dropped co_await result and builds
# in half the time, with the address and undefined-behaviour sanitizers. (clang 14 cannot build coroutines with
# -fsanitize=function.)
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
set(CMAKE_CXX_COMPILER clang++-14 CACHE STRING "")
set(CMAKE_C_COMPILER clang-14 CACHE STRING "")
set(CMAKE_CXX_FLAGS_DEBUG
    "-O1 -g1 -fno-omit-frame-pointer -Werror=unused-result -fsanitize=address,undefined -fno-sanitize=function,vptr -fno-sanitize-recover=all"
    CACHE STRING "")
# Tests run once and are compiled each time; what they test runs often.
set(METERD_TEST_FLAGS -O0 CACHE STRING "")
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
# Not mold: GNU ld, which links what ships, takes libraries in their order only.
set(CMAKE_EXE_LINKER_FLAGS "" CACHE STRING "" FORCE)
