// What a core in a test stands on: a disk that suits, links that a test sets, a log that is kept, a temporary
// directory, and the vendor's answers as values. Hand-written fakes of platform's seams.
#pragma once

#include <map>
#include <string>

#include "agent/base/log.hpp"
#include "agent/upstream/http.hpp"
#include "platform/disk.hpp"
#include "platform/links.hpp"
#include "platform/random.hpp"

namespace meterd::testing {

upstream::HttpResponse json_answer(unsigned status, const std::string& body);
upstream::HttpResponse vendor_error(unsigned status, const std::string& code);
// The fields of an application/x-www-form-urlencoded body.
std::map<std::string, std::string> form_fields(const std::string& body);

class QuietRandom final : public platform::Random {
 public:
  explicit QuietRandom(std::uint64_t state = 7) : state_(state) {}
  std::uint64_t next() override { return state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL; }
  std::string bytes(std::size_t count) override {
    return std::string(count, static_cast<char>('a' + next() % 26));
  }

 private:
  std::uint64_t state_;
};

class AnyDisk final : public platform::Disk {
 public:
  Status suits_journal(const std::string&) const override { return {}; }
};

class FakeLinks final : public platform::Links {
 public:
  std::map<std::string, platform::LinkSample> links;
  Result<platform::LinkSample> sample(const std::string& name) override {
    const auto found = links.find(name);
    if (found == links.end()) return Error{Code::rejected, "there is no such network interface"};
    return found->second;
  }
};

class LoggedLines final : public Log {
 public:
  std::string text;

 private:
  void write(Level, const std::string& line) override { text += line + "\n"; }
};

// A temporary directory that goes with the test; under `parent` if one is given.
class TempDirectory {
 public:
  explicit TempDirectory(const std::string& parent = "");
  ~TempDirectory();
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace meterd::testing
