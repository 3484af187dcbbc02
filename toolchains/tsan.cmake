# cmake -C toolchains/tsan.cmake -B build/tsan: the thread sanitizer.
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
set(CMAKE_CXX_FLAGS_DEBUG "-Og -g1 -fsanitize=thread" CACHE STRING "")
# Tests that try very many cases try fewer (tests/support/rounds.hpp).
set(METERD_TEST_FLAGS -DMETERD_ROUNDS_DIVISOR=4 CACHE STRING "")
include(${CMAKE_CURRENT_LIST_DIR}/together.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
