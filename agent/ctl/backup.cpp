// meterctl backup: the daemon's copy of the journal, into a file that is whole or not there.
#include "agent/ctl/saved_file.hpp"
#include "agent/ctl/verbs.hpp"

namespace meterd::ctl {

Exit backup(Session& session, const std::string& file, bool portable, const CheckCopy& check) {
  const auto checked = [&](const std::string& path) -> Result<std::string> {
    auto found = check(path);
    if (found) return found;
    return Error{Code::corrupt, "the copy is no good, and " + file +
                                    " is as it was: " + found.error().message + ". Run meterctl verify."};
  };
  const char* const target = portable ? "/operator/backup?form=portable" : "/operator/backup";
  return save(session, {"GET", target, {}, {}}, file, checked);
}

}  // namespace meterd::ctl
