#include "higgs/dist/watch.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <sstream>

#include "higgs/base/background.h"
#include "higgs/base/ending.h"
#include "higgs/base/error.h"

namespace higgs {
namespace {

constexpr double kRound = 0.25;        // seconds between looks at the others
constexpr double kHeartbeat = 1.0;     // seconds between two signs of life
constexpr double kSuspended = 5.0;     // a round that took longer was not ours: the process was stopped
constexpr double kGrace = 3.0;         // for the cause of a secondary failure to become known
constexpr double kLeave = 10.0;        // for the others to leave, at the end
constexpr double kLongestSave = 30.0;  // for a checkpoint that is being written when the job ends

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void print(const std::string& line) {
  const std::string text = line + "\n";
  static_cast<void>(!::write(STDERR_FILENO, text.data(), text.size()));
}

}  // namespace

Watch::Watch(WatchOptions options) : options_(std::move(options)) {
  listener_ = listen_for_lines(options_.single_node, port_);
  start();
}

Watch::Watch(WatchOptions options, const std::string& address, int port, double join_seconds)
    : options_(std::move(options)), port_(port) {
  peers_.push_back({std::make_unique<LineChannel>(connect_for_lines(address, port, join_seconds)), 0});
  peers_[0].channel->send("hello " + options_.key + " " + std::to_string(options_.rank) + " " +
                          options_.host);
  start();
}

void Watch::start() {
  wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  HIGGS_ASSERT(wake_ >= 0);
  ranks_.resize(static_cast<std::size_t>(options_.world_size));
  last_round_ = heard_ = now_seconds();
  ranks_[0].host = options_.host_of_zero;
  own().host = options_.host;
  own().joined = true;
  own().changed = own().heard = last_round_;
  // Signals are for the training thread.
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Watch::~Watch() {
  {
    const std::lock_guard lock(mutex_);
    leaving_ = true;
    own().changed = now_seconds();
  }
  wake();
  thread_.join();
  if (listener_ >= 0) ::close(listener_);
  ::close(wake_);
}

void Watch::wait_for_all(double seconds) {
  std::unique_lock lock(mutex_);
  const auto all_there = [&] {
    for (const RankStatus& rank : ranks_) {
      if (!rank.joined) return false;
    }
    return true;
  };
  if (changed_.wait_for(lock, std::chrono::duration<double>(seconds), all_there)) return;
  std::string missing;
  for (std::size_t i = 0; i < ranks_.size(); ++i) {
    if (!ranks_[i].joined) missing += (missing.empty() ? "" : ", ") + std::to_string(i);
  }
  throw RunError("rank " + missing + " of " + std::to_string(options_.world_size) + " did not come");
}

void Watch::wake() {
  const std::uint64_t one = 1;
  static_cast<void>(!::write(wake_, &one, sizeof one));
}

void Watch::at(std::int64_t step, const char* phase) {
  {
    const std::lock_guard lock(mutex_);
    own().step = step;
    if (own().phase != phase) own().phase = phase;
    own().waiting = false;
    ++own().progress;
    own().changed = now_seconds();
  }
  wake();
}

void Watch::progress() {
  const std::lock_guard lock(mutex_);
  ++own().progress;
  own().changed = now_seconds();
}

void Watch::waiting(bool for_others) {
  {
    const std::lock_guard lock(mutex_);
    own().waiting = for_others;
    ++own().progress;
    own().changed = now_seconds();
  }
  wake();
}

void Watch::fail(int exit_code, const std::string& text, bool secondary) {
  std::unique_lock lock(mutex_);
  if (!request_) {
    // A mistake that rank 0 finds reads as it would without ranks; it would be the same on all.
    const bool bare = exit_code == 2 && options_.rank == 0;
    const std::string name = bare ? "" : rank_name(options_.rank, own()) + ": ";
    request_ = Request{{options_.rank, exit_code, name + text}, now_seconds(), secondary};
  }
  lock.unlock();
  wake();
  for (;;) ::pause();  // the watch's thread ends the process
}

void Watch::run() {
  for (;;) {
    poll_sockets();
    const double now = now_seconds();
    std::unique_lock lock(mutex_);
    if (now - last_round_ > kSuspended) {
      for (RankStatus& rank : ranks_) rank.changed = rank.heard = now;
      heard_ = now;
    }
    last_round_ = now;
    if (options_.rank == 0) {
      run_once_as_zero(now);
    } else {
      run_once_as_other(now);
    }
    if (!leaving_) continue;
    // Rank 0 stays until the others have left, so that none takes the end for a death.
    bool all_left = true;
    for (const RankStatus& rank : ranks_)
      all_left = all_left && (&rank == &own() || rank.left || !rank.joined);
    if (options_.rank != 0) peers_[0].channel->send("bye");
    own().left = true;
    if (options_.rank != 0 || all_left || now - own().changed > kLeave) break;
  }
  for (Peer& peer : peers_) peer.channel->finish_sending();
}

void Watch::poll_sockets() {
  std::vector<pollfd> sockets = {{wake_, POLLIN, 0}};
  if (listener_ >= 0) sockets.push_back({listener_, POLLIN, 0});
  for (const Peer& peer : peers_) {
    if (peer.channel->gone()) continue;
    const short events = peer.channel->has_unsent() ? POLLIN | POLLOUT : POLLIN;
    sockets.push_back({peer.channel->socket(), events, 0});
  }
  ::poll(sockets.data(), sockets.size(), static_cast<int>(kRound * 1000));
  std::uint64_t count = 0;
  static_cast<void>(!::read(wake_, &count, sizeof count));
}

void Watch::tell_status(double now) {
  const std::string line = status_line(own());
  if (line == told_line_ && now - told_ < kHeartbeat) return;
  told_line_ = line;
  told_ = now;
  for (Peer& peer : peers_) {
    if (peer.rank >= 0 && !peer.channel->gone()) peer.channel->send(line);
  }
  const std::string name = std::to_string(own().step) + " " + own().phase;
  ::pthread_setname_np(::pthread_self(), name.substr(0, 15).c_str());
}

void Watch::accept_all() {
  for (int socket; (socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;) {
    peers_.push_back({std::make_unique<LineChannel>(socket), -1});
  }
}

void Watch::read(Peer& peer, double now) {
  for (const std::string& line : peer.channel->receive()) read_line(peer, line, now);
  peer.channel->flush();
  if (peer.rank >= 0 && peer.channel->gone()) ranks_[static_cast<std::size_t>(peer.rank)].gone = true;
}

// What a rank writes to rank 0.
void Watch::read_line(Peer& peer, const std::string& line, double now) {
  std::istringstream words(line);
  std::string kind;
  words >> kind;
  if (peer.rank < 0) {
    std::string key, host;
    int rank = -1;
    words >> key >> rank >> host;
    if (kind != "hello" || key != options_.key || rank < 1 || rank >= options_.world_size) return;
    RankStatus& status = ranks_[static_cast<std::size_t>(rank)];
    if (status.joined) return;
    peer.rank = rank;
    status.host = host;
    status.joined = true;
    status.changed = status.heard = now;
    changed_.notify_all();
    return;
  }
  RankStatus& status = ranks_[static_cast<std::size_t>(peer.rank)];
  status.heard = now;
  if (kind == "bye") {
    status.left = true;
  } else if (kind == "over") {
    int exit_code = 1;
    words >> exit_code;
    end_as("", exit_code);
  } else if (kind == "fail" || kind == "lost") {
    Failure failure{peer.rank, 1, ""};
    words >> failure.exit_code;
    words.ignore(1);
    std::getline(words, failure.text);
    const bool secondary = kind == "lost";
    if (!request_ || (request_->secondary && !secondary)) request_ = Request{failure, now, secondary};
  } else {
    read_status_line(line, now, status);
  }
}

void Watch::run_once_as_zero(double now) {
  own().heard = now;
  accept_all();
  for (Peer& peer : peers_) read(peer, now);
  std::erase_if(peers_, [](const Peer& peer) { return peer.rank < 0 && peer.channel->gone(); });
  if (request_ && !request_->secondary) return end(request_->failure);
  if (const auto failure = find_failure(ranks_, now, options_.timeout)) return end(*failure);
  if (request_ && now - request_->since > kGrace) return end(request_->failure);
  tell_status(now);
}

void Watch::run_once_as_other(double now) {
  Peer& zero = peers_[0];
  for (const std::string& line : zero.channel->receive()) {
    heard_ = now;
    std::istringstream words(line);
    std::string kind;
    int exit_code = 1;
    words >> kind >> exit_code;
    if (kind == "stop") return end_as("", exit_code);
    read_status_line(line, now, ranks_[0]);
  }
  zero.channel->flush();
  if (leaving_) return;
  if (request_) {
    if (!request_->sent) {
      request_->sent = true;
      zero.channel->send((request_->secondary ? "lost " : "fail ") +
                         std::to_string(request_->failure.exit_code) + " " + request_->failure.text);
    }
  }
  // What can no longer be told to rank 0 is said here.
  const bool dead = zero.channel->gone(), silent = now - heard_ >= options_.timeout;
  if (dead || silent) {
    if (request_ && !request_->secondary) return end(request_->failure);
    if (options_.speaks_for_node) return end(lost_rank_zero(ranks_[0], dead, options_.timeout));
    return end_as("", 1);
  }
  if (request_ && now - request_->since > 2 * kGrace) return end(request_->failure);
  tell_status(now);
}

void Watch::end(const Failure& failure) {
  end_as(std::string("higgs_train: ") + ending_word(failure.exit_code) + ": " + failure.text,
         failure.exit_code);
}

// Until all have gone, those too that are only just joining.
void Watch::stop_the_others(const std::string& line) {
  std::size_t num_told = 0;
  const double deadline = now_seconds() + 1.0;
  for (bool all_gone = false; !all_gone && now_seconds() < deadline; poll_sockets()) {
    accept_all();
    for (; num_told < peers_.size(); ++num_told) {
      peers_[num_told].channel->send(line);
      peers_[num_told].channel->finish_sending();
    }
    all_gone = peers_.size() + 1 >= ranks_.size();
    for (Peer& peer : peers_) {
      peer.channel->receive();
      all_gone = all_gone && peer.channel->gone();
    }
  }
}

// Says the line, unless it is said elsewhere, tells the others, waits until they have heard it, and ends.
void Watch::end_as(const std::string& line, int exit_code) {
  if (!line.empty()) print(line);
  if (options_.rank != 0) {
    peers_[0].channel->send("over " + std::to_string(exit_code));  // rank 0 may only have been suspended
  } else {
    stop_the_others("stop " + std::to_string(exit_code));
  }
  Background::wait_for_all(kLongestSave);  // a checkpoint being written needs nobody else
  ::_exit(exit_code);
}

}  // namespace higgs
