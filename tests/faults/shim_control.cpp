#include "shim_control.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <regex>
#include <stdexcept>

namespace higgs::test {

Shim::Shim(const fs::path& root, const fs::path& mark) : root_(root), mark_(mark) {
  write_text(folder_ / "state", std::string(sizeof(FaultState), '\0'));
  const int fd = ::open((folder_ / "state").c_str(), O_RDWR | O_CLOEXEC);
  void* page = ::mmap(nullptr, sizeof(FaultState), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::close(fd);
  if (page == MAP_FAILED) throw std::runtime_error("the page of fault_shim cannot be mapped");
  state_ = static_cast<FaultState*>(page);
}

Shim::~Shim() {
  ::munmap(state_, sizeof(FaultState));
}

Environment Shim::order(const FaultOrder& order) {
  state_->calls = state_->marks = 0;
  state_->in_save = state_->fired = 0;
  state_->call[0] = state_->path[0] = '\0';
  Environment variables = {{"LD_PRELOAD", shim_library("fault_shim").string()},
                           {"FAULT_ROOT", root_.string()},
                           {"FAULT_STATE", (folder_ / "state").string()},
                           {"FAULT_MARK", mark_.string()},
                           {"FAULT_MODE", order.mode},
                           {"FAULT_AT", std::to_string(order.at)},
                           {"FAULT_AFTER_MARKS", std::to_string(order.after_marks)},
                           {"FAULT_ERRNO", std::to_string(order.error)}};
  if (order.list) {
    fs::remove(folder_ / "calls");
    variables["FAULT_LOG"] = folder_ / "calls";
  }
  return variables;
}

std::string Shim::where() const {
  return std::string(state_->call) + " " + short_path(state_->path, root_);
}

std::vector<CountedCall> Shim::calls() const {
  std::vector<CountedCall> all;
  for (const std::string& line : lines_of(text_of(folder_ / "calls"))) {
    const std::size_t first = line.find('\t'), second = line.find('\t', first + 1);
    if (first == std::string::npos) {
      all.push_back({});
    } else {
      all.push_back({std::stol(line.substr(0, first)), line.substr(first + 1, second - first - 1),
                     line.substr(second + 1)});
    }
  }
  return all;
}

fs::path shim_library(const std::string& name) {
  return fs::read_symlink("/proc/self/exe").parent_path() / ("lib" + name + ".so");
}

std::string short_path(const std::string& path, const fs::path& root) {
  std::string text = path.rfind(root.string(), 0) == 0 ? path.substr(root.string().size()) : path;
  if (!text.empty() && text[0] == '/') text.erase(0, 1);
  static const std::regex process(R"((\.tmp-step-\d+|\.tmp|\.probe)\.\d+)");
  text = std::regex_replace(text, process, "$1.PID");
  return text.empty() ? "(the folder)" : text;
}

}  // namespace higgs::test
