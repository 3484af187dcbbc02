// How often a test repeats itself: as often as it says, and in the builds that take many times as long, under
// an emulator or a sanitizer, a part of that (toolchains/). What they change shows in the first rounds or
// never.
#pragma once

#include <algorithm>

namespace meterd::testing {

template <class Count>
constexpr Count rounds(Count usual) {
#ifdef METERD_ROUNDS_DIVISOR
  return std::max<Count>(1, usual / METERD_ROUNDS_DIVISOR);
#else
  return usual;
#endif
}

}  // namespace meterd::testing
