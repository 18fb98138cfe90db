#include "scene.h"

#include <signal.h>

#include <algorithm>
#include <stdexcept>

namespace higgs::test {
namespace {

constexpr int kSteps = 24, kClips = 4;
constexpr double kLimit = 120;

fs::path demo(const std::string& name) {
  return source_dir() / "demo" / name;
}

std::string clip_name(int index) {
  return "clips/train_0" + std::to_string(index) + ".flac";
}

std::size_t num_steps_done(const fs::path& output) {
  const std::vector<Json> lines = metrics_of(output);
  return static_cast<std::size_t>(
      std::count_if(lines.begin(), lines.end(), [](const Json& line) { return line["kind"] == "train"; }));
}

}  // namespace

Scene::Scene(const Options& options, Report& report) : report_(report) {
  if (const auto fault = own_mounts()) mount_fault_ = *fault;
  plan_.binary = options.binary;
  plan_.steps = kSteps;
  plan_.keep_last = 2;
  plan_.cache = scratch_ / "cache";
  for (int i = 0; i < kClips; ++i) clips_.push_back(clip_name(i));
  begin("a run never disturbed");
  const ProcessResult result = train({"--keep_last", "0"});
  if (result.exit_code != 0) throw std::runtime_error("an undisturbed run failed:\n" + result.err);
  reference_ = reference_of(output());
}

fs::path Scene::clip(int index) const {
  return data() / clips_.at(static_cast<std::size_t>(index));
}

void Scene::begin(const std::string& name) {
  name_ = name;
  fs::remove_all(folder());
  std::string lines;
  const std::vector<std::string> all = lines_of(text_of(demo("voice/train.jsonl")));
  for (int i = 0; i < kClips; ++i) {
    lines += all.at(static_cast<std::size_t>(i)) + "\n";
    fs::create_directories(clip(i).parent_path());
    fs::copy_file(demo("voice") / clip_name(i), clip(i));
  }
  write_text(manifest(), lines);
}

Arguments Scene::command(const Arguments& more) const {
  return training(plan_, output(),
                  Arguments{"--base_ckpt", demo("base"), "--audio_tokenizer", demo("codec"),
                            "--train_manifest", manifest(), "--val_manifest", manifest(), "--cache_dir",
                            cache(), "--val_steps", "0", "--batch_size", "1", "--lora_r", "4"} +
                      more);
}

ProcessResult Scene::train(const Arguments& more, const Environment& variables) const {
  return run_job(1, command(more), environment(variables), kLimit);
}

void Scene::train_half() const {
  const ProcessResult result = train_disturbed(nullptr);
  if (result.exit_code != 143)
    throw std::runtime_error("SIGTERM: " + ending_text(result) + "\n" + result.err);
}

ProcessResult Scene::train_disturbed(const std::function<void()>& disturb) const {
  Process process(command(), environment());
  const double start = now_seconds();
  while (process.running() && num_steps_done(output()) < 3 && now_seconds() < start + kLimit)
    sleep_seconds(1e-3);
  const bool early = num_steps_done(output()) < kSteps;
  if (disturb) {
    disturb();
  } else {
    process.send(SIGTERM);
  }
  while (process.running() && now_seconds() < start + kLimit) sleep_seconds(1e-3);
  if (process.running()) throw std::runtime_error("hangs");
  if (!early) throw std::runtime_error("was done before it could be disturbed");
  return process.wait();
}

void Scene::expect_equal(const ProcessResult& result) {
  if (result.exit_code != 0) return check(false, ending_text(result) + "\n" + result.err);
  for (const std::string& difference : end_differences(output(), reference_)) check(false, difference);
}

void Scene::expect_refused(const ProcessResult& result, const std::vector<std::string>& parts,
                           int exit_code) {
  const std::vector<std::string> words = last_words(result);
  check(result.exit_code == exit_code,
        ending_text(result) + " instead of exit code " + std::to_string(exit_code) + "\n" + result.err);
  check(words.size() == 1, std::to_string(words.size()) + " last lines instead of one");
  if (words.empty()) return;
  for (const std::string& part : parts) {
    check(words[0].find(part) != std::string::npos, "'" + part + "' is not named: " + words[0]);
  }
  note(words[0]);
}

void Scene::expect_whole_checkpoints() {
  const CheckpointState state = look_at_checkpoints(output(), reference_);
  for (const std::string& fault : state.faults) check(false, fault);
  check(state.newest >= 1, "there is no whole checkpoint");
}

}  // namespace higgs::test
