// `merge`: base + adapter -> a full checkpoint in the base's layout, checked before it appears.
#include "higgs/model/merge.h"

#include <malloc.h>

#include <cstdio>

#include "checkpoint_copy.h"
#include "higgs/app/command_line.h"
#include "higgs/app/commands.h"
#include "higgs/app/prompt_file.h"
#include "higgs/base/error.h"
#include "higgs/base/json.h"
#include "higgs/base/log.h"
#include "higgs/formats/hub.h"
#include "higgs/formats/staged_folder.h"
#include "higgs/model/adapter.h"
#include "higgs/model/answer.h"
#include "higgs/model/layout.h"
#include "higgs/model/weights.h"
#include "model_card.h"
#include "stop_signal.h"

namespace higgs {
namespace {

// Base and merged checkpoint in float32. Sums in another order: W x + s B A x against (W + s B A) x.
constexpr double kFloat32Limit = 1e-5;
// Else each merged weight is rounded to 8 bits once more, or the base alone sums its audio embeddings in its
// own type: 2.1e-2 measured on small random models with strong adapters, where one left out gives 0.3. (That
// the right numbers were written is known from their bytes; this asks whether they are the model's.)
constexpr double kBFloat16Limit = 1e-1;

struct MergeOptions {
  std::string base_ckpt, adapter, out, dtype = "auto", max_shard_size = "5GB", config;
  bool print_config = false;

  FlagTable table() {
    FlagTable t;
    t.section("What is joined");
    t.add("base_ckpt", base_ckpt, "base checkpoint: a folder, or a Hugging Face id found in the local cache")
        .require();
    t.add("adapter", adapter, "PEFT folder").require();
    t.add("out", out, "folder to make; it appears when all is written and checked").require();
    t.section("Weights");
    t.add("dtype", dtype, "of the written weights; auto: as the base has them")
        .choose({"auto", "bf16", "fp32"});
    t.add("max_shard_size", max_shard_size, "largest weight file: 5GB, 500MB; one file when all fits in it");
    t.section("Settings and help");
    t.add("config", config, "TOML file with these settings; flags beat it");
    t.add("print_config", print_config, "print the settings as TOML and end");
    return t;
  }
};

// The type that a checkpoint's linear maps are stored in.
at::ScalarType stored_type(const CheckpointFiles& files, const ModelConfig& config) {
  const auto found = files.tensors().find(stored_name(config.layout, "layers.0.self_attn.q_proj.weight"));
  return found == files.tensors().end() ? at::kFloat : scalar_type_of(found->second.dtype);
}

// Weights in a checkpoint's own type stay in the mapped file.
Answer answer_of_folder(const fs::path& folder, const fs::path* adapter) {
  HiggsModel model(folder, stored_type(CheckpointFiles(folder), read_model_config(folder)), at::kCPU);
  std::optional<Adapter> on;
  if (adapter != nullptr) on.emplace(model, *adapter);
  return answer_of(model);
}

// config.json says which type the weights are in.
void set_dtype(const fs::path& config_file, const std::string& dtype) {
  OrderedJson document = read_ordered_json_file(config_file);
  const auto set = [&](nlohmann::ordered_json& object) {
    for (const char* key : {"dtype", "torch_dtype"}) {
      if (object.contains(key)) object[key] = dtype;
    }
  };
  set(document);
  for (auto& [key, value] : document.items()) {
    if (value.is_object()) set(value);
  }
  write_file_atomically(config_file, document.dump(2) + "\n");
}

void check_agreement(const Answer& merged, const Answer& wanted, bool is_float32) {
  const AnswerDifference found = difference(merged, wanted);
  char text[200];
  std::snprintf(text, sizeof text,
                "largest logit difference %.3g (%.2g of the largest logit), %lld of %lld greedy codes differ",
                found.largest_difference, found.relative(), static_cast<long long>(found.num_differing_codes),
                static_cast<long long>(found.num_codes));
  const double limit = is_float32 ? kFloat32Limit : kBFloat16Limit;
  if (!(found.relative() <= limit)) {
    throw RunError("the merged checkpoint is not base and adapter: " + std::string(text) +
                   "; it was removed");
  }
  log::info("merged against base and adapter: " + std::string(text));
}

struct Inputs {
  fs::path base, adapter, out;
  std::optional<DType> dtype;
};

Inputs check_inputs(const MergeOptions& options) {
  Inputs in;
  in.out = options.out;
  check_is_new_folder(in.out, "--out");
  check_can_hold_files(in.out, "--out");
  in.base = resolve_checkpoint(options.base_ckpt, "--base_ckpt");
  in.adapter = options.adapter;
  if (options.dtype != "auto") in.dtype = options.dtype == "bf16" ? DType::kBF16 : DType::kF32;
  const std::string inside = fs::weakly_canonical(fs::absolute(in.out)).string();
  if ((inside + "/").rfind(fs::canonical(in.base).string() + "/", 0) == 0) {
    throw UserError("--out " + in.out.string() + ": lies in the base's folder; give another");
  }
  return in;
}

void copy_companions(const Inputs& in, const std::vector<fs::path>& files, const fs::path& to) {
  copy_files(in.base, files, to);
  if (in.dtype) set_dtype(to / "config.json", *in.dtype == DType::kBF16 ? "bfloat16" : "float32");
  if (const auto prompt = read_prompt_file(in.adapter)) write_prompt_file(to, *prompt);
}

int merge(const MergeOptions& options) {
  // Every tensor goes back to the system as it is done with. The allocator's own ways lose a gap for each
  // aligned block, 14 MB a weight at the released size.
  ::mallopt(M_MMAP_THRESHOLD, 1 << 20);
  const Inputs in = check_inputs(options);
  const std::uint64_t shard_size = parse_size(options.max_shard_size, "--max_shard_size");
  const ModelConfig config = read_model_config(in.base);
  const AdapterFile adapter(in.adapter);
  // Says what doesn't fit, in the words of the other commands, before anything is written.
  const Answer wanted = answer_of_folder(in.base, &in.adapter);

  const CheckpointFiles base(in.base);
  const MergedTensors merged(base, config.layout, adapter, in.dtype);
  const std::vector<Shard> shards = plan_shards(merged.specs(), shard_size);
  const std::vector<fs::path> files = companion_files(in.base);
  check_disk_space(in.out, total_bytes(shards) + size_of_files(in.base, files) + (std::uint64_t{16} << 20));

  install_stop_signals();
  StagedFolder staged(in.out);
  const auto hashes = write_merged(merged, shards, staged.path(), stop_requested);
  copy_companions(in, files, staged.path());
  MergeFacts facts{in.base, options.base_ckpt, in.adapter, config.layout, merged.num_merged(), {}, ""};
  for (const auto& [name, tensor] : adapter.saved()) facts.replaced.push_back(name);
  facts.dtype = in.dtype ? std::string(options.dtype) : "as the base's";
  write_file_atomically(staged.path() / "README.md", model_card(facts, adapter.config()));

  const std::size_t untouched = check_written(merged, hashes, staged.path());
  log::info(std::to_string(merged.num_merged()) + " weights merged, " +
            std::to_string(merged.num_replaced()) + " replaced, " + std::to_string(untouched) +
            " read back as the base's, bit for bit");
  check_agreement(answer_of_folder(staged.path(), nullptr), wanted,
                  stored_type(base, config) == at::kFloat && (!in.dtype || *in.dtype == DType::kF32));
  if (stop_requested()) throw RunError("stopped; nothing was written");
  staged.commit();
  log::info("merged checkpoint: " + in.out.string() + ", " + std::to_string(shards.size()) +
            (shards.size() == 1 ? " weight file" : " weight files"));
  return 0;
}

}  // namespace

int merge_command(const std::vector<std::string>& arguments) {
  MergeOptions options;
  FlagTable table = options.table();
  const CommandText text{"merge",
                         "Makes a full checkpoint of base and adapter, in the base's own layout and type.",
                         "--base_ckpt BASE --adapter out/my_voice/adapter --out my_voice_model"};
  if (!parse_command_line(text, arguments, table)) return 0;
  return merge(options);
}

}  // namespace higgs
