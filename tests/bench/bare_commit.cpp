// The least that a commit can cost: LMDB alone, with the flags that meterd uses (none).
//
//   bare_commit --directory DIR [--keys 1] [--value-bytes 100] [--stored 1000] [--commits 200]
//
// Each commit updates the same `keys` keys of a database that holds `stored`. Prints {"commits",
// "seconds", "p50_us", ..., "bytes_each", "cpu_us_each"}: from the begin of the transaction to the end of its
// commit; bytes from /proc/self/io.
#include <ctime>

#include "tests/bench/store.hpp"
#include "tests/bench/support.hpp"

namespace meterd::bench {
namespace {

// As long as the key of one of meterd's buckets.
std::string key_of(std::size_t number) {
  return "B-day-ledger-" + subscription_name(number) + "-api.call-usd";
}

void fill(Store& store, std::size_t stored, const std::string& value) {
  store.begin();
  for (std::size_t i = 0; i < stored; ++i) (void)store.put_new(key_of(i), value);
  store.commit();
}

std::vector<std::int64_t> commit_often(Store& store, std::int64_t commits, std::size_t keys,
                                       std::string value) {
  std::vector<std::int64_t> took_ns;
  for (std::int64_t n = 0; n < commits; ++n) {
    value[static_cast<std::size_t>(n) % value.size()] ^= 1;
    const auto began = now_ns();
    store.begin();
    for (std::size_t i = 0; i < keys; ++i) {
      (void)store.get(key_of(i));
      store.put(key_of(i), value);
    }
    store.commit();
    took_ns.push_back(now_ns() - began);
  }
  return took_ns;
}

int run(int argc, char** argv) {
  const Options options(argc, argv, {"directory", "keys", "value-bytes", "stored", "commits"});
  const auto commits = options.number("commits", 200);
  const std::string value(static_cast<std::size_t>(options.number("value-bytes", 100)), 'v');
  Store store(options.text("directory"));
  fill(store, static_cast<std::size_t>(options.number("stored", 1'000)), value);
  const auto before = written_bytes();
  const auto cpu_before = std::clock();
  const auto began = now_ns();
  const auto took = commit_often(store, commits, static_cast<std::size_t>(options.number("keys", 1)), value);
  const auto cpu = static_cast<double>(std::clock() - cpu_before) / CLOCKS_PER_SEC;
  const auto seconds = static_cast<double>(now_ns() - began) / 1e9;
  JsonLine()
      .add("commits", static_cast<std::uint64_t>(commits))
      .add("seconds", seconds)
      .add(spread_of(took))
      .add("bytes_each", static_cast<double>(written_bytes() - before) / static_cast<double>(commits))
      .add("cpu_us_each", cpu * 1e6 / static_cast<double>(commits))
      .print();
  return 0;
}

}  // namespace
}  // namespace meterd::bench

int main(int argc, char** argv) { return meterd::bench::run(argc, argv); }
