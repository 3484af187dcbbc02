// Keep-alive connections to a unix socket, one request under way on each: how the loads of the HTTP API ask.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace meterd::bench {

// What is asked, and what becomes of the answers.
class Asker {
 public:
  virtual ~Asker() = default;
  // The next request of that connection, valid until its answer. Empty: it asks no more.
  virtual std::string_view next(std::size_t connection) = 0;
  // `status`: the three digits.
  virtual void take(std::size_t connection, std::string_view status, std::string_view body) = 0;
};

// Returns once every connection has ended; how long each answer took.
std::vector<std::int64_t> ask_all(const std::string& path, std::size_t connections, Asker& asker);

}  // namespace meterd::bench
