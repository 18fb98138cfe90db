// What the scenarios of faults_surroundings share: a run on clips that are encoded, the same never disturbed,
// and what may be expected of one that was.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "folders.h"
#include "training.h"

namespace higgs::test {

class Scene {
 public:
  Scene(const Options& options, Report& report);

  // A folder of the scenario's own, emptied for each; the run's output folder; its clips and manifest, copied
  // anew.
  fs::path folder() const { return scratch_ / "scene"; }
  fs::path output() const { return folder() / "run"; }
  fs::path data() const { return folder() / "voice"; }
  fs::path manifest() const { return data() / "train.jsonl"; }
  fs::path clip(int index) const;
  fs::path cache() const { return folder() / "codes"; }
  int num_clips() const { return static_cast<int>(clips_.size()); }
  void begin(const std::string& name);

  Arguments command(const Arguments& more = {}) const;
  Environment environment(const Environment& more = {}) const { return training_environment(plan_, more); }
  ProcessResult train(const Arguments& more = {}, const Environment& variables = {}) const;
  // Stops after about half of the steps, with a checkpoint.
  void train_half() const;
  // Starts it, and calls `disturb` once the first steps are done and the last are not.
  ProcessResult train_disturbed(const std::function<void()>& disturb) const;

  // It ended with 0, and is what a run never disturbed is.
  void expect_equal(const ProcessResult& result);
  // Exit code 2 (or as given), one line that names each of `parts`; whatever stood in the output folder
  // stands there.
  void expect_refused(const ProcessResult& result, const std::vector<std::string>& parts, int exit_code = 2);
  void expect_whole_checkpoints();
  void check(bool holds, const std::string& what) { report_.check(holds, name_ + ": " + what); }
  void skip(const std::string& why) { report_.skip(name_ + ": " + why); }
  void note(const std::string& what) { report_.say(name_ + ": " + what); }
  bool can_mount() const { return mount_fault_.empty(); }
  const std::string& mount_fault() const { return mount_fault_; }

 private:
  Report& report_;
  TemporaryFolder scratch_;
  TrainingPlan plan_;
  Reference reference_;
  std::vector<std::string> clips_;  // names in data()
  std::string name_, mount_fault_;
};

struct Scenario {
  const char* name;
  void (*run)(Scene&);
};
std::vector<Scenario> clip_scenarios();
std::vector<Scenario> folder_scenarios();
std::vector<Scenario> machine_scenarios();

}  // namespace higgs::test
