#include "tests/bench/store.hpp"

#include <cerrno>

#include "tests/bench/support.hpp"

namespace meterd::bench {
namespace {

constexpr std::size_t kMapBytes = std::size_t{1} << 30U;

void check(int code) {
  errno = 0;
  if (code != MDB_SUCCESS) fail(std::string("lmdb: ") + mdb_strerror(code));
}

MDB_val as_value(std::string_view text) { return {text.size(), const_cast<char*>(text.data())}; }

}  // namespace

Store::Store(const std::string& directory) {
  check(mdb_env_create(&environment_));
  check(mdb_env_set_mapsize(environment_, kMapBytes));
  check(mdb_env_open(environment_, directory.c_str(), 0, 0600));
  begin();
  check(mdb_dbi_open(transaction_, nullptr, 0, &database_));
  commit();
}

void Store::begin() { check(mdb_txn_begin(environment_, nullptr, 0, &transaction_)); }

std::string_view Store::get(std::string_view key) {
  auto name = as_value(key);
  MDB_val value{};
  const int code = mdb_get(transaction_, database_, &name, &value);
  if (code == MDB_NOTFOUND) return {};
  check(code);
  return {static_cast<const char*>(value.mv_data), value.mv_size};
}

void Store::put(std::string_view key, std::string_view value) {
  auto name = as_value(key);
  auto data = as_value(value);
  check(mdb_put(transaction_, database_, &name, &data, 0));
}

bool Store::put_new(std::string_view key, std::string_view value) {
  auto name = as_value(key);
  auto data = as_value(value);
  const int code = mdb_put(transaction_, database_, &name, &data, MDB_NOOVERWRITE);
  if (code == MDB_KEYEXIST) return false;
  check(code);
  return true;
}

void Store::commit() { check(mdb_txn_commit(transaction_)); }

}  // namespace meterd::bench
