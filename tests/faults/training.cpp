#include "training.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include "higgs/base/hash.h"
#include "higgs/formats/checkpoint_folder.h"

namespace higgs::test {
namespace {

// What the clock and the machine's memory decide.
constexpr const char* kFieldsOfTheMachine[] = {"seconds", "tokens_per_second", "memory_bytes", "loader_wait"};

bool is_temporary(const fs::directory_entry& entry) {
  return entry.path().filename().string().rfind(".tmp", 0) == 0;
}

Json key_of(const Json& line) {
  return {line.value("kind", ""), line.value("step", -1)};
}

}  // namespace

Arguments training(const TrainingPlan& plan, const fs::path& output, const Arguments& more) {
  const std::string manifest = golden("e2e/manifest.jsonl");
  return Arguments{plan.binary,
                   "train",
                   "--base_ckpt",
                   golden("hf/model"),
                   "--train_manifest",
                   manifest,
                   "--val_manifest",
                   manifest,
                   "--output_dir",
                   output,
                   "--cache_dir",
                   plan.cache,
                   "--batch_size",
                   "2",
                   "--lr",
                   "1e-2",
                   "--lora_dropout",
                   "0.1",
                   "--max_steps",
                   std::to_string(plan.steps),
                   "--save_steps",
                   "1",
                   "--val_steps",
                   "5",
                   "--log_steps",
                   "1000",
                   "--keep_last",
                   std::to_string(plan.keep_last),
                   "--seed",
                   std::to_string(plan.seed),
                   "--device",
                   "cpu",
                   "--auditions",
                   "0",
                   "--self_test",
                   "off"} +
         more;
}

Environment training_environment(const TrainingPlan& plan, const Environment& more) {
  Environment variables = {{"OMP_NUM_THREADS", std::to_string(plan.threads)},
                           {"NO_COLOR", "1"},
                           {"XDG_CACHE_HOME", plan.cache.string()},
                           {"HF_HUB_CACHE", (plan.cache / "hub").string()}};
  const char* sanitizer = std::getenv("ASAN_OPTIONS");
  variables["ASAN_OPTIONS"] =
      (sanitizer != nullptr ? std::string(sanitizer) + ":" : "") + "verify_asan_link_order=0:detect_leaks=0";
  for (const auto& [name, value] : more) variables[name] = value;
  return variables;
}

Reference reference_of(const fs::path& output) {
  Reference reference;
  for (const CheckpointEntry& entry : list_checkpoints(output / "checkpoints")) {
    reference.checkpoints[entry.step] = checkpoint_hash(entry.folder);
  }
  reference.metrics = metrics_of(output);
  reference.adapter = text_of(output / "adapter/adapter_model.safetensors");
  return reference;
}

Reference make_reference(const TrainingPlan& plan, const fs::path& output) {
  const ProcessResult result =
      run_job(plan.ranks, training(plan, output, {"--keep_last", "0"}), training_environment(plan));
  if (result.exit_code != 0) throw std::runtime_error("an undisturbed run failed:\n" + result.err);
  Reference reference = reference_of(output);
  if (reference.checkpoints.size() != static_cast<std::size_t>(plan.steps)) {
    throw std::runtime_error("an undisturbed run left " + std::to_string(reference.checkpoints.size()) +
                             " checkpoints instead of " + std::to_string(plan.steps));
  }
  return reference;
}

std::string checkpoint_hash(const fs::path& folder) {
  Hasher hasher;
  for (const char* name : {"adapter_model.safetensors", "optimizer.safetensors"})
    hasher.update(text_of(folder / name));
  return hasher.hex();
}

std::vector<Json> metrics_of(const fs::path& output) {
  std::vector<Json> all;
  if (!fs::exists(output / "metrics.jsonl")) return all;
  const std::string text = text_of(output / "metrics.jsonl");
  const std::vector<std::string> lines = lines_of(text);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i + 1 == lines.size() && text.back() != '\n') break;
    Json line = Json::parse(lines[i], nullptr, /*allow_exceptions=*/false);
    if (!line.is_object()) line = Json{{"kind", "not JSON"}, {"step", -1}, {"line", lines[i]}};
    for (const char* field : kFieldsOfTheMachine) line.erase(field);
    all.push_back(line);
  }
  return all;
}

CheckpointState look_at_checkpoints(const fs::path& output, const Reference& reference) {
  CheckpointState state;
  for (const CheckpointEntry& entry : list_checkpoints(output / "checkpoints")) {
    const std::string name = entry.folder.filename().string();
    if (const auto fault = checkpoint_fault(entry.folder)) {
      state.faults.push_back(name + ": not whole: " + *fault);
    } else if (const auto made = reference.checkpoints.find(entry.step);
               made == reference.checkpoints.end()) {
      state.faults.push_back(name + ": the reference has no such step");
    } else if (made->second != checkpoint_hash(entry.folder)) {
      state.faults.push_back(name + ": other bytes than the reference's");
    } else {
      state.newest = std::max(state.newest, entry.step);
    }
  }
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(output / "checkpoints", error)) {
    if (is_temporary(entry)) ++state.num_temporary;
  }
  return state;
}

std::int64_t newest_visible(const fs::path& output) {
  std::int64_t newest = -1;
  std::error_code error;
  for (fs::directory_iterator entry(output / "checkpoints", error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.rfind("step-", 0) == 0) newest = std::max<std::int64_t>(newest, std::atoll(name.c_str() + 5));
  }
  return newest;
}

std::string metrics_difference(const fs::path& output, const Reference& reference) {
  for (const Json& line : metrics_of(output)) {
    const auto same = std::find_if(reference.metrics.begin(), reference.metrics.end(),
                                   [&](const Json& other) { return key_of(other) == key_of(line); });
    if (same == reference.metrics.end())
      return "metrics.jsonl: the reference has no line like " + line.dump();
    if (*same != line) return "metrics.jsonl: " + line.dump() + " instead of " + same->dump();
  }
  return "";
}

std::vector<std::string> end_differences(const fs::path& output, const Reference& reference) {
  std::vector<std::string> all;
  const fs::path adapter = output / "adapter/adapter_model.safetensors";
  if (!fs::exists(adapter)) {
    all.push_back("the finished run has no adapter");
  } else if (text_of(adapter) != reference.adapter) {
    all.push_back("the adapter is not the reference's");
  }
  const CheckpointState state = look_at_checkpoints(output, reference);
  all.insert(all.end(), state.faults.begin(), state.faults.end());
  if (state.newest != reference.checkpoints.rbegin()->first) all.push_back("the last checkpoint is missing");
  if (state.num_temporary > 0) {
    all.push_back(std::to_string(state.num_temporary) +
                  " temporary folders left in checkpoints/ of a finished run");
  }
  const std::vector<Json> metrics = metrics_of(output);
  if (metrics != reference.metrics) {
    const std::string line = metrics_difference(output, reference);
    all.push_back(line.empty()
                      ? "metrics.jsonl: " + std::to_string(metrics.size()) +
                            " lines, or another order, instead of " + std::to_string(reference.metrics.size())
                      : line);
  }
  return all;
}

}  // namespace higgs::test
