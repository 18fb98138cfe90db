// Watches over the ranks of a job: when one dies, fails or hangs, all end, and one line says which and why.
// Every rank keeps a connection to rank 0 and a thread that tells what the rank is doing; a connection that
// breaks is a process that died. It works beside the collectives, which may be blocked in the network or on a
// device. Torch-free.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "higgs/dist/line_channel.h"
#include "higgs/dist/rank_status.h"

namespace higgs {

struct WatchOptions {
  int rank = 0;
  int world_size = 1;
  std::string host;             // name of this machine
  std::string host_of_zero;     // and of rank 0\'s
  bool single_node = true;      // then rank 0 listens on the loopback only
  bool speaks_for_node = true;  // says that rank 0 died, for the ranks on its machine
  double timeout = 600;         // seconds without progress, while others wait, that count as hanging
  std::string key;              // of the job; a connection without it is not one of its ranks
};

class Watch {
 public:
  explicit Watch(WatchOptions options);                                                    // rank 0
  Watch(WatchOptions options, const std::string& address, int port, double join_seconds);  // the others
  ~Watch();                                                                                // leaves
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  int port() const { return port_; }  // of rank 0
  // Rank 0: waits for the others. RunError naming those that don't come.
  void wait_for_all(double seconds);

  // What this rank does from now on; not waiting for others. `phase` fits "died in PHASE". The watch's thread
  // bears it as its name, which top -H and ps -L show.
  void at(std::int64_t step, const char* phase);
  void progress();  // work goes on
  void waiting(bool for_others);

  // Ends the whole job with this rank's failure; the process ends in here, without any clean-up, since other
  // threads may be blocked for good. `secondary`: this rank only
  // suffers from another's, which is named if it becomes known within a few seconds.
  [[noreturn]] void fail(int exit_code, const std::string& text, bool secondary = false);

 private:
  struct Peer {
    std::unique_ptr<LineChannel> channel;
    int rank = -1;  // until it has said which
  };
  struct Request {
    Failure failure;
    double since;
    bool secondary;
    bool sent = false;
  };

  void start();
  void run();
  void run_once_as_zero(double now);
  void run_once_as_other(double now);
  void poll_sockets();
  void accept_all();
  void stop_the_others(const std::string& line);
  void read(Peer& peer, double now);
  void read_line(Peer& peer, const std::string& line, double now);
  void tell_status(double now);
  [[noreturn]] void end(const Failure& failure);
  [[noreturn]] void end_as(const std::string& line, int exit_code);
  void wake();
  RankStatus& own() { return ranks_[static_cast<std::size_t>(options_.rank)]; }

  WatchOptions options_;
  int port_ = 0, listener_ = -1, wake_ = -1;
  std::mutex mutex_;  // guards what follows up to `peers_`
  std::condition_variable changed_;
  std::vector<RankStatus> ranks_;  // rank 0 knows all; others their own
  std::optional<Request> request_;
  bool leaving_ = false;
  std::vector<Peer> peers_;  // rank 0: one for each other rank; others: rank 0. Only the thread uses them.
  double told_ = 0, heard_ = 0, last_round_ = 0;
  std::string told_line_;
  std::thread thread_;
};

}  // namespace higgs
