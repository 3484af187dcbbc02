// What the callers of the device's Usages API know of the usages that they created and deleted there, and the
// comparison with the bill: what was acknowledged as created, and not as deleted, is there exactly once, as
// it was asked for; what was acknowledged as deleted, or refused, is not there. It is of one mind with the
// oracle: its numbers go into the same verdict.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/oracle.hpp"

namespace meterd::sim {

class UsageBook {
 public:
  using Entry = std::size_t;
  enum class Known {
    nothing,  // not answered yet
    created,
    refused,  // and never made
    deleted,
    perhaps,  // created, and whether it is deleted cannot be known any more
  };
  struct Row {
    BilledRecord wanted;  // its id is empty until it is known
    Known known = Known::nothing;
  };

  Entry want(const BilledRecord& wanted);
  void created(Entry entry, const std::string& id);
  void refused(Entry entry) { rows_[entry].known = Known::refused; }
  void deleted(Entry entry) { rows_[entry].known = Known::deleted; }
  void lose_sight(Entry entry) { rows_[entry].known = Known::perhaps; }
  // An answer that no caller may get.
  void complain(const std::string& what) { complaints_.push_back(what); }

  const std::vector<Row>& rows() const { return rows_; }
  std::uint64_t count(Known known) const;

  // Takes what is the callers' out of `seen`. `kept`: usages whose deletion the upstream refused for good, as
  // the operator is shown.
  void judge(Oracle::Seen& seen, const std::set<std::string>& kept, Oracle::Verdict& out) const;

 private:
  void judge_row(const Row& row, const std::vector<BilledRecord>& found, bool kept,
                 Oracle::Verdict& out) const;

  std::vector<Row> rows_;
  std::vector<std::string> complaints_;
};

}  // namespace meterd::sim
