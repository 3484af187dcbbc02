# cmake -C toolchains/dev.cmake -B build/dev: quick to build, assertions on.
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
set(CMAKE_CXX_FLAGS_DEBUG "-Og -g1" CACHE STRING "")
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
