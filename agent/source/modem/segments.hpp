// How many segments a short message takes, which is what operators bill. Pure. Rules: 3GPP TS 23.038 (the
// GSM 7-bit default alphabet and its extension table) and TS 23.040 (a part of several gives 6 octets of its
// 140 to the header that joins them). Neither a character of two septets nor a surrogate pair is split
// between two parts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace meterd::source {

// At least 1: an empty message is one, too. What is not UTF-8 counts as U+FFFD, byte by byte.
std::uint32_t segments_of_text(std::string_view utf8);
std::uint32_t segments_of_data(std::size_t octets);

}  // namespace meterd::source
