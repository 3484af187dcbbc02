// The portable stream (FORMAT.md): every record of a journal in order, for a machine of any word size. LMDB's
// own file depends on it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "agent/journal/lmdb.hpp"

namespace meterd::journal {

// What `txn` sees, into `fd`. Blocks while the other end does not read; Code::cancelled when that end is
// closed.
Status write_portable(const Transaction& txn, int fd);

// Whether the file begins as such a stream does.
bool is_portable(const std::string& path);

// Reads the stream to its end, and how many records it has. The views live until the function returns; an
// error of it ends the reading. Code::corrupt: it was cut short, or damaged; Code::invalid: of a newer
// meterd. What `take` got is to be believed only once the whole was read.
using TakeRecord = std::function<Status(std::string_view key, std::string_view value)>;
Result<std::uint64_t> read_portable(const std::string& path, const TakeRecord& take = {});

// Makes of the stream a data.mdb for this machine in `directory`, which is there and has none. After an error
// what is in it is no journal.
Status import_portable(const std::string& path, const std::string& directory);

}  // namespace meterd::journal
