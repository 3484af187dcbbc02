# cmake -C toolchains/package.cmake -B build/package/ARCH: the release, built for size throughout (platform/package).
include(${CMAKE_CURRENT_LIST_DIR}/release.cmake)
string(REPLACE "-O2" "-Os" for_size "${CMAKE_CXX_FLAGS_RELEASE}")
set(CMAKE_CXX_FLAGS_RELEASE "${for_size}" CACHE STRING "" FORCE)
set(CMAKE_C_FLAGS_RELEASE "${for_size}" CACHE STRING "" FORCE)
set(METERD_TESTS OFF CACHE BOOL "")
