#include "support/process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "higgs/base/hash.h"

namespace higgs::test {
namespace {

// "NAME=value" for each variable of this process, with the changes made.
std::vector<std::string> environment_with(const Environment& changes) {
  std::vector<std::string> entries;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (changes.count(text.substr(0, text.find('='))) == 0) entries.push_back(text);
  }
  for (const auto& [name, value] : changes) entries.push_back(name + "=" + value);
  return entries;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

}  // namespace

Process::Process(const std::vector<std::string>& arguments, const Environment& changes) {
  std::vector<std::string> words = arguments, variables = environment_with(changes);
  const std::string out = folder_ / "out", err = folder_ / "err";
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out.c_str(), O_WRONLY | O_CREAT, 0600);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err.c_str(), O_WRONLY | O_CREAT, 0600);
  const int error = ::posix_spawnp(&pid_, words.at(0).c_str(), &actions, nullptr, pointers(words).data(),
                                   pointers(variables).data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error(words[0] + ": cannot be started: " + std::strerror(error));
}

Process::~Process() {
  if (ended_) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void Process::send(int signal) {
  if (!ended_) ::kill(pid_, signal);
}

void Process::take_status(int status) {
  ended_ = true;
  if (WIFEXITED(status)) result_.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result_.signal = WTERMSIG(status);
}

bool Process::running() {
  int status = 0;
  if (!ended_ && ::waitpid(pid_, &status, WNOHANG) == pid_) take_status(status);
  return !ended_;
}

ProcessResult Process::wait() {
  int status = 0;
  while (!ended_) {
    const pid_t done = ::waitpid(pid_, &status, 0);
    if (done == pid_) take_status(status);
    if (done < 0 && errno != EINTR) throw std::runtime_error("waitpid failed");
  }
  result_.out = text_of(folder_ / "out");
  result_.err = text_of(folder_ / "err");
  return result_;
}

ProcessResult run_process(const std::vector<std::string>& arguments, const Environment& changes) {
  return Process(arguments, changes).wait();
}

fs::path program() {
  const char* given = std::getenv("HIGGS_BINARY");
  if (given == nullptr) throw std::runtime_error("HIGGS_BINARY is not set: the higgs_train to be tested");
  return given;
}

std::string text_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(path.string() + ": cannot be opened");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_text(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  file << text;
  if (!file.flush()) throw std::runtime_error(path.string() + ": cannot be written");
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::map<std::string, std::string> snapshot(const fs::path& folder) {
  std::map<std::string, std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    std::string& content = found[fs::relative(entry.path(), folder).string()];
    if (!entry.is_regular_file()) continue;
    const std::string text = text_of(entry.path());
    content = std::to_string(text.size()) + " bytes, " + Hasher().update(text).hex();
  }
  return found;
}

}  // namespace higgs::test
