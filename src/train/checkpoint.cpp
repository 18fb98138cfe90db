#include "higgs/train/checkpoint.h"

#include <ATen/core/grad_mode.h>

#include "higgs/base/error.h"
#include "higgs/base/json.h"
#include "higgs/base/log.h"
#include "higgs/model/weights.h"

namespace higgs {
namespace {

TensorToWrite entry(const std::string& name, const at::Tensor& host) {
  return {name,
          DType::kF32,
          host.sizes().vec(),
          {static_cast<const std::byte*>(host.const_data_ptr()), host.nbytes()}};
}

}  // namespace

void write_checkpoint(const fs::path& folder, const Adapter& adapter, AdamW& optimizer,
                      const CheckpointState& state) {
  CheckpointWriter writer(folder);
  adapter.save(writer.folder());
  const at::Tensor first = optimizer.first_moment().to(at::kCPU),
                   second = optimizer.second_moment().to(at::kCPU);
  write_safetensors(writer.folder() / "optimizer.safetensors",
                    {entry("exp_avg", first), entry("exp_avg_sq", second)});
  const nlohmann::ordered_json document = {{"step", state.step},
                                           {"evaluated", state.evaluated},
                                           {"optimizer_steps", optimizer.num_steps()},
                                           {"run", state.run}};
  write_file_atomically(writer.folder() / "trainer_state.json", document.dump(2) + "\n");
  writer.commit();
}

CheckpointState read_checkpoint(const fs::path& folder, Adapter& adapter, AdamW& optimizer) {
  if (const auto fault = checkpoint_fault(folder)) throw UserError(folder.string() + ": " + *fault);
  const fs::path state_path = folder / "trainer_state.json";
  const Json document = read_json_file(state_path);
  const JsonObject fields(document, state_path.string());

  const fs::path optimizer_path = folder / "optimizer.safetensors";
  const auto file = std::make_shared<const SafetensorsFile>(optimizer_path);
  const at::NoGradGuard no_grad;
  for (const auto& [name, target] :
       {std::pair<const char*, at::Tensor*>{"exp_avg", &optimizer.first_moment()},
        std::pair<const char*, at::Tensor*>{"exp_avg_sq", &optimizer.second_moment()}}) {
    const TensorView& view = file->at(name);
    if (at::IntArrayRef(view.shape) != target->sizes() || view.dtype != DType::kF32) {
      throw UserError(optimizer_path.string() +
                      ": is of an adapter of another size; give the same --lora_r and "
                      "--use_dora");
    }
    target->copy_(view_of(view, file));
  }
  optimizer.set_num_steps(fields.integer("optimizer_steps"));
  adapter.load_values(folder / "adapter_model.safetensors");
  return {fields.integer("step"), fields.boolean("evaluated", false), fields.string("run")};
}

void remove_old_checkpoints(const fs::path& root, std::int64_t keep_last) {
  if (keep_last <= 0) return;
  const auto entries = list_checkpoints(root);
  for (std::size_t i = static_cast<std::size_t>(keep_last); i < entries.size(); ++i) {
    std::error_code error;
    fs::remove_all(entries[i].folder, error);
    if (error) log::warn(entries[i].folder.string() + ": cannot be removed: " + error.message());
  }
}

}  // namespace higgs
