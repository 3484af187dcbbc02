// Times the reading of one nftables set, as the nftables source does it: nft_read FAMILY TABLE SET READS, as
// root, in the network namespace of the set. Prints the slowest read, the median, and by how much the process
// grew after the first tenth of the reads; exit 1 beyond the bounds. tests/e2e/nftables_test.py makes the
// set.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "platform/linux/linux.hpp"

namespace {

constexpr long kReadMaxMicroseconds = 50'000;  // of the median: the slowest is others' doing
constexpr long kGrowthMaxKilobytes = 256;

long resident_kilobytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind("VmRSS:", 0) == 0) return std::atol(line.c_str() + 6);
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 5) return std::fputs("usage: nft_read FAMILY TABLE SET READS\n", stderr), 2;
  meterd::platform::NftTarget target;
  const std::string family = arguments[1];
  target.family = family == "ip" ? meterd::platform::NftFamily::ip : meterd::platform::NftFamily::inet;
  target.table = arguments[2];
  target.object = arguments[3];
  const auto reads = static_cast<std::size_t>(std::atol(arguments[4]));
  const auto tables = meterd::platform::make_nft_tables();
  meterd::platform::NftReading reading;
  std::vector<long> took;
  took.reserve(reads);
  long settled = 0;
  for (std::size_t done = 0; done < reads; ++done) {
    if (done == reads / 10) settled = resident_kilobytes();
    const auto began = std::chrono::steady_clock::now();
    const auto read = tables->read(target, reading);
    const auto ended = std::chrono::steady_clock::now();
    if (!read) return std::fprintf(stderr, "%s\n", read.error().message.c_str()), 1;
    took.push_back(
        static_cast<long>(std::chrono::duration_cast<std::chrono::microseconds>(ended - began).count()));
  }
  std::sort(took.begin(), took.end());
  const long median = took[took.size() / 2], slowest = took.back(), growth = resident_kilobytes() - settled;
  std::printf("{\"elements\": %zu, \"median_us\": %ld, \"slowest_us\": %ld, \"growth_kb\": %ld}\n",
              reading.elements.size(), median, slowest, growth);
  return median <= kReadMaxMicroseconds && growth <= kGrowthMaxKilobytes ? 0 : 1;
}
