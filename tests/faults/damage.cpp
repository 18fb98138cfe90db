// Checkpoints that are cut short, changed, or incomplete; see --help.
#include <algorithm>
#include <random>

#include "damages.h"
#include "folders.h"
#include "higgs/formats/checkpoint_folder.h"
#include "training.h"

namespace higgs::test {
namespace {

constexpr ProgramText kText = {"faults_damage",
                               "Damages the newest checkpoint of a run: each file cut to 0 bytes, 1 byte, "
                               "its header, half, all but a byte; bits\n"
                               "flipped; files missing, swapped or replaced by folders; MANIFEST.json edited "
                               "by someone hostile; contents that no\n"
                               "run wrote behind hashes that are right. --resume auto must say why it passes "
                               "that checkpoint over and go on from the\n"
                               "one before, bit for bit; where all checkpoints are damaged, and with "
                               "--resume PATH, the run must end with 2 and one\n"
                               "line, and change nothing.",
                               "damages drawn; 0: all of them", 0, false};

constexpr int kSteps = 4;

class Sweep {
 public:
  Sweep(const Options& options, Report& report) : report_(report), random_(options.seed) {
    plan_.binary = options.binary;
    plan_.steps = kSteps;
    plan_.keep_last = 0;
    plan_.cache = scratch_ / "cache";
    reference_ = make_reference(plan_, whole_);
    fs::remove_all(whole_ / "adapter");
    std::vector<Damage> damages = all_damages(whole_ / "checkpoints" / checkpoint_name(kSteps), random_);
    if (options.count > 0) std::shuffle(damages.begin(), damages.end(), random_);
    if (options.count > 0) damages.resize(std::min(damages.size(), static_cast<std::size_t>(options.count)));
    damages_ = damages;
  }

  void run() {
    for (const Damage& damage : damages_) {
      name_ = damage.name;
      const int failures = report_.num_failures();
      try {
        const std::string reason = automatic(damage);
        given_path(damage);
        if (damage.kind != Damage::Kind::kHarmless) all_damaged(damage);
        if (report_.num_failures() == failures) report_.say(name_ + ": " + reason);
      } catch (const std::exception& error) {
        fail(error.what());
      }
    }
    report_.figures = {{"count", damages_.size()},
                       {"passed_over", num_passed_over_},
                       {"taken_unharmed", num_taken_},
                       {"refused", num_refused_},
                       {"mismatches", report_.num_failures()}};
  }

 private:
  fs::path checkpoint(int step) const { return output_ / "checkpoints" / checkpoint_name(step); }

  void restore() {
    fs::remove_all(output_);
    copy_folder(whole_, output_);
  }
  ProcessResult train(const fs::path& output, const Arguments& flags = {}) {
    return run_job(1, training(plan_, output, flags), training_environment(plan_), 60);
  }

  // One line, exit code 2. What it says.
  std::string refused(const ProcessResult& result, const std::string& when, const std::string& named) {
    const std::vector<std::string> words = last_words(result);
    if (result.exit_code != 2) fail(when + ": " + ending_text(result) + " instead of 2\n" + result.err);
    if (words.size() != 1) {
      fail(when + ": " + std::to_string(words.size()) + " last lines");
      return "";
    }
    if (words[0].find(named) == std::string::npos) fail(when + ": " + named + " is not named: " + words[0]);
    ++num_refused_;
    return words[0];
  }

  std::string automatic(const Damage& damage) {
    restore();
    damage.apply(checkpoint(kSteps));
    const ProcessResult result = train(output_);
    if (damage.kind == Damage::Kind::kFalse && result.exit_code == 2) {
      return refused(result, "--resume auto", checkpoint_name(kSteps));
    }
    if (result.exit_code != 0) {
      fail("--resume auto: " + ending_text(result) + "\n" + result.err);
      return "";
    }
    for (const std::string& difference : end_differences(output_, reference_))
      fail("at the end: " + difference);
    const std::string passed = checkpoint_name(kSteps) + ": passed over: ";
    const std::size_t at = result.err.find(passed);
    if (at == std::string::npos) {
      if (damage.kind != Damage::Kind::kHarmless) fail("the checkpoint was taken");
      ++num_taken_;
      return "taken, unharmed";
    }
    ++num_passed_over_;
    if (damage.kind == Damage::Kind::kHarmless) fail("was passed over for nothing");
    const std::string reason = result.err.substr(at, result.err.find('\n', at) - at);
    if (reason.size() <= passed.size()) fail("no reason is given");
    if (reason.size() > 10000) fail("the reason has " + std::to_string(reason.size()) + " letters");
    if (result.err.find("continuing after step " + std::to_string(kSteps - 1)) == std::string::npos) {
      fail("didn't go on from the checkpoint before:\n" + result.err);
    }
    return reason.substr(passed.size());
  }

  // In another folder, from the damaged one.
  void given_path(const Damage& damage) {
    restore();
    damage.apply(checkpoint(kSteps));
    const fs::path other = scratch_ / "other";
    fs::remove_all(other);
    const ProcessResult result = train(other, {"--resume", checkpoint(kSteps)});
    if (damage.kind == Damage::Kind::kHarmless) {
      if (result.exit_code != 0) fail("--resume PATH: " + ending_text(result) + "\n" + result.err);
      return;
    }
    refused(result, "--resume PATH", checkpoint_name(kSteps));
    if (fs::exists(other)) fail("--resume PATH: made the output folder");
  }

  void all_damaged(const Damage& damage) {
    restore();
    for (int step = 1; step <= kSteps; ++step) damage.apply(checkpoint(step));
    const auto before = snapshot(output_);
    refused(train(output_), "all checkpoints damaged", output_.filename());
    if (snapshot(output_) != before) fail("all checkpoints damaged: something was changed");
  }

  void fail(const std::string& what) { report_.fail(name_ + ": " + what); }

  Report& report_;
  std::mt19937_64 random_;
  TemporaryFolder scratch_;
  fs::path whole_ = scratch_ / "whole", output_ = scratch_ / "run";
  TrainingPlan plan_;
  Reference reference_;
  std::vector<Damage> damages_;
  std::string name_;
  int num_passed_over_ = 0, num_taken_ = 0, num_refused_ = 0;
};

}  // namespace
}  // namespace higgs::test

int main(int argc, char** argv) {
  const auto options = higgs::test::parse_options(argc, argv, higgs::test::kText);
  higgs::test::Report report(options);
  higgs::test::Sweep(options, report).run();
  return report.finish();
}
