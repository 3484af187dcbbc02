#include "tests/sim/inlet.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "agent/journal/read.hpp"
#include "platform/run_on.hpp"

namespace meterd::sim {

namespace asio = boost::asio;

namespace {

using Answer = std::function<void(const v1::Ack&)>;

v1::Ack refused(const std::string& why) {
  v1::Ack ack;
  ack.set_error(why);
  return ack;
}

asio::awaitable<void> take(Machine& machine, v1::Batch batch, Answer answer) {
  auto& batcher = machine.core().batcher();
  if (const auto why = ingest::refuse_batch(batch)) {
    answer(refused(why->message));
    co_return;
  }
  if (batch.ack() == v1::RECEIVED && batcher.stuck_for() > Milliseconds(0)) {
    answer(refused("full"));
    co_return;
  }
  auto& producers = machine.producers();
  if (batch.sequence() != 0 && !producers.knows(batch.producer())) {
    const auto read = [&journal = machine.journal(), producer = batch.producer()] {
      return journal::read_producer(journal, producer);
    };
    auto stored = co_await platform::run_on(machine.loop().get_executor(), read);
    if (!stored || !producers.has_room(nullptr)) {
      answer(refused("full"));
      co_return;
    }
    producers.learn(batch.producer(), *stored);
  }
  auto pending = std::make_shared<ingest::PendingAck>(ingest::count_batch(batch, batcher, producers));
  if (!pending->needs_commit) {
    answer(pending->ack);
    co_return;
  }
  batcher.commit_soon([pending, answer](const Status& committed, const ingest::WindowOutcome& outcome) {
    ingest::settle_ack(*pending, committed, outcome);
    answer(pending->ack);
  });
}

}  // namespace

void take_batch(Machine& machine, v1::Batch batch, Answer answer) {
  asio::co_spawn(machine.loop(), take(machine, std::move(batch), std::move(answer)), asio::detached);
}

}  // namespace meterd::sim
