#include <linux/magic.h>
#include <sys/statfs.h>

#include <cerrno>
#include <cstring>

#include "platform/linux/linux.hpp"

namespace meterd::platform {
namespace {

// File systems whose shared mappings or flushes LMDB cannot rely on. Source: LMDB's documentation (remote
// file systems), and JFFS2's refusal of writable shared mappings.
struct Unsuited {
  std::uint32_t magic;
  const char* name;
};
constexpr Unsuited kUnsuited[] = {
    {JFFS2_SUPER_MAGIC, "jffs2"}, {NFS_SUPER_MAGIC, "nfs"}, {V9FS_MAGIC, "9p"},
    {SMB_SUPER_MAGIC, "smb"},     {0xFF534D42U, "cifs"},    {0xFE534D42U, "smb2"},
};

class LinuxDisk final : public Disk {
 public:
  Status suits_journal(const std::string& directory) const override {
    struct statfs info {};
    if (statfs(directory.c_str(), &info) != 0)
      return Error{Code::io, "journal: cannot look at " + directory + ": " + std::strerror(errno)};
    for (const auto& fs : kUnsuited)
      if (static_cast<std::uint32_t>(info.f_type) == fs.magic)
        return Error{Code::invalid,
                     "journal: " + directory + " is on " + fs.name +
                         ", where a journal cannot be crash-safe; use ext4, f2fs, ubifs, xfs or btrfs"};
    return {};
  }
};

}  // namespace

std::unique_ptr<Disk> make_disk() { return std::make_unique<LinuxDisk>(); }

}  // namespace meterd::platform
