#include "tests/sim/counted_memory.hpp"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "platform/packets.hpp"

namespace meterd::sim {

using platform::MemoryFile;

namespace {

constexpr Milliseconds kSecond{1'000};
constexpr Milliseconds kMinute{60'000};
constexpr Milliseconds kHour{3'600'000};

MemoryFile new_memory(std::size_t bytes) {
  MemoryFile out(memfd_create("meterd-sim", MFD_CLOEXEC));
  check(out.fd() >= 0 && ftruncate(out.fd(), static_cast<off_t>(bytes)) == 0, "memory");
  return out;
}

MemoryFile copy_of(const MemoryFile& file) { return MemoryFile(dup(file.fd())); }

}  // namespace

platform::SharedMemory::Id KeptMemory::random_id() {
  Id out{};
  for (auto& byte : out) byte = static_cast<std::uint8_t>(draws_.next());
  return out;
}

std::vector<platform::SharedMemory::Kept> KeptMemory::find() {
  std::vector<Kept> out;
  for (const auto& [id, one] : all_) out.push_back({id, copy_of(one.memory), copy_of(one.names), false});
  return out;
}

Result<platform::SharedMemory::Kept> KeptMemory::make(const Sizes& sizes) {
  const auto id = random_id();
  auto& one = all_[id];
  one = {new_memory(sizes.memory), new_memory(sizes.names)};
  return Kept{id, copy_of(one.memory), copy_of(one.names), false};
}

Result<MemoryFile> KeptMemory::share(const Kept& kept) { return copy_of(kept.memory); }

Status KeptMemory::drop(const Kept& kept) {
  all_.erase(kept.id);
  return {};
}

CountedMemory::CountedMemory(Dependencies dependencies, Draws draws, std::string event,
                             std::string subscription)
    : Counted(std::move(dependencies), draws),
      event_(std::move(event)),
      subscription_(std::move(subscription)),
      memory_(draws_.fork("ids")) {
  count_from_nothing();
  deps_.world.in(kMinute, [this] { call(); });
}

CountedMemory::~CountedMemory() { end_app(); }

void CountedMemory::furnish(app::Surroundings& surroundings) {
  if (deps_.lies) memory_.lose_power();
  surroundings.memory = &memory_;
  surroundings.access = &access_;
  surroundings.listen_packets = [this](const std::string&) -> Result<platform::Socket> {
    platform::Socket out(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socklen_t size = sizeof address.sun_family;  // the kernel finds a name
    check(::bind(out.fd(), reinterpret_cast<sockaddr*>(&address), size) == 0 && ::listen(out.fd(), 8) == 0,
          "a socket to listen on");
    size = sizeof address;
    check(getsockname(out.fd(), reinterpret_cast<sockaddr*>(&address), &size) == 0, "its name");
    address_.assign(reinterpret_cast<const char*>(&address), size);
    return out;
  };
}

void CountedMemory::pass(Draws& draws) {
  if (counter_ != nullptr && draws.once_in(40)) {
    deps_.world.count("app with counters crashed");
    return end_app();
  }
  if (counter_ == nullptr) return;
  const auto units = draws.between(1, 1'000);
  __atomic_fetch_add(counter_, static_cast<std::uint64_t>(units), __ATOMIC_RELAXED);
  add(units);
}

void CountedMemory::call() {
  if (!making_) return;
  deps_.world.in(draws_.any_span(kMinute, 6 * kHour), [this] { call(); });
  if (!deps_.machine.running()) return;
  connection_ = platform::Socket(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (connect(connection_.fd(), reinterpret_cast<const sockaddr*>(address_.data()),
              static_cast<socklen_t>(address_.size())) != 0)
    return;
  ++calls_;
  ask(METERD_HELLO);
}

void CountedMemory::ask(meterd_packet_kind kind) {
  meterd_packet packet{};
  packet.magic = METERD_PACKET_MAGIC;
  packet.version = METERD_PACKET_VERSION;
  packet.kind = kind;
  std::copy(client_.begin(), client_.end(), packet.client);
  event_.copy(packet.event, sizeof packet.event - 1);
  subscription_.copy(packet.subscription, sizeof packet.subscription - 1);
  const auto sent = platform::send_packet(connection_.fd(),
                                          {reinterpret_cast<const char*>(&packet), sizeof packet}, nullptr);
  deps_.crash_soon();
  if (sent)
    deps_.world.in(Milliseconds(0), [this, call = calls_] {
      if (call == calls_) listen();
    });
}

void CountedMemory::listen() {
  meterd_packet answer{};
  auto packet = platform::receive_packet(connection_.fd(), {reinterpret_cast<char*>(&answer), sizeof answer});
  if (packet && packet->size == sizeof answer) return take(answer, packet->passed);
  if (packet || packet.error().code != Code::retry || !deps_.machine.running()) return;
  deps_.world.in(kSecond, [this, call = calls_] {
    if (call == calls_) listen();
  });
}

void CountedMemory::take(const meterd_packet& answer, const MemoryFile& memory) {
  if (answer.kind == METERD_WELCOME) {
    std::copy_n(answer.client, client_.size(), client_.begin());
    return ask(METERD_WANT);
  }
  if (answer.kind != METERD_SLOT) {
    // An app whose memory is kept is known, and may count.
    if (counter_ == nullptr) client_ = {};
    if (answer.code == EACCES || (answer.code == ESTALE && counter_ != nullptr))
      problem_ = std::string("an app was told: ") + answer.text;
    return;
  }
  if (counter_ != nullptr) {
    if (!std::equal(region_.begin(), region_.end(), answer.region)) problem_ = "an app got another memory";
    return;
  }
  check(memory.fd() >= 0, "memory comes with the first slot");
  void* mapped = mmap(nullptr, METERD_REGION_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, memory.fd(), 0);
  check(mapped != MAP_FAILED, "memory is mapped");
  mapped_ = static_cast<char*>(mapped);
  counter_ = reinterpret_cast<std::uint64_t*>(mapped_ + std::size_t{answer.slot} * METERD_SLOT_BYTES);
  std::copy_n(answer.region, region_.size(), region_.begin());
  memory_.used_by_app = region_;
}

// Its memory is the agent's, and is read to its end.
void CountedMemory::end_app() {
  ++calls_;
  connection_ = {};
  if (mapped_ != nullptr) munmap(mapped_, METERD_REGION_BYTES);
  mapped_ = nullptr;
  counter_ = nullptr;
  client_ = region_ = memory_.used_by_app = {};
}

void CountedMemory::lose_power() {
  leave();
  end_app();
  memory_.lose_power();
}

std::string CountedMemory::judge(const journal::SourceGaps& shown, std::int64_t) const {
  if (!problem_.empty()) return problem_;
  if (shown.gaps() == 0) return {};
  return "the counters of an honest app have a gap: " + shown.recent(0).reason();
}

}  // namespace meterd::sim
