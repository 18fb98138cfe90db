// SIGKILL at random moments, half of them at a random file system call of a save; see --help.
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <random>
#include <regex>

#include "shim_control.h"
#include "training.h"

namespace higgs::test {
namespace {

constexpr ProgramText kText = {
    "faults_kill",
    "Kills a training run at random moments, starts it again, and so on until it is done; then another run. "
    "Of the\n"
    "kills about half happen at a random file system call of a save, the others at a random time, or a "
    "little after a\n"
    "save began. With two ranks a random one is killed. After each kill: every checkpoint that stands under "
    "its name is\n"
    "whole and equals, byte for byte, that of a run never stopped; none that was there, or that the program "
    "had reported,\n"
    "is lost; the next start goes on from the newest. At a run's end the adapter and the metrics are equal.",
    "kills", 10, true};

constexpr int kSteps = 20;
constexpr double kLimit = 60;  // seconds: longer is a hang

struct Tally {
  int kills = 0, inside_save = 0, chains = 0, lost = 0, mismatches = 0, resumes = 0;
};

// How and when the next process is killed.
struct Plan {
  enum class Kind { kCall, kTime, kSave, kNone } kind = Kind::kNone;
  FaultOrder order;  // kCall
  int marks = 0;     // kSave: not before so many steps
  double delay = 0;  // kTime: after the start; kSave: after a save began
  int rank = 0;
};

class Chain {
 public:
  Chain(const Options& options, Report& report, Tally& tally, std::mt19937_64& random,
        const fs::path& scratch)
      : options_(options),
        report_(report),
        tally_(tally),
        random_(random),
        output_(scratch / "run"),
        shim_(output_ / "checkpoints", output_ / "metrics.jsonl") {
    plan_.binary = options.binary;
    plan_.ranks = options.ranks;
    plan_.threads = static_cast<int>(draw(1, 2));
    plan_.steps = kSteps;
    plan_.keep_last = static_cast<int>(draw(3, 5));
    plan_.seed = draw(1, 1000000);
    plan_.cache = scratch / "cache";
    const double begin = now_seconds();
    reference_ = make_reference(plan_, scratch / "reference");
    run_seconds_ = now_seconds() - begin;
  }

  // Kills and starts again until the run is done, or there were enough kills: then it may finish.
  void run() {
    ++tally_.chains;
    for (int start = 0; !done_; ++start) {
      if (start > 200) throw std::runtime_error("a run of 20 steps was started 200 times and isn't done");
      one_start();
    }
    for (const std::string& difference : end_differences(output_, reference_))
      mismatch("at the end: " + difference);
  }

 private:
  std::uint64_t draw(std::uint64_t low, std::uint64_t high) {
    return std::uniform_int_distribution<std::uint64_t>(low, high)(random_);
  }
  double draw_seconds(double high) { return std::uniform_real_distribution<double>(0, high)(random_); }

  Plan next_plan() {
    Plan plan;
    if (tally_.kills >= options_.count) return plan;
    plan.rank = static_cast<int>(draw(0, static_cast<std::uint64_t>(options_.ranks - 1)));
    const int left = kSteps - static_cast<int>(std::max<std::int64_t>(newest_, 0));
    const int marks = static_cast<int>(draw(1, static_cast<std::uint64_t>(std::min(left, 5))));
    const auto kind = draw(0, 99);
    if (kind < 50) {
      plan.kind = Plan::Kind::kCall;
      plan.order.mode = draw(0, 3) == 0 ? "torn" : "kill";
      plan.order.after_marks = marks;
      plan.order.at = static_cast<long>(draw(1, kCallsOfASave));
      plan.rank = 0;
    } else if (kind < 65) {
      plan.kind = Plan::Kind::kSave;
      plan.marks = marks;
      plan.delay = draw_seconds(3e-3);
    } else {
      plan.kind = Plan::Kind::kTime;
      plan.delay = draw_seconds(run_seconds_ * 1.1);
    }
    return plan;
  }

  // Waits for the moment, and kills; what stood under its final name just before must still be there
  // afterwards.
  void carry_out(const Plan& plan, Job& job, double start) {
    const auto moment = [&] {
      if (plan.kind == Plan::Kind::kTime) return now_seconds() >= start + plan.delay;
      if (plan.kind != Plan::Kind::kSave) return false;
      return shim_.state().marks >= plan.marks && shim_.in_save();
    };
    while (!moment()) {
      if (!job.running() || now_seconds() > start + kLimit) return;
      promised_ = std::max(promised_, newest_visible(output_));
      if (plan.kind != Plan::Kind::kSave) sleep_seconds(2e-4);
    }
    if (plan.kind == Plan::Kind::kSave) sleep_seconds(plan.delay);
    promised_ = std::max(promised_, newest_visible(output_));
    if (!job.running()) return;
    job.send(plan.rank, SIGKILL);
    sent_ = true;
  }

  void one_start() {
    const Plan plan = next_plan();
    promised_ = newest_;
    sent_ = false;
    const Arguments command = training(plan_, output_);
    Job job(options_.ranks, command, training_environment(plan_, shim_.order(plan.order)));
    carry_out(plan, job, now_seconds());
    const auto result = job.wait(kLimit);
    if (!result) return mismatch("hangs"), void(done_ = true);
    check_resumed_from(result->err);
    check_reported(result->err);
    if (result->exit_code == 0) {
      done_ = true;
    } else if (sent_ || shim_.state().fired != 0) {
      killed(plan);
    } else {
      done_ = true;
      mismatch("ended with " + ending_text(*result) + " though it was not killed:\n" + result->err);
    }
  }

  void killed(const Plan& plan) {
    ++tally_.kills;
    const bool at_call = shim_.state().fired != 0;
    const bool inside = at_call || shim_.in_save();
    tally_.inside_save += inside ? 1 : 0;
    const CheckpointState state = look_at_checkpoints(output_, reference_);
    for (const std::string& fault : state.faults) mismatch(fault);
    const std::string metrics = metrics_difference(output_, reference_);
    if (!metrics.empty()) mismatch(metrics);
    char line[400];
    std::snprintf(line, sizeof line, "kill %d, rank %d, %s, %s: step %lld is the newest, %d unfinished",
                  tally_.kills, at_call ? 0 : plan.rank, inside ? "inside a save" : "outside",
                  at_call ? shim_.where().c_str() : "by time", static_cast<long long>(state.newest),
                  state.num_temporary);
    report_.say(line);
    if (state.newest < promised_) {
      ++tally_.lost;
      report_.fail("lost: step " + std::to_string(promised_) + " had been there, now the newest is " +
                   std::to_string(state.newest));
    }
    newest_ = state.newest;
  }

  // The program says where it goes on; that is the newest checkpoint.
  void check_resumed_from(const std::string& err) {
    static const std::regex line("continuing after step (\\d+)");
    std::smatch found;
    if (std::regex_search(err, found, line)) {
      ++tally_.resumes;
      if (std::stoll(found[1]) != newest_) {
        mismatch("went on after step " + found[1].str() + ", though step " + std::to_string(newest_) +
                 " is whole");
      }
    } else if (newest_ >= 0 && err.find("training: ") != std::string::npos) {
      mismatch("began anew, though step " + std::to_string(newest_) + " is whole");
    }
  }

  void check_reported(const std::string& err) {
    static const std::regex line("checkpoint of step (\\d+): ");
    for (std::sregex_iterator found(err.begin(), err.end(), line), end; found != end; ++found) {
      promised_ = std::max<std::int64_t>(promised_, std::stoll((*found)[1]));
    }
  }

  void mismatch(const std::string& what) {
    ++tally_.mismatches;
    report_.fail("run " + std::to_string(tally_.chains) + ", after kill " + std::to_string(tally_.kills) +
                 ": " + what);
  }

  static constexpr std::uint64_t kCallsOfASave = 110;  // with the removal of an old checkpoint
  const Options& options_;
  Report& report_;
  Tally& tally_;
  std::mt19937_64& random_;
  fs::path output_;
  Shim shim_;
  TrainingPlan plan_;
  Reference reference_;
  double run_seconds_ = 0;
  std::int64_t newest_ = -1, promised_ = -1;  // steps
  bool sent_ = false, done_ = false;
};

int run(const Options& options) {
  Report report(options);
  Tally tally;
  std::mt19937_64 random(options.seed);
  while (tally.kills < options.count && report.num_failures() < 20) {
    TemporaryFolder scratch;
    Chain(options, report, tally, random, scratch.path()).run();
    if (options.keep && report.failed()) {
      const fs::path kept = fs::temp_directory_path() / "faults_kill.kept";
      fs::remove_all(kept);
      fs::copy(scratch.path(), kept, fs::copy_options::recursive);
      report.say("kept: " + kept.string());
      break;
    }
  }
  report.figures = {{"count", tally.kills}, {"inside_save", tally.inside_save},
                    {"runs", tally.chains}, {"resumed", tally.resumes},
                    {"lost", tally.lost},   {"mismatches", tally.mismatches}};
  return report.finish();
}

}  // namespace
}  // namespace higgs::test

int main(int argc, char** argv) {
  return higgs::test::run(higgs::test::parse_options(argc, argv, higgs::test::kText));
}
