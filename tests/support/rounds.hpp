// How often a test repeats itself: as often as it says, and under an emulator, which takes some thirty times
// as long, a part of that. What the architecture changes shows in the first rounds or never.
#pragma once

#include <algorithm>

namespace meterd::testing {

template <class Count>
constexpr Count rounds(Count usual) {
#ifdef METERD_EMULATED
  return std::max<Count>(1, usual / 20);
#else
  return usual;
#endif
}

}  // namespace meterd::testing
