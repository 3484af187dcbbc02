# cmake -C toolchains/tsan.cmake -B build/tsan: the thread sanitizer.
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1 -fsanitize=thread" CACHE STRING "")
include(${CMAKE_CURRENT_LIST_DIR}/together.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
