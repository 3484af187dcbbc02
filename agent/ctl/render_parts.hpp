// What the texts of lists have in common.
#pragma once

#include <boost/json/value.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/result.hpp"

namespace meterd::ctl {

using Lines = std::vector<std::string>;

Error misshapen(std::string_view what);

// The rows below `name`; nullopt unless it is an array of objects.
std::optional<std::vector<const boost::json::object*>> rows_in(const boost::json::value& answer,
                                                               std::string_view name);
// A number that counts something: never below zero.
std::size_t how_many(const boost::json::object& object, std::string_view name);
// Seconds since 1970 as RFC 3339; as they are if they are none.
std::string instant_in(const boost::json::object& object, std::string_view name);

void append(Lines& lines, Lines more);

std::string counted(std::uint64_t n, std::string_view one, std::string_view many);
std::string spoken(std::string_view name);  // in_doubt -> in doubt

}  // namespace meterd::ctl
