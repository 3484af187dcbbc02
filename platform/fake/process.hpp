// A process whose use of the system a test sets.
#pragma once

#include "platform/process.hpp"

namespace meterd::platform {

class FakeProcess final : public Process {
 public:
  ProcessUse use() const override { return now; }
  ProcessUse now;
};

}  // namespace meterd::platform
