// A TCP connection that carries lines of text and never blocks. Torch-free.
#pragma once

#include <string>
#include <vector>

namespace higgs {

class LineChannel {
 public:
  // Takes over a connected socket. The kernel notices within ten seconds when the other machine has gone.
  explicit LineChannel(int socket);
  ~LineChannel();
  LineChannel(const LineChannel&) = delete;
  LineChannel& operator=(const LineChannel&) = delete;

  int socket() const { return socket_; }
  // Queues a line, without its line break, and sends what goes.
  void send(const std::string& line);
  bool has_unsent() const { return !unsent_.empty(); }
  void flush();
  // The lines that have come. After the last one of a connection that the other side ended, gone() is true.
  std::vector<std::string> receive();
  bool gone() const { return gone_; }
  // Nothing more will be sent; the other side reads what is under way, then the end.
  void finish_sending();

 private:
  int socket_;
  bool gone_ = false;
  std::string received_, unsent_;
};

// A socket that accepts connections: on the loopback only, or on every interface. RunError.
int listen_for_lines(bool loopback_only, int& port);
// Connects, trying until `seconds` are over. RunError saying why it didn't work.
int connect_for_lines(const std::string& host, int port, double seconds);

}  // namespace higgs
