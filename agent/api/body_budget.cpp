#include "agent/api/body_budget.hpp"

#include <algorithm>

namespace meterd::api {

namespace {
constexpr std::size_t kFirstBytes = 512;
constexpr std::size_t kBytesKept = 4 * 1024;  // of memory, from one request to the next
}  // namespace

bool BodyBudget::take(std::size_t bytes) {
  if (bytes > most_ - held_) return false;
  held_ += bytes;
  return true;
}

// In doublings of what has come, not by what the header promises: who sends nothing holds nothing. The last
// step goes to the promised size at once, since std::string never grows to less than twice of what it has.
bool BodyShare::append(std::string& body, std::string_view piece) {
  const auto needed = body.size() + piece.size();
  if (needed > held_) {
    auto size = std::max({needed, 2 * held_, kFirstBytes});
    if (size > most_ / 2) size = std::max(needed, most_);
    if (!budget_.take(size - held_)) return false;
    held_ = size;
    body.reserve(size);
  }
  body += piece;
  return true;
}

void BodyShare::end(std::string& body) {
  body.clear();
  if (body.capacity() > kBytesKept) body.shrink_to_fit();
  budget_.give_back(held_);
  held_ = 0;
}

}  // namespace meterd::api
