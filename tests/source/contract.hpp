// What every kind of source must keep, whatever it reads (contract_test.cpp). A new kind adds a Subject of
// its own there: how it is made, and how something happens that it counts.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/source/source.hpp"
#include "tests/source/support.hpp"

namespace meterd::source {

class Subject {
 public:
  virtual ~Subject() = default;
  // A fresh one that goes on from `stored`, at work: its run() is spawned on the bench's loop.
  virtual std::shared_ptr<Source> make(test::Bench& bench, Stored stored) = 0;
  // So many units of sub_1, at the place that it reads; returns once they could be seen.
  virtual void happen(test::Bench& bench, std::uint64_t units) = 0;
  // Its place is not there, or cannot be read; false: that cannot be with this kind.
  virtual bool break_down() { return false; }
  // What the last gap says of so many units that came before a copy was made of its journal, and since then:
  // at most those that it cannot judge, or empty.
  virtual std::string doubt_of(std::uint64_t before, std::uint64_t since) const {
    (void)before;
    return std::to_string(since);
  }
  // False: its cursors go with the copy, and the gap is noted by whoever puts the journal back.
  virtual bool has_cursors_in_a_copy() const { return true; }
  virtual std::string name() const = 0;
  virtual std::string kind() const = 0;
  virtual std::string event() const = 0;
};

struct Kind {
  const char* name;
  std::function<std::unique_ptr<Subject>()> make;
};
inline void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

}  // namespace meterd::source
