#include "support/terminal.h"

#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <stdexcept>

namespace higgs::test {
namespace {

std::string read_all(int fd) {
  std::string bytes;
  char buffer[4096];
  for (;;) {
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return bytes;  // EIO: nobody holds the other end any more
    bytes.append(buffer, static_cast<std::size_t>(n));
  }
}

// The end of the escape sequence that begins at `at`: ESC [ numbers letter.
std::size_t end_of_escape(const std::string& bytes, std::size_t at) {
  std::size_t end = at + 2;
  while (end < bytes.size() && (bytes[end] < '@' || bytes[end] > '~')) ++end;
  return std::min(end + 1, bytes.size());
}

// What a terminal makes of the bytes, as far as the program goes: cursor to the beginning or the next row,
// erase to the row's end, characters with a wrap at the last column. Colours change nothing.
class Window {
 public:
  explicit Window(std::size_t columns) : columns_(columns) {}
  std::vector<std::string> after(const std::string& bytes) {
    for (std::size_t i = 0; i < bytes.size();) {
      if (bytes[i] == '\x1b') {
        const std::size_t end = end_of_escape(bytes, i);
        if (bytes[end - 1] == 'K') rows_.back().resize(std::min(column_, rows_.back().size()));
        i = end;
      } else {
        put(bytes[i++]);
      }
    }
    return rows_;
  }

 private:
  void put(char c) {
    if (c == '\r') {
      column_ = 0;
    } else if (c == '\n') {
      rows_.emplace_back();
    } else {
      if (column_ == columns_) {
        rows_.emplace_back();
        column_ = 0;
      }
      std::string& row = rows_.back();
      row.resize(std::max(row.size(), column_ + 1), ' ');
      row[column_++] = c;
    }
  }
  std::size_t columns_, column_ = 0;
  std::vector<std::string> rows_{""};
};

}  // namespace

TerminalResult in_terminal(int columns, const std::function<int()>& work, const Environment& changes) {
  winsize size{};
  size.ws_row = 24;
  size.ws_col = static_cast<unsigned short>(columns);
  std::fflush(nullptr);  // or the child would say it once more
  int terminal = -1;
  const pid_t child = ::forkpty(&terminal, nullptr, nullptr, &size);
  if (child < 0) throw std::runtime_error("no pseudo-terminal can be had");
  if (child == 0) {
    ::setenv("TERM", "xterm-256color", 1);
    for (const auto& [name, value] : changes) ::setenv(name.c_str(), value.c_str(), 1);
    ::_exit(work());
  }
  TerminalResult result;
  result.bytes = read_all(terminal);
  ::close(terminal);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
  return result;
}

TerminalResult in_terminal(int columns, const std::vector<std::string>& arguments,
                           const Environment& changes) {
  std::vector<std::string> words = arguments;
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return in_terminal(
      columns,
      [&] {
        ::execvp(pointers[0], pointers.data());
        return 127;
      },
      changes);
}

std::vector<std::string> rows(const TerminalResult& result, int columns) {
  return Window(static_cast<std::size_t>(columns)).after(result.bytes);
}

std::vector<std::string> escapes(const std::string& bytes) {
  std::set<std::string> all;
  for (std::size_t i = bytes.find('\x1b'); i != std::string::npos; i = bytes.find('\x1b', i + 1)) {
    all.insert(bytes.substr(i + 1, end_of_escape(bytes, i) - i - 1));
  }
  return {all.begin(), all.end()};
}

}  // namespace higgs::test
