// The little of LMDB that the bare programs use: one environment, one database, no flags; each commit is on
// the disk when it returns, as meterd's are.
#pragma once

#include <lmdb.h>

#include <string>
#include <string_view>

namespace meterd::bench {

class Store {
 public:
  // In `directory`, which exists. Opens what is there or begins anew.
  explicit Store(const std::string& directory);
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  ~Store() { mdb_env_close(environment_); }

  void begin();
  // The value of a key, empty if there is none; valid until the next put or commit.
  std::string_view get(std::string_view key);
  void put(std::string_view key, std::string_view value);
  // False: the key is there already, and nothing was changed.
  bool put_new(std::string_view key, std::string_view value);
  void commit();

 private:
  MDB_env* environment_ = nullptr;
  MDB_txn* transaction_ = nullptr;
  MDB_dbi database_ = 0;
};

}  // namespace meterd::bench
