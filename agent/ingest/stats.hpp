// What ingest has seen since the process started. Loop thread.
#pragma once

#include <array>
#include <cstdint>

#include "agent/meter/event.hpp"

namespace meterd::ingest {

struct IngestStats {
  std::uint64_t events = 0;      // counted, in every way in
  std::uint64_t duplicates = 0;  // recognised by id or sequence and not counted again
  std::uint64_t sequence_gaps = 0;
  std::array<std::uint64_t, static_cast<std::size_t>(meter::Refusal::kCount)> refused{};
  std::uint64_t datagrams = 0;
  std::uint64_t datagrams_dropped = 0;  // by the kernel: UDP came faster than it was read
  std::uint64_t counter_resets = 0;

  void refuse(meter::Refusal refusal, std::uint64_t count = 1) {
    refused[static_cast<std::size_t>(refusal)] += count;
  }
};

}  // namespace meterd::ingest
