# Included by the builds that nobody edits and rebuilds: reading headers is what takes long, so eight sources at a time are
# compiled together (all but those of apart.cmake). The dev build compiles each by itself, and finds a missing include.
set(CMAKE_UNITY_BUILD ON CACHE BOOL "")
set(CMAKE_UNITY_BUILD_BATCH_SIZE 8 CACHE STRING "")
