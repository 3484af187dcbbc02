// Reading the daemon's JSON without trusting its shape: an absent member, null or another type is a dash,
// zero or empty, so that a meterctl of one version shows what it can of a meterd of another. Texts come out
// clean.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <string>
#include <string_view>

namespace meterd::ctl {

// A string or a whole number as text; "-" otherwise.
std::string text_in(const boost::json::object& object, std::string_view name);
// "" instead of "-".
std::string text_or_empty(const boost::json::object& object, std::string_view name);
std::int64_t number_in(const boost::json::object& object, std::string_view name);
bool flag_in(const boost::json::object& object, std::string_view name);
const boost::json::object& object_in(const boost::json::object& object, std::string_view name);
const boost::json::array& array_in(const boost::json::object& object, std::string_view name);
// The elements that are strings, clean, with ", " between them.
std::string list_in(const boost::json::object& object, std::string_view name);

const boost::json::object& as_object(const boost::json::value& value);  // empty if it is none

}  // namespace meterd::ctl
