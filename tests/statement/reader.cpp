#include "tests/statement/reader.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>  // mkstemp
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "tests/support/child_process.hpp"

namespace meterd::test {
namespace {

// The value of `name="..."` in a line of XML.
std::string attribute(const std::string& line, const std::string& name) {
  const auto start = line.find(" " + name + "=\"") + name.size() + 3;
  return line.substr(start, line.find('"', start) - start);
}

}  // namespace

Pdf::Pdf(const std::string& bytes) : path_(std::filesystem::temp_directory_path() / "statement-XXXXXX") {
  const int file = ::mkstemp(path_.data());
  EXPECT_GE(file, 0);
  ::close(file);
  std::ofstream(path_, std::ios::binary) << bytes;
}

Pdf::~Pdf() { std::filesystem::remove(path_); }

std::string Pdf::run(const std::vector<std::string>& arguments) const {
  ChildProcess child(arguments);
  std::string out;
  while (auto line = child.read_line()) out += *line + "\n";
  EXPECT_EQ(child.wait(), 0) << arguments[0];
  return out;
}

std::string Pdf::text() const { return run({"/usr/bin/pdftotext", "-q", "-layout", path_, "-"}); }

std::string Pdf::text(std::size_t page) const {
  const auto number = std::to_string(page);
  return run({"/usr/bin/pdftotext", "-q", "-layout", "-f", number, "-l", number, path_, "-"});
}

std::string Pdf::info() const { return run({"/usr/bin/pdfinfo", path_}); }

std::string Pdf::fonts() const { return run({"/usr/bin/pdffonts", path_}); }

std::size_t Pdf::pages() const {
  const auto all = info();
  return std::stoul(all.substr(all.find("Pages:") + 6));
}

std::vector<Pdf::Word> Pdf::words(std::size_t page) const {
  const auto number = std::to_string(page);
  std::istringstream xml(run({"/usr/bin/pdftotext", "-q", "-bbox", "-f", number, "-l", number, path_, "-"}));
  std::vector<Word> words;
  for (std::string line; std::getline(xml, line);) {
    if (line.find("<word ") == std::string::npos) continue;
    const auto start = line.find('>') + 1;
    words.push_back({line.substr(start, line.find("</word>") - start), std::stod(attribute(line, "xMin")),
                     std::stod(attribute(line, "yMin")), std::stod(attribute(line, "xMax")),
                     std::stod(attribute(line, "yMax"))});
  }
  return words;
}

statement::Line line_of(const std::string& subscription, const std::string& item_price,
                        const std::string& quantity, const std::string& note) {
  const auto exact = Quantity::parse(quantity);
  EXPECT_TRUE(exact.ok()) << quantity;
  return {subscription, item_price, "2026-11-22 13:45:09 UTC", *exact, quantity, note};
}

statement::Statement sample(std::size_t lines) {
  static const std::array<std::string, 4> kNotes{"", "Größe geprüft", "παράδειγμα", "Передано повторно"};
  statement::Statement statement;
  statement.title = "Usages of invoice inv_1";
  statement.facts = {{"Device", "gw-0042"}, {"Range", "2026-11-01 to 2026-11-30"}};
  for (std::size_t i = 0; i < lines; ++i)
    statement.lines.push_back(line_of("sub_" + std::to_string(i % 2), i % 4 < 2 ? "sms-usd" : "data-usd",
                                      std::to_string(i) + ".25", kNotes[i % kNotes.size()]));
  return statement;
}

std::string rendered(const statement::Statement& statement) {
  auto bytes = statement::render_pdf(statement);
  EXPECT_TRUE(bytes.ok()) << bytes.error().message;
  return bytes ? *std::move(bytes) : std::string();
}

std::string without_blanks(const std::string& text) {
  std::string out;
  std::copy_if(text.begin(), text.end(), std::back_inserter(out),
               [](char c) { return c != ' ' && c != '\n' && c != '\f'; });
  return out;
}

}  // namespace meterd::test
