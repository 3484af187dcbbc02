# cmake -C toolchains/asan.cmake -B build/asan: address and undefined-behaviour sanitizers.
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
set(CMAKE_CXX_FLAGS_DEBUG "-Og -g1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all" CACHE STRING "")
# g++ 12 warns of a mismatched delete in coroutine frames with this sanitizer, and of an empty optional's value as
# uninitialised: false positives. The dev build keeps both warnings, the release build the second.
set(CMAKE_CXX_FLAGS "-Wno-mismatched-new-delete -Wno-maybe-uninitialized" CACHE STRING "")
# Tests that try very many cases try fewer (tests/support/rounds.hpp).
set(METERD_TEST_FLAGS -DMETERD_ROUNDS_DIVISOR=4 CACHE STRING "")
include(${CMAKE_CURRENT_LIST_DIR}/together.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
