// Asked to stop at random moments; see --help.
#include <signal.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <sstream>

#include "training.h"

namespace higgs::test {
namespace {

constexpr ProgramText kText = {
    "faults_signals",
    "Sends SIGTERM, SIGINT, SIGHUP or SIGUSR1 at random moments to a training run, starts it again, and so "
    "on until "
    "it is done.\n"
    "With two ranks the signal goes to scripts/launch, or, SIGUSR1, to mpirun itself. Each must end with 143 "
    "and a\n"
    "checkpoint of its last step, or without one where no step was done; the end is bit for bit that of a "
    "run never\n"
    "stopped. Then: a signal before there is anything to save; a second one, which ends a long step at once.",
    "signals", 6, true};

constexpr int kSteps = 60;
constexpr double kLimit = 60;  // seconds for a start, more where ranks and threads share few processors

// Whether a process has its handlers, of which SIGHUP's is the last.
bool listens(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("SigCgt:", 0) != 0) continue;
    const auto caught = std::stoull(line.substr(8), nullptr, 16);
    return (caught >> (SIGTERM - 1) & 1) != 0 && (caught >> (SIGHUP - 1) & 1) != 0;
  }
  return false;
}

// The processes of higgs_train that mpirun started, itself started by `ancestor` or being it.
std::vector<pid_t> ranks_below(pid_t ancestor) {
  struct Entry {
    pid_t pid, parent;
    std::string name;
  };
  std::vector<Entry> all;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc", error)) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    std::string line;
    if (pid <= 0 || !std::getline(std::ifstream(entry.path() / "stat"), line)) continue;
    const std::size_t open = line.find('('), close = line.rfind(')');
    if (close == std::string::npos) continue;
    std::istringstream rest(line.substr(close + 1));
    std::string state;
    pid_t parent = 0;
    rest >> state >> parent;
    all.push_back({pid, parent, line.substr(open + 1, close - open - 1)});
  }
  std::vector<pid_t> family = {ancestor}, ranks;
  for (std::size_t i = 0; i < family.size(); ++i) {
    for (const Entry& entry : all) {
      if (entry.parent != family[i]) continue;
      family.push_back(entry.pid);
      if (entry.name == "higgs_train") ranks.push_back(entry.pid);
    }
  }
  return ranks;
}

struct Tally {
  int signals = 0, checkpoints = 0, before_a_step = 0, runs = 0, lost = 0;
  double longest_delay = 0.5;  // seconds; follows how long the rest of a run takes
};

class Chain {
 public:
  Chain(const Options& options, Report& report, Tally& tally, std::mt19937_64& random)
      : options_(options), report_(report), tally_(tally), random_(random), output_(scratch_ / "run") {
    plan_.binary = options.binary;
    plan_.ranks = options.ranks;
    plan_.threads = static_cast<int>(draw(1, 2));
    plan_.steps = kSteps;
    plan_.seed = draw(1, 1000000);
    plan_.cache = scratch_ / "cache";
    reference_ = make_reference(plan_, scratch_ / "reference");
  }

  void run() {
    ++tally_.runs;
    for (int start = 0; !done_; ++start) {
      if (start > 100) throw std::runtime_error("a run was stopped 100 times and isn't done");
      one_start();
    }
    for (const std::string& difference : end_differences(output_, reference_))
      fail("at the end: " + difference);
  }

  void before_anything_to_save() {
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) {
      Process process(training(plan_, scratch_ / "early"), training_environment(plan_));
      while (process.running() && !listens(process.pid())) sleep_seconds(1e-4);
      process.send(signal);
      const ProcessResult result = process.wait();
      name_ = "signal " + std::to_string(signal) + " before there is anything to save";
      if (result.exit_code != 143) fail(ending_text(result) + "\n" + result.err);
      if (last_words(result).size() != 1)
        fail("says " + std::to_string(last_words(result).size()) + " last lines");
      if (newest_visible(scratch_ / "early") >= 0) fail("there is a checkpoint");
      fs::remove_all(scratch_ / "early");
    }
  }

  // A step of several seconds: the first signal waits for its end, the second doesn't.
  void second_signal() {
    name_ = "a second signal";
    const fs::path output = scratch_ / "long";
    const Arguments flags = {"--grad_accum", "3000", "--val_steps", "0"};
    const bool scripted = options_.ranks > 1;
    Process process(scripted ? launch(training(plan_, output, flags)) : training(plan_, output, flags),
                    environment());
    while (process.running() && metrics_of(output).empty())
      sleep_seconds(1e-3);  // the validation before step 1
    sleep_seconds(0.2);
    process.send(SIGTERM);
    sleep_seconds(scripted ? 3.2 : 1.5);
    if (!process.running()) {
      fail("the first one ended it, or the step was too short: " + process.wait().err);
      return;
    }
    const double sent = now_seconds();
    process.send(SIGTERM);
    const ProcessResult result = process.wait();
    const double seconds = now_seconds() - sent;
    if (result.exit_code != 143) fail(ending_text(result) + "\n" + result.err);
    if (seconds > (scripted ? 5.0 : 0.5)) fail("took " + std::to_string(seconds) + " s");
    if (newest_visible(output) >= 0) fail("there is a checkpoint of a step that wasn't done");
    report_.say(name_ + " ended it after " + std::to_string(seconds) + " s");
  }

 private:
  std::uint64_t draw(std::uint64_t low, std::uint64_t high) {
    return std::uniform_int_distribution<std::uint64_t>(low, high)(random_);
  }

  static Arguments launch(Arguments command) {
    command.erase(command.begin());
    return Arguments{(source_dir() / "scripts/launch").string(), "-n", "2", "--"} + command;
  }
  Environment environment() const {
    return training_environment(plan_, {{"HIGGS_TRAIN", plan_.binary.string()}});
  }

  // All processes that are to save can act on a signal.
  bool ready(Process& process) {
    if (options_.ranks == 1) return listens(process.pid());
    const std::vector<pid_t> ranks = ranks_below(process.pid());
    return ranks.size() == static_cast<std::size_t>(options_.ranks) &&
           std::all_of(ranks.begin(), ranks.end(), listens);
  }

  void one_start() {
    Arguments command = training(plan_, output_, {"--save_steps", "0"});
    const int signal = std::vector<int>{SIGTERM, SIGINT, SIGHUP, SIGUSR1}[draw(0, 3)];
    if (options_.ranks > 1 && signal != SIGUSR1) command = launch(command);
    if (options_.ranks > 1 && signal == SIGUSR1) {
      command = Arguments{"mpirun", "--allow-run-as-root",         "--oversubscribe", "--bind-to", "none",
                          "-np",    std::to_string(options_.ranks)} +
                command;
    }
    const bool to_be_sent = tally_.signals < options_.count;
    Process process(command, environment());
    const double start = now_seconds();
    const double delay = std::uniform_real_distribution<double>(0, tally_.longest_delay)(random_);
    while (process.running() && !ready(process)) sleep_seconds(1e-3);
    sleep_seconds(delay);
    const bool sent = to_be_sent && process.running();
    if (sent) process.send(signal);
    while (process.running()) {
      if (now_seconds() > start + kLimit * plan_.ranks * plan_.threads)
        return void(done_ = true),
               fail(sent ? "hangs after signal " + std::to_string(signal) : "is not done in time");
      sleep_seconds(1e-3);
    }
    const ProcessResult result = process.wait();
    if (to_be_sent) tally_.longest_delay *= result.exit_code == 0 ? 0.7 : 1.1;
    if (result.exit_code == 0) {
      done_ = true;
    } else if (!sent) {
      done_ = true;
      fail(ending_text(result) + " though no signal was sent:\n" + result.err);
    } else {
      stopped(signal, result);
    }
  }

  void stopped(int signal, const ProcessResult& result) {
    ++tally_.signals;
    name_ = "signal " + std::to_string(signal) + ", number " + std::to_string(tally_.signals);
    if (result.exit_code != 143) fail(ending_text(result) + "\n" + result.err);
    const CheckpointState state = look_at_checkpoints(output_, reference_);
    for (const std::string& fault : state.faults) fail(fault);
    if (state.num_temporary > 0) fail("a temporary folder was left");
    std::int64_t last_step = newest_;
    for (const Json& line : metrics_of(output_)) {
      if (line["kind"] == "train") last_step = std::max<std::int64_t>(last_step, line["step"]);
    }
    const std::string metrics = metrics_difference(output_, reference_);
    if (!metrics.empty()) fail(metrics);
    if (state.newest != last_step) {
      ++tally_.lost;
      fail("step " + std::to_string(last_step) + " was done, the newest checkpoint is of " +
           std::to_string(state.newest));
    }
    tally_.checkpoints += state.newest > newest_ ? 1 : 0;
    tally_.before_a_step += state.newest < 0 ? 1 : 0;
    newest_ = state.newest;
    report_.say(name_ + ": 143, " +
                (newest_ < 0 ? "before the first step" : "step " + std::to_string(newest_)));
  }

  void fail(const std::string& what) { report_.fail(name_ + ": " + what); }

  const Options& options_;
  Report& report_;
  Tally& tally_;
  std::mt19937_64& random_;
  TemporaryFolder scratch_;
  fs::path output_;
  TrainingPlan plan_;
  Reference reference_;
  std::int64_t newest_ = -1;
  std::string name_ = "start";
  bool done_ = false;
};

int run(const Options& options) {
  // Runs inherit these; nohup, or a shell that starts this in the background, leaves them ignored.
  for (const int signal : {SIGINT, SIGHUP}) ::signal(signal, SIG_DFL);
  Report report(options);
  Tally tally;
  std::mt19937_64 random(options.seed);
  while (tally.signals < options.count && report.num_failures() < 20) {
    Chain chain(options, report, tally, random);
    chain.run();
    if (tally.runs > 1) continue;
    if (options.ranks == 1) chain.before_anything_to_save();
    chain.second_signal();
  }
  report.figures = {{"count", tally.signals},
                    {"with_a_new_checkpoint", tally.checkpoints},
                    {"before_a_step", tally.before_a_step},
                    {"runs", tally.runs},
                    {"lost", tally.lost},
                    {"mismatches", report.num_failures()}};
  return report.finish();
}

}  // namespace
}  // namespace higgs::test

int main(int argc, char** argv) {
  return higgs::test::run(higgs::test::parse_options(argc, argv, higgs::test::kText));
}
