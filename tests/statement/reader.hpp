// Reads a rendered statement back with the tools of poppler-utils.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "agent/statement/statement.hpp"

namespace meterd::test {

// A PDF in a temporary file.
class Pdf {
 public:
  explicit Pdf(const std::string& bytes);
  ~Pdf();
  Pdf(const Pdf&) = delete;
  Pdf& operator=(const Pdf&) = delete;

  std::string text() const;                  // of all pages, laid out as they are
  std::string text(std::size_t page) const;  // of one, from 1
  std::string info() const;
  std::string fonts() const;
  std::size_t pages() const;

  struct Word {
    std::string text;
    double left = 0, top = 0, right = 0, bottom = 0;  // in points
  };
  std::vector<Word> words(std::size_t page) const;

 private:
  std::string run(const std::vector<std::string>& arguments) const;

  std::string path_;
};

// A usage with that quantity as its text.
statement::Line line_of(const std::string& subscription, const std::string& item_price,
                        const std::string& quantity, const std::string& note = "");

// So many usages of two subscriptions with two item prices each, with notes in several scripts.
statement::Statement sample(std::size_t lines);

// The bytes; fails the test if there are none.
std::string rendered(const statement::Statement& statement);

// Without any blanks: how a wrapped text is compared.
std::string without_blanks(const std::string& text);

}  // namespace meterd::test
