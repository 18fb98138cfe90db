// Each file system call of a save fails once; see --help.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>

#include "folders.h"
#include "shim_control.h"
#include "training.h"

namespace higgs::test {
namespace {

constexpr ProgramText kText = {"faults_syscalls",
                               "Lists the file system calls of one save, then trains again and again from an "
                               "earlier checkpoint, each time with\n"
                               "another call of the save failing: with ENOSPC, with EIO, each write cut "
                               "short, and a disk that is full from a call\n"
                               "on. The run must end with exit code 1 and one line that names the file and "
                               "the cause, or go on where nothing is\n"
                               "lost by it (with --on_save_error continue it must go on); every checkpoint "
                               "under its final name stays whole; the\n"
                               "same command then goes on to the end, bit for bit. The calls with which a "
                               "start reads checkpoints fail too.",
                               "calls drawn for each kind of failure; 0: every call", 0, false};

constexpr int kSteps = 4, kResumedFrom = 2;
constexpr double kLimit = 60;

struct Case {
  std::string name;  // "ENOSPC"
  FaultOrder order;  // but for `at`
  Arguments flags;
  bool goes_on = false;  // --on_save_error continue
  bool of_save = true;   // else of the start
};

// What must not be lost in silence: what makes a checkpoint, rather than what removes an old one.
bool matters(const CountedCall& call) {
  if (call.path.find(".tmp-step-") == std::string::npos) return call.call == "fsync";
  for (const char* kind : {"write", "fsync", "fdatasync", "rename", "mkdir", "creat"}) {
    if (call.call.rfind(kind, 0) == 0) return true;
  }
  return call.call.find("for writing") != std::string::npos;
}

class Sweep {
 public:
  Sweep(const Options& options, Report& report)
      : options_(options),
        report_(report),
        random_(options.seed),
        output_(scratch_ / "run"),
        shim_(output_ / "checkpoints", output_ / "metrics.jsonl") {
    plan_.binary = options.binary;
    plan_.steps = kSteps;
    plan_.keep_last = 2;
    plan_.cache = scratch_ / "cache";
    reference_ = make_reference(plan_, scratch_ / "reference");
  }

  void run() {
    list_calls();
    sweep({"ENOSPC", {"fail", 0, 1, ENOSPC}, {}}, save_);
    sweep({"EIO", {"fail", 0, 1, EIO}, {}}, save_);
    sweep({"cut short, then ENOSPC", {"half", 0, 1, ENOSPC}, {}}, only(save_, {"write", "pwrite", "writev"}));
    sweep({"full from here on", {"full", 0, 1, ENOSPC}, {}},
          only(save_, {"write", "open for writing", "mkdir"}));
    sweep({"read-only from here on", {"full", 0, 1, EROFS}, {}},
          only(save_, {"write", "open for writing", "mkdir"}));
    if (knows_flag("on_save_error")) {
      const Arguments flags = {"--on_save_error", "continue"};
      sweep({"ENOSPC, continue", {"fail", 0, 1, ENOSPC}, flags, true}, save_);
      sweep({"EIO, continue", {"fail", 0, 1, EIO}, flags, true}, save_);
      sweep({"full, continue", {"full", 0, 1, ENOSPC}, flags, true}, only(save_, {"write", "mkdir"}));
    } else {
      report_.skip("--on_save_error continue: this higgs_train has no such flag");
    }
    sweep({"EIO at the start", {"fail", 0, 0, EIO}, {}, false, false}, start_);
    report_.figures = {{"count", num_runs_},
                       {"calls_of_a_save", save_.size()},
                       {"calls_of_a_start", start_.size()},
                       {"ended_with_a_line", num_ended_},
                       {"went_on", num_went_on_},
                       {"of_these_warned", num_warned_},
                       {"lost", num_lost_},
                       {"mismatches", report_.num_failures()}};
  }

 private:
  bool knows_flag(const std::string& name) {
    return run_process({options_.binary, "train", "--help"}).out.find("--" + name) != std::string::npos;
  }

  // The run as it was after two steps.
  void restore() {
    fs::remove_all(output_);
    copy_folder(scratch_ / "reference", output_);
    for (const char* name : {"adapter", "report.html"}) fs::remove_all(output_ / name);
    for (int step = kResumedFrom + 1; step <= kSteps; ++step) {
      fs::remove_all(output_ / "checkpoints" / ("step-00000" + std::to_string(step)));
    }
  }

  void list_calls() {
    restore();
    FaultOrder order;
    order.list = true;
    const ProcessResult result = train({}, order);
    if (result.exit_code != 0)
      throw std::runtime_error("an undisturbed run under fault_shim failed:\n" + result.err);
    const std::string next_save = "step-00000" + std::to_string(kResumedFrom + 2);
    long before = 0;
    bool saving = false;
    for (const CountedCall& call : shim_.calls()) {
      if (call.index == 0) {
        saving = true;
      } else if (!saving) {
        start_.push_back(call);
        before = call.index;
      } else if (call.path.find(next_save) != std::string::npos) {
        break;
      } else {
        save_.push_back(call);
        save_.back().index -= before;
      }
    }
    report_.say("a start makes " + std::to_string(start_.size()) + " calls below checkpoints/, a save " +
                std::to_string(save_.size()));
    report_.check(save_.size() > 20, "a save makes hardly any call that fault_shim sees");
  }

  static std::vector<CountedCall> only(const std::vector<CountedCall>& calls,
                                       const std::vector<std::string>& kinds) {
    std::vector<CountedCall> some;
    for (const CountedCall& call : calls) {
      if (std::find(kinds.begin(), kinds.end(), call.call) != kinds.end()) some.push_back(call);
    }
    return some;
  }

  void sweep(const Case& what, std::vector<CountedCall> calls) {
    if (options_.count > 0) std::shuffle(calls.begin(), calls.end(), random_);
    if (options_.count > 0 && calls.size() > static_cast<std::size_t>(options_.count)) {
      calls.resize(static_cast<std::size_t>(options_.count));
    }
    for (const CountedCall& call : calls) one(what, call);
  }

  ProcessResult train(const Arguments& flags, const FaultOrder& order) {
    return run_job(1, training(plan_, output_, flags), training_environment(plan_, shim_.order(order)),
                   kLimit);
  }

  void one(const Case& what, const CountedCall& call) {
    ++num_runs_;
    restore();
    FaultOrder order = what.order;
    order.at = call.index;
    const int failures = report_.num_failures();
    name_ = what.name + " at " + call.call + " " + short_path(call.path, output_ / "checkpoints");
    try {
      const ProcessResult result = train(what.flags, order);
      if (shim_.state().fired == 0) return fail("the call was not made again");
      check_checkpoints();
      const std::string outcome = judge(what, call, result);
      check_goes_on();
      if (report_.num_failures() > failures) report_.say("its output:\n" + result.err);
      report_.say(name_ + ": " + outcome);
    } catch (const std::exception& error) {
      fail(error.what());  // it hangs
    }
  }

  std::string judge(const Case& what, const CountedCall& call, const ProcessResult& result) {
    const std::string cause = std::strerror(what.order.error);
    const std::string warning = warning_of(result, cause);
    num_warned_ += warning.empty() ? 0 : 1;
    if (what.of_save && what.goes_on) return judge_going_on(what, call, result, warning);
    if (result.exit_code == 0) {
      ++num_went_on_;
      if (what.of_save && matters(call) && warning.empty()) fail("lost in silence");
      return warning.empty() ? "went on" : "went on: " + warning;
    }
    ++num_ended_;
    const std::vector<std::string> words = last_words(result);
    if (words.size() != 1) {
      fail(ending_text(result) + " with " + std::to_string(words.size()) + " last lines");
      return ending_text(result);
    }
    if (result.exit_code != 1 && (what.of_save || result.exit_code != 2)) fail(ending_text(result));
    if (words[0].find(cause) == std::string::npos) fail("the line doesn't name the cause: " + words[0]);
    if (words[0].find(output_.string()) == std::string::npos) fail("the line names no file: " + words[0]);
    return words[0];
  }

  // With --on_save_error continue: every step is done. Only where the last checkpoint failed too it ends
  // with 1.
  std::string judge_going_on(const Case& what, const CountedCall& call, const ProcessResult& result,
                             const std::string& warning) {
    ++num_went_on_;
    if (matters(call) && warning.empty()) fail("lost in silence");
    if (!warning.empty() && warning.find(output_.string()) == std::string::npos)
      fail("names no file: " + warning);
    const bool stays_full = std::string(what.order.mode) == "full";
    if (result.exit_code != (stays_full ? 1 : 0)) fail(ending_text(result) + "\n" + result.err);
    if (stays_full && last_words(result).size() != 1)
      fail("doesn't say at the end that its last checkpoint is lost");
    std::int64_t last = 0;
    for (const Json& line : metrics_of(output_)) last = std::max<std::int64_t>(last, line["step"]);
    if (last != kSteps) fail("ended after step " + std::to_string(last));
    return "went on: " + warning;
  }

  // The line that warns of a call that failed for this cause, or "".
  static std::string warning_of(const ProcessResult& result, const std::string& cause) {
    for (const std::string& line : lines_of(result.err)) {
      if (line.find(" warning ") != std::string::npos && line.find(cause) != std::string::npos) return line;
    }
    return "";
  }

  // Nothing but whole checkpoints, and the one that the run went on from, or a newer one.
  void check_checkpoints() {
    const CheckpointState state = look_at_checkpoints(output_, reference_);
    for (const std::string& fault : state.faults) fail(fault);
    if (state.newest < kResumedFrom) {
      ++num_lost_;
      fail("the earlier checkpoint is lost");
    }
  }

  // The same command, on a sound disk.
  void check_goes_on() {
    const ProcessResult result = run_job(1, training(plan_, output_), training_environment(plan_), kLimit);
    if (result.exit_code != 0) return fail("the next start: " + ending_text(result) + "\n" + result.err);
    for (const std::string& difference : end_differences(output_, reference_))
      fail("afterwards: " + difference);
  }

  void fail(const std::string& text) { report_.fail(name_ + ": " + text); }

  const Options& options_;
  Report& report_;
  std::mt19937_64 random_;
  TemporaryFolder scratch_;
  fs::path output_;
  Shim shim_;
  TrainingPlan plan_;
  Reference reference_;
  std::vector<CountedCall> start_, save_;
  std::string name_;
  int num_runs_ = 0, num_ended_ = 0, num_went_on_ = 0, num_warned_ = 0, num_lost_ = 0;
};

}  // namespace
}  // namespace higgs::test

int main(int argc, char** argv) {
  const auto options = higgs::test::parse_options(argc, argv, higgs::test::kText);
  higgs::test::Report report(options);
  higgs::test::Sweep(options, report).run();
  return report.finish();
}
