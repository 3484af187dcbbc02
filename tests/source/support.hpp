// What a source in a test stands on: a bench's batcher, clock and log, and the seams that a test sets.
#pragma once

#include "agent/source/source.hpp"
#include "tests/ingest/bench.hpp"

namespace meterd::test {

inline source::Dependencies dependencies_of(Bench& bench, platform::Links& links) {
  return {bench.loop().get_executor(),
          bench.loop().get_executor(),
          bench.batcher(),
          bench.clock(),
          bench.log,
          links};
}

// What the bench's journal has of that source.
inline source::Stored stored_of(const Bench& bench, const std::string& name) {
  const auto kept = must(journal::read_sources(bench.journal()));
  source::Stored out;
  out.of_a_copy = kept.of_a_copy;
  if (const auto gaps = kept.gaps.find(name); gaps != kept.gaps.end()) out.gaps = gaps->second;
  for (const auto& [key, cursor] : kept.cursors)
    if (key == name || key.starts_with(name + "/")) out.cursors.emplace(key, cursor);
  return out;
}

}  // namespace meterd::test
