# cmake -C toolchains/release.cmake -B build/release: what ships, built for size but for what all events go through
# (agent/CMakeLists.txt). What nothing calls is left out, and so are the assertions of libraries (meterd has none; the other
# builds keep them). The warning that is off is false for coroutine frames (asan.cmake).
set(CMAKE_BUILD_TYPE Release CACHE STRING "")
set(CMAKE_C_FLAGS_RELEASE "-Os -g1 -DNDEBUG -ffunction-sections -fdata-sections -D_FORTIFY_SOURCE=2 -fstack-protector-strong" CACHE STRING "")
set(CMAKE_CXX_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE} -Wno-mismatched-new-delete" CACHE STRING "")
# At link time once more: a sixth of the daemon's size.
set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON CACHE BOOL "")
include(${CMAKE_CURRENT_LIST_DIR}/together.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
# Not mold: GNU ld packs the relocations of a position-independent program (3 % of the daemon; glibc 2.36 reads them) and
# marks it as such, without which glibc refuses to start it. For ARM it does not, and warns.
set(CMAKE_EXE_LINKER_FLAGS "-Wl,--gc-sections -Wl,-z,pack-relative-relocs" CACHE STRING "" FORCE)
