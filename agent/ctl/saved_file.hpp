// A daemon's answer in a file that is whole or not there: it is written as FILE.part, flushed to the disk and
// checked, and only then gets its name. Whatever goes wrong before leaves a FILE from before as it was. A
// FILE that is none, but a device or a link, is refused before the daemon is asked.
#pragma once

#include <string>

#include "agent/ctl/verbs.hpp"

namespace meterd::ctl {

// Says how many bytes, and what `check` found in them; an error of it is said instead.
Exit save(Session& session, const Request& request, const std::string& file, const CheckCopy& check);

}  // namespace meterd::ctl
