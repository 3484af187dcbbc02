#include "agent/journal/file_check.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "agent/base/text.hpp"
#include "agent/journal/page_walk.hpp"

namespace meterd::journal {
namespace {

Result<CheckedFile> walk(const std::string& path) {
  auto file = PageFile::open(path);
  if (!file) return file.error();
  if (file->layout().word_bytes != sizeof(void*))
    return Error{Code::invalid, of_another_architecture(file->layout().word_bytes * 8)};
  auto report = walk_pages(*file);
  if (!report) return report.error();
  if (report->is_sound()) return CheckedFile{report->unreadable_records};
  const auto& first = report->damage.front();
  std::string message = "page " + std::to_string(first.page) + ": " + first.what;
  if (report->damages > 1) message += ", and " + std::to_string(report->damages - 1) + " more";
  return Error{Code::corrupt, message};
}

// What goes through the pipe: a digit for the kind of answer, and a number or a message.
constexpr char kSound = '0';
constexpr char kCorrupt = '1';
constexpr char kInvalid = '2';
constexpr char kIo = '3';

std::string encode(const Result<CheckedFile>& result) {
  if (result) return kSound + std::to_string(result->unreadable_records);
  const auto code = result.error().code;
  return (code == Code::corrupt ? kCorrupt : code == Code::invalid ? kInvalid : kIo) + result.error().message;
}

Result<CheckedFile> decode(const std::string& answer) {
  const auto text = answer.substr(1);
  switch (answer.front()) {
    case kSound:
      if (const auto count = parse_unsigned(text)) return CheckedFile{*count};
      return Error{Code::io, "the check of data.mdb gave no answer"};
    case kCorrupt:
      return Error{Code::corrupt, text};
    case kInvalid:
      return Error{Code::invalid, text};
    default:
      return Error{Code::io, text};
  }
}

[[noreturn]] void answer_and_exit(const std::string& path, int out) {
  const auto answer = encode(walk(path));
  const auto written = ::write(out, answer.data(), answer.size());  // fits the pipe: one message
  ::_exit(written == static_cast<ssize_t>(answer.size()) ? 0 : 1);
}

std::string read_all(int fd) {
  std::string out;
  char piece[1'024];
  for (;;) {
    const auto got = ::read(fd, piece, sizeof piece);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return out;
    out.append(piece, static_cast<std::size_t>(got));
  }
}

Result<CheckedFile> walk_in_child(const std::string& path) {
  const auto failed = [] {
    return Error{Code::io, std::string("cannot check data.mdb: ") + std::strerror(errno)};
  };
  int ends[2] = {-1, -1};
  if (::pipe(ends) != 0) return failed();
  const pid_t child = ::fork();
  if (child == 0) answer_and_exit(path, ends[1]);
  ::close(ends[1]);
  const std::string answer = child > 0 ? read_all(ends[0]) : std::string();
  ::close(ends[0]);
  if (child < 0) return failed();
  int ended = 0;
  while (::waitpid(child, &ended, 0) < 0)
    if (errno != EINTR) return failed();
  if (WIFEXITED(ended) && WEXITSTATUS(ended) == 0 && !answer.empty()) return decode(answer);
  return Error{Code::corrupt, "the check of it did not come to its end"};
}

}  // namespace

std::string of_another_architecture(std::uint64_t word_bits) {
  return "it was written on another architecture (" + std::to_string(word_bits) + "-bit words, here " +
         std::to_string(sizeof(void*) * 8) +
         "); where it was written run meterctl backup --portable FILE, and here meterctl restore FILE";
}

Result<CheckedFile> check_file(const std::string& path, FileCheck how) {
  if (how == FileCheck::none) return CheckedFile{};
  return how == FileCheck::here ? walk(path) : walk_in_child(path);
}

}  // namespace meterd::journal
