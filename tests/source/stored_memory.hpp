// Memory that a store of descriptors keeps from one meterd to the next, as the service manager's does: real
// memory of a directory, whose descriptors are held here.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "platform/shared_memory.hpp"

namespace meterd::test {

class StoredMemory final : public platform::SharedMemory {
 public:
  using Store = std::map<Id, Kept>;
  StoredMemory(const std::string& directory, Store& store)
      : real_(platform::make_shared_memory(directory)), store_(store) {}

  Id random_id() override { return real_->random_id(); }
  std::vector<Kept> find() override {
    std::vector<Kept> out;
    for (const auto& [id, kept] : store_) out.push_back(again(kept));
    return out;
  }
  Result<Kept> make(const Sizes& sizes) override { return held(real_->make(sizes)); }
  Result<platform::MemoryFile> recognise(platform::MemoryFile memory, std::size_t size) override {
    return real_->recognise(std::move(memory), size);
  }
  Result<Kept> take_back(const Id& id, platform::MemoryFile memory, const Sizes& sizes) override {
    return held(real_->take_back(id, std::move(memory), sizes));
  }
  bool same_memory(const Kept& kept, const platform::MemoryFile& other) const override {
    return real_->same_memory(kept, other);
  }
  bool cut_to_size(const Kept& kept, std::size_t size) override { return real_->cut_to_size(kept, size); }
  Result<platform::MemoryFile> share(const Kept& kept) override { return real_->share(kept); }
  bool is_in_use(const Kept& kept) const override { return real_->is_in_use(kept); }
  Status drop(const Kept& kept) override {
    store_.erase(kept.id);
    return real_->drop(kept);
  }

 private:
  static Kept again(const Kept& kept) {
    const auto copy = [](const platform::MemoryFile& file) {
      return platform::MemoryFile(fcntl(file.fd(), F_DUPFD_CLOEXEC, 0));
    };
    return {kept.id, copy(kept.memory), copy(kept.names), kept.in_memory_only};
  }
  Result<Kept> held(Result<Kept> made) {
    if (made) store_[made->id] = again(*made);
    return made;
  }

  std::unique_ptr<SharedMemory> real_;
  Store& store_;
};

}  // namespace meterd::test
