#include "higgs/dist/line_channel.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <thread>

#include "higgs/base/error.h"

namespace higgs {
namespace {

constexpr std::size_t kLongestLine = 64 * 1024;

void set(int socket, int level, int option, int value) {
  ::setsockopt(socket, level, option, &value, sizeof value);
}

std::string reason() {
  return std::strerror(errno);
}

}  // namespace

LineChannel::LineChannel(int socket) : socket_(socket) {
  ::fcntl(socket_, F_SETFL, ::fcntl(socket_, F_GETFL) | O_NONBLOCK);
  set(socket_, IPPROTO_TCP, TCP_NODELAY, 1);
  set(socket_, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(socket_, IPPROTO_TCP, TCP_KEEPIDLE, 2);
  set(socket_, IPPROTO_TCP, TCP_KEEPINTVL, 2);
  set(socket_, IPPROTO_TCP, TCP_KEEPCNT, 3);
  set(socket_, IPPROTO_TCP, TCP_USER_TIMEOUT, 8000);
}

LineChannel::~LineChannel() {
  ::close(socket_);
}

void LineChannel::send(const std::string& line) {
  unsent_ += line + "\n";
  flush();
}

void LineChannel::flush() {
  while (!unsent_.empty() && !gone_) {
    const ssize_t sent = ::send(socket_, unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      unsent_.erase(0, static_cast<std::size_t>(sent));
    } else if (errno == EINTR) {
      continue;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return;
    } else {
      unsent_.clear();  // what the other side sent before it went can still be read
    }
  }
}

std::vector<std::string> LineChannel::receive() {
  char buffer[4096];
  while (!gone_) {
    const ssize_t count = ::recv(socket_, buffer, sizeof buffer, 0);
    if (count > 0) {
      received_.append(buffer, static_cast<std::size_t>(count));
      if (received_.size() > 2 * kLongestLine) gone_ = true;  // no rank of ours writes so much
    } else if (count < 0 && errno == EINTR) {
      continue;
    } else if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      break;
    } else {
      gone_ = true;
    }
  }
  std::vector<std::string> lines;
  std::size_t begin = 0;
  for (std::size_t end; (end = received_.find('\n', begin)) != std::string::npos; begin = end + 1) {
    lines.push_back(received_.substr(begin, end - begin));
  }
  received_.erase(0, begin);
  if (received_.size() > kLongestLine) gone_ = true;
  return lines;
}

void LineChannel::finish_sending() {
  flush();
  ::shutdown(socket_, SHUT_WR);
}

int listen_for_lines(bool loopback_only, int& port) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(loopback_only ? INADDR_LOOPBACK : INADDR_ANY);
  socklen_t size = sizeof address;
  if (listener < 0 || ::bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener, 1024) != 0 ||
      ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    const std::string text = reason();
    if (listener >= 0) ::close(listener);
    throw RunError("rank 0 cannot listen for the other ranks: " + text);
  }
  port = ntohs(address.sin_port);
  return listener;
}

int connect_for_lines(const std::string& host, int port, double seconds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  std::string fault;
  do {
    addrinfo hints{}, *found = nullptr;
    hints.ai_family = AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
    if (error == 0) {
      const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> holder(found, ::freeaddrinfo);
      for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
        const int socket = ::socket(each->ai_family, each->ai_socktype | SOCK_CLOEXEC, 0);
        if (socket >= 0 && ::connect(socket, each->ai_addr, each->ai_addrlen) == 0) return socket;
        fault = reason();
        if (socket >= 0) ::close(socket);
      }
    } else {
      fault = ::gai_strerror(error);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  } while (std::chrono::steady_clock::now() < deadline);
  throw RunError("cannot reach rank 0 at " + host + ":" + std::to_string(port) + ": " + fault);
}

}  // namespace higgs
