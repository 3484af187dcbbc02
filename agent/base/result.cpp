#include "agent/base/result.hpp"

#include <cstdio>
#include <cstdlib>

namespace meterd {

std::string_view name_of(Code code) {
  switch (code) {
    case Code::retry:
      return "retry";
    case Code::full:
      return "full";
    case Code::corrupt:
      return "corrupt";
    case Code::invalid:
      return "invalid";
    case Code::rejected:
      return "rejected";
    case Code::unauthorised:
      return "unauthorised";
    case Code::cancelled:
      return "cancelled";
    case Code::io:
      return "io";
  }
  return "unknown";
}

void check(bool holds, const char* claim, const char* file, int line) {
  if (holds) return;
  std::fprintf(stderr, "<2>event=invariant_broken claim=\"%s\" file=%s line=%d\n", claim, file, line);
  std::abort();
}

}  // namespace meterd
