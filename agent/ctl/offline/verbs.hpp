// meterctl's verbs that need no daemon: they work on the journal's directory, under its lock, so that meterd
// is stopped meanwhile. Alone in this folder meterctl reaches the journal.
#pragma once

#include <iosfwd>
#include <string>

#include "agent/ctl/verbs.hpp"

namespace meterd::ctl::offline {

struct Session {
  std::string directory;
  bool json = false;
  std::ostream& out;
  std::ostream& err;
};

// Puts the backup `file` into the directory, which must not hold a journal. The copy is checked as a whole
// before it is in place, and the next start finds it to be a copy.
Exit restore(const Session& session, const std::string& file);

// Looks at every page and record of the directory's journal and says what is damaged, what that affects and
// what to do; changes nothing there. With `salvage_into`, a directory that is empty or not there, makes a
// journal in it from what can be read. Exit::attention if anything is damaged.
Exit fsck(const Session& session, const std::string& salvage_into);

// What a copy of a journal holds, in words; or why it cannot be restored.
Result<std::string> check_copy(const std::string& path);
// The same of a portable one: that it is whole, not that its sums add up, which a restore looks at.
Result<std::string> check_portable(const std::string& path);

}  // namespace meterd::ctl::offline
