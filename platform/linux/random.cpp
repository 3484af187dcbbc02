#include <sys/random.h>

#include <cerrno>

#include "agent/base/result.hpp"
#include "platform/linux/linux.hpp"

namespace meterd::platform {
namespace {

class LinuxRandom final : public Random {
 public:
  std::uint64_t next() override {
    std::uint64_t value = 0;
    fill(&value, sizeof value);
    return value;
  }
  std::string bytes(std::size_t count) override {
    std::string out(count, '\0');
    fill(out.data(), count);
    return out;
  }

 private:
  static void fill(void* to, std::size_t count) {
    for (std::size_t done = 0; done < count;) {
      const auto n = getrandom(static_cast<char*>(to) + done, count - done, 0);
      check(n > 0 || errno == EINTR, "the kernel gives random bytes");
      if (n > 0) done += static_cast<std::size_t>(n);
    }
  }
};

}  // namespace

std::unique_ptr<Random> make_random() { return std::make_unique<LinuxRandom>(); }

}  // namespace meterd::platform
