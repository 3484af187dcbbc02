// The memory of request bodies: one bound over all connections, and one request's share of it. Not
// thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace meterd::api {

class BodyBudget {
 public:
  explicit BodyBudget(std::size_t most) : most_(most) {}  // bytes, over all shares

  bool take(std::size_t bytes);  // false: there is no room for them, and nothing was taken
  void give_back(std::size_t bytes) { held_ -= bytes; }
  std::size_t held() const { return held_; }

 private:
  std::size_t most_, held_ = 0;
};

// Counts what a body may grow to before it grows. The budget outlives its shares.
class BodyShare {
 public:
  explicit BodyShare(BodyBudget& budget) : budget_(budget) {}
  ~BodyShare() { budget_.give_back(held_); }
  BodyShare(const BodyShare&) = delete;
  BodyShare& operator=(const BodyShare&) = delete;

  void expect(std::size_t most) { most_ = most; }  // what the body can come to, in bytes
  // False: the budget has no room, and the body is as it was. `body.size() + piece.size()` is within
  // expect().
  bool append(std::string& body, std::string_view piece);
  void end(std::string& body);  // empties it; only little memory stays with it, for the next one

 private:
  BodyBudget& budget_;
  std::size_t held_ = 0, most_ = 0;
};

}  // namespace meterd::api
