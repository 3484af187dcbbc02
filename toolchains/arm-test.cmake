# cmake --toolchain toolchains/ARCH.cmake -C toolchains/arm-test.cmake -B build/arm-test-ARCH: quick to cross-build, for the
# tests (tests/run arm). Nobody debugs it.
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
set(CMAKE_CXX_FLAGS_DEBUG "-Og -g0" CACHE STRING "")
# Tests that try very many cases try fewer (tests/support/rounds.hpp), and that their numbers may be wider than a word of 32
# bits matters to none.
set(METERD_TEST_FLAGS -DMETERD_ROUNDS_DIVISOR=20 -Wno-error=conversion CACHE STRING "")
include(${CMAKE_CURRENT_LIST_DIR}/together.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
# Not mold: the cross compiler looks for one of its own.
set(CMAKE_EXE_LINKER_FLAGS_INIT "" CACHE STRING "" FORCE)
set(CMAKE_EXE_LINKER_FLAGS "" CACHE STRING "" FORCE)
# Not here: manual, systemd, golden, e2e, sdk. They read texts, or drive the programs at length; what the architecture may change
# of that is in arm.
set(METERD_TEST_PARTS base meter journal ingest source upstream flush usages statement api app core ctl power sim arm
    CACHE STRING "")
