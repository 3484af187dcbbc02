// What every text of meterctl keeps to, checked wherever a test renders one.
#pragma once

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "agent/ctl/layout.hpp"
#include "agent/ctl/render.hpp"

namespace meterd::test {

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// The text, checked to be whole lines of at most 80 columns; "ERROR ..." if there is none.
inline std::string text_of(const Result<ctl::Rendered>& rendered) {
  if (!rendered) return "ERROR " + rendered.error().message;
  for (const auto& line : lines_of(rendered->text))
    EXPECT_LE(ctl::width_of(line), ctl::kScreenColumns) << line;
  EXPECT_TRUE(rendered->text.ends_with('\n'));
  return rendered->text;
}

}  // namespace meterd::test
