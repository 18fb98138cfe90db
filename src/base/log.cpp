#include "higgs/base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <set>

namespace higgs::log {
namespace {

// Messages scroll above the live line.
using ColourSink = spdlog::sinks::stderr_color_sink_mt;
class Sink : public ColourSink {
 public:
  using ColourSink::ColourSink;
  void log(const spdlog::details::log_msg& message) override {
    write_above_live_line([&] { ColourSink::log(message); });
  }
};

// https://no-color.org
bool wants_no_colour() {
  const char* value = std::getenv("NO_COLOR");
  return value != nullptr && *value != '\0';
}

std::shared_ptr<spdlog::logger> make_logger() {
  const auto mode = wants_no_colour() ? spdlog::color_mode::never : spdlog::color_mode::automatic;
  auto sink = std::make_shared<Sink>(mode);
  auto logger = std::make_shared<spdlog::logger>("higgs_train", sink);
  logger->set_pattern("%H:%M:%S %^%l%$ %v");
  logger->flush_on(spdlog::level::info);
  return logger;
}

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = make_logger();
  return *instance;
}

}  // namespace

void info(const std::string& message) {
  logger().info("{}", message);
}
void warn(const std::string& message) {
  logger().warn("{}", message);
}
void error(const std::string& message) {
  logger().error("{}", message);
}

void warn_once(const std::string& message) {
  static std::mutex mutex;
  static std::set<std::string> said;
  const std::lock_guard lock(mutex);
  if (said.insert(message).second) warn(message);
}

void set_quiet(bool quiet) {
  logger().set_level(quiet ? spdlog::level::err : spdlog::level::info);
}

Progress::Progress(std::string what)
    : what_(std::move(what)), start_(Clock::now()), said_(start_), looked_(start_) {}

void Progress::operator()(std::size_t done, std::size_t total) {
  const Clock::time_point now = Clock::now();
  if (done == 0 || now - looked_ < std::chrono::milliseconds(100))
    return;  // it may be called in a tight loop
  looked_ = now;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const std::string left =
      total == 0 ? ""
                 : duration_text(seconds / static_cast<double>(done) * static_cast<double>(total - done));
  const std::string count = std::to_string(done), all = std::to_string(total);
  if (line_.show(what_ + " " + count + (total == 0 ? "" : "/" + all) + "  " +
                 short_number(static_cast<double>(done) / seconds) + "/s" +
                 (total == 0 ? "" : "  ETA " + left)))
    return;
  if (now - said_ < std::chrono::seconds(10)) return;
  said_ = now;
  info(what_ + ": " + count + (total == 0 ? "" : " of " + all + ", " + left + " to go"));
}

std::string short_number(double value) {
  char text[32];
  const char* format = value < 9.95 ? "%.1f" : value < 999.5 ? "%.0f" : value < 999.95e3 ? "%.1fk" : "%.1fM";
  std::snprintf(text, sizeof text, format,
                value < 999.5      ? value
                : value < 999.95e3 ? value / 1e3
                                   : value / 1e6);
  return text;
}

std::string duration_text(double seconds) {
  const auto total = static_cast<long long>(seconds + 0.5);
  char text[32];
  if (total >= 3600) {
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", total / 3600, total / 60 % 60, total % 60);
  } else {
    std::snprintf(text, sizeof text, "%lld:%02lld", total / 60, total % 60);
  }
  return text;
}

}  // namespace higgs::log
