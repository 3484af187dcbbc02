# cmake -C toolchains/clang.cmake -B build/clang: the second compiler; it alone sees a dropped co_await result.
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
set(CMAKE_CXX_COMPILER clang++-14 CACHE STRING "")
set(CMAKE_C_COMPILER clang-14 CACHE STRING "")
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -Werror=unused-result" CACHE STRING "")
include(${CMAKE_CURRENT_LIST_DIR}/together.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
# Not mold: GNU ld, which links what ships, takes libraries in their order only.
set(CMAKE_EXE_LINKER_FLAGS "" CACHE STRING "" FORCE)
