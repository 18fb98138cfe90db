#include "higgs/train/checkpoint.h"

#include <ATen/core/grad_mode.h>
#include <unistd.h>

#include <algorithm>

#include "higgs/base/error.h"
#include "higgs/base/json.h"
#include "higgs/base/log.h"
#include "higgs/model/weights.h"

namespace higgs {
namespace {

constexpr const char* kStateFile = "trainer_state.json";

at::Tensor host_copy(const at::Tensor& tensor) {
  const at::NoGradGuard no_grad;
  return tensor.is_cpu() ? tensor.detach().clone() : tensor.detach().to(at::kCPU);
}

TensorToWrite entry(const std::string& name, const at::Tensor& host) {
  return {name,
          DType::kF32,
          host.sizes().vec(),
          {static_cast<const std::byte*>(host.const_data_ptr()), host.nbytes()}};
}

OrderedJson number_or_null(const std::optional<double>& value) {
  return value ? OrderedJson(*value) : OrderedJson(nullptr);
}

std::optional<double> optional_number(const JsonObject& fields, const std::string& key) {
  return fields.has(key) ? std::optional(fields.number(key)) : std::nullopt;
}

// An integer that counts something.
std::int64_t count_in(const JsonObject& fields, const std::string& key) {
  const std::int64_t count = fields.integer(key);
  if (count < 0) throw UserError(fields.where() + ": key '" + key + "' must not be negative");
  return count;
}

// Positions in the stream of samples.
std::vector<std::int64_t> positions_in(const JsonObject& fields, const std::string& key) {
  std::vector<std::int64_t> positions;
  for (const double number : fields.numbers(key)) {
    const bool ascends = positions.empty() || static_cast<double>(positions.back()) < number;
    if (!(number >= 0.0 && number < 9e15) || !ascends) {
      throw UserError(fields.where() + ": key '" + key + "' must hold ascending positions");
    }
    positions.push_back(static_cast<std::int64_t>(number));
  }
  return positions;
}

}  // namespace

std::string to_json(const CheckpointState& state) {
  OrderedJson settings = OrderedJson::object();
  for (const auto& [name, value] : state.settings) settings[name] = value;
  return OrderedJson{{"step", state.step},
                     {"samples", state.samples},
                     {"next_sample", state.place.next},
                     {"samples_left", state.place.left},
                     {"origin_step", state.origin.step},
                     {"origin_next_sample", state.origin.place.next},
                     {"origin_samples_left", state.origin.place.left},
                     {"split", state.split},
                     {"tokens", state.tokens},
                     {"seconds", state.seconds},
                     {"evaluated", state.evaluated},
                     {"validation_loss", number_or_null(state.validation_loss)},
                     {"best_validation", number_or_null(state.best_validation)},
                     {"no_better_in_row", state.no_better_in_row},
                     {"norm_mean", state.norm_mean},
                     {"norm_count", state.norm_count},
                     {"left_out_in_row", state.left_out_in_row},
                     {"newest_losses", state.newest_losses},
                     {"optimizer_steps", state.optimizer_steps},
                     {"run", state.run},
                     {"settings", settings}}
             .dump(2) +
         "\n";
}

CheckpointState state_from_json(const std::string& text, const std::string& where) {
  const Json document = parse_json(text, where);
  const JsonObject fields(document, where);
  CheckpointState state;
  state.step = count_in(fields, "step");
  state.optimizer_steps = count_in(fields, "optimizer_steps");
  state.samples = count_in(fields, "samples");
  state.place = {count_in(fields, "next_sample"), positions_in(fields, "samples_left")};
  state.origin = {count_in(fields, "origin_step"),
                  {count_in(fields, "origin_next_sample"), positions_in(fields, "origin_samples_left")}};
  state.split = fields.string("split");
  if (state.origin.step > state.step) throw UserError(where + ": key 'origin_step' lies behind 'step'");
  state.tokens = count_in(fields, "tokens");
  state.seconds = fields.number("seconds");
  state.evaluated = fields.boolean("evaluated", false);
  state.validation_loss = optional_number(fields, "validation_loss");
  state.best_validation = optional_number(fields, "best_validation");
  state.no_better_in_row = fields.has("no_better_in_row") ? count_in(fields, "no_better_in_row") : 0;
  state.norm_mean = fields.number("norm_mean");
  state.norm_count = count_in(fields, "norm_count");
  state.left_out_in_row = count_in(fields, "left_out_in_row");
  state.newest_losses = fields.numbers("newest_losses");
  state.run = fields.string("run");
  const JsonObject settings = fields.object("settings");
  for (const auto& [name, value] : settings.json().items()) {
    state.settings.emplace_back(name, settings.string(name));
  }
  return state;
}

CheckpointImage::CheckpointImage(Adapter& adapter, AdamW& optimizer, CheckpointState state, NamedTexts files)
    : adapter_(adapter),
      values_(host_copy(adapter.values())),
      first_(host_copy(optimizer.first_moment())),
      second_(host_copy(optimizer.second_moment())),
      state_(std::move(state)),
      files_(std::move(files)) {
  state_.optimizer_steps = optimizer.num_steps();
}

std::uint64_t CheckpointImage::num_bytes() const {
  constexpr std::uint64_t kSmallFiles = std::uint64_t{1} << 20;
  return 3 * values_.nbytes() + kSmallFiles;
}

void CheckpointImage::write(const fs::path& folder, const std::function<void()>& before_commit) const {
  check_disk_space(folder, num_bytes());
  CheckpointWriter writer(folder);
  adapter_.save(writer.folder(), values_);
  write_safetensors(writer.folder() / "optimizer.safetensors",
                    {entry("exp_avg", first_), entry("exp_avg_sq", second_)});
  write_file_atomically(writer.folder() / kStateFile, to_json(state_));
  for (const auto& [name, text] : files_) write_file_atomically(writer.folder() / name, text);
  before_commit();
  writer.commit();
}

std::optional<std::string> training_checkpoint_fault(const fs::path& folder) {
  return checkpoint_fault(
      folder, {"adapter_config.json", "adapter_model.safetensors", "optimizer.safetensors", kStateFile});
}

CheckpointState read_checkpoint_state(const fs::path& folder) {
  const fs::path path = folder / kStateFile;
  return state_from_json(read_file(path, kMaxJsonFile), path.string());
}

CheckpointState read_checkpoint(const fs::path& folder, Adapter& adapter, AdamW& optimizer) {
  if (const auto fault = training_checkpoint_fault(folder)) throw UserError(folder.string() + ": " + *fault);
  CheckpointState state = read_checkpoint_state(folder);

  const fs::path optimizer_path = folder / "optimizer.safetensors";
  const auto file = std::make_shared<const SafetensorsFile>(optimizer_path, SafetensorsFile::Access::kRead);
  const at::NoGradGuard no_grad;
  for (const auto& [name, target] :
       {std::pair<const char*, at::Tensor*>{"exp_avg", &optimizer.first_moment()},
        std::pair<const char*, at::Tensor*>{"exp_avg_sq", &optimizer.second_moment()}}) {
    const TensorView& view = file->at(name);
    if (at::IntArrayRef(view.shape) != target->sizes() || view.dtype != DType::kF32) {
      throw UserError(optimizer_path.string() +
                      ": is of an adapter of another size; give the same --lora_r, --use_dora and "
                      "--modules_to_save");
    }
    target->copy_(view_of(view, file));
  }
  optimizer.set_num_steps(state.optimizer_steps);
  adapter.load_values(folder / "adapter_model.safetensors");
  return state;
}

namespace {

// Validation loss of a checkpoint; nothing when it has none, or can't be read.
std::optional<double> validation_loss_of(const fs::path& folder) {
  try {
    const Json document = read_json_file(folder / kStateFile);
    return optional_number(JsonObject(document, folder.string()), "validation_loss");
  } catch (const UserError&) {
    return std::nullopt;
  }
}

// Folders of those that have one, the lowest first, the newest first where it is equal.
std::vector<fs::path> by_validation_loss(const std::vector<CheckpointEntry>& entries) {
  std::vector<std::pair<double, fs::path>> validated;
  for (const CheckpointEntry& entry : entries) {
    if (const auto loss = validation_loss_of(entry.folder)) validated.emplace_back(*loss, entry.folder);
  }
  std::stable_sort(validated.begin(), validated.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<fs::path> folders;
  for (auto& [loss, folder] : validated) folders.push_back(std::move(folder));
  return folders;
}

// Another name first: half a checkpoint is never seen under its own.
void remove_checkpoint(const fs::path& folder) {
  const fs::path aside =
      folder.parent_path() / (".tmp-old-" + folder.filename().string() + "." + std::to_string(::getpid()));
  std::error_code error;
  fs::rename(folder, aside, error);
  if (!error) fs::remove_all(aside, error);
  if (error) log::warn(folder.string() + ": cannot be removed: " + error.message());
}

}  // namespace

void remove_old_checkpoints(const fs::path& root, std::int64_t written, std::int64_t keep_last,
                            std::int64_t keep_best) {
  if (keep_last <= 0) return;
  auto entries = list_checkpoints(root);
  std::erase_if(entries, [&](const CheckpointEntry& entry) { return entry.step > written; });
  std::vector<fs::path> validated;
  if (keep_best > 0) validated = by_validation_loss(entries);
  validated.resize(
      std::min(validated.size(), static_cast<std::size_t>(std::max<std::int64_t>(0, keep_best))));
  for (std::size_t i = static_cast<std::size_t>(keep_last); i < entries.size(); ++i) {
    if (std::find(validated.begin(), validated.end(), entries[i].folder) == validated.end())
      remove_checkpoint(entries[i].folder);
  }
}

std::optional<fs::path> best_checkpoint(const fs::path& root) {
  const std::vector<fs::path> folders = by_validation_loss(list_checkpoints(root));
  return folders.empty() ? std::nullopt : std::optional(folders.front());
}

void set_later_checkpoints_aside(const fs::path& root, std::int64_t step) {
  for (const CheckpointEntry& entry : list_checkpoints(root)) {
    if (entry.step <= step) continue;
    const fs::path aside = root / ("aside-" + entry.folder.filename().string());
    std::error_code error;
    fs::remove_all(aside, error);
    fs::rename(entry.folder, aside, error);
    if (error) throw RunError(entry.folder.string() + ": cannot be renamed: " + error.message());
    log::warn(entry.folder.string() + ": of a later step than the one the run goes on from; now called " +
              aside.filename().string());
  }
}

}  // namespace higgs
