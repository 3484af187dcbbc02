# cmake -C toolchains/release.cmake -B build/release: what ships.
set(CMAKE_BUILD_TYPE Release CACHE STRING "")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -D_FORTIFY_SOURCE=2 -fstack-protector-strong" CACHE STRING "")
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
