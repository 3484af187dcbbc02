// Where secrets come from. The value goes into Secret and nowhere else.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "agent/app/config.hpp"

namespace meterd::app {

// The whole of a file of at most `size_max` bytes. Code::io, with the path and the reason.
Result<std::string> read_small_file(const std::string& path, std::size_t size_max);

// `kind` is "file", "credential" or "env". One trailing newline is dropped. The error says what to do and
// holds the source only. `warning` is filled where the secret is usable and badly kept.
Result<Secret> read_secret(std::string_view kind, const std::string& name, const ConfigSources& sources,
                           std::string& warning);

}  // namespace meterd::app
