#pragma once

namespace meterd::app {
inline constexpr const char* kVersion = METERD_VERSION;
}
