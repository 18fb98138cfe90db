// `plan`: what memory a run takes, before it starts and on any machine.
#include <algorithm>
#include <cstdio>

#include "higgs/app/base_model.h"
#include "higgs/app/command_line.h"
#include "higgs/app/commands.h"
#include "higgs/base/json.h"
#include "higgs/formats/hub.h"
#include "higgs/train/plan.h"

namespace higgs {
namespace {

struct PlanCommand {
  std::string base_ckpt, dtype = "bf16", base_dtype = "auto";
  std::int64_t batch_size = 2, lora_r = 16, sample_tokens = 500, text_tokens = 4, prompt_tokens = 0;
  double lora_dropout = 0.05, device_memory_gb = 0.0;
  bool gradient_checkpointing = false, json = false;

  FlagTable table() {
    FlagTable t;
    t.section("Base");
    t.add("base_ckpt", base_ckpt, "base checkpoint: its config.json is enough").require();
    t.add("dtype", dtype, "of the base and its activations").choose({"bf16", "fp32"});
    t.add("base_dtype", base_dtype, "nf4: the decoder's linear maps in four bits").choose({"auto", "nf4"});
    t.section("Samples");
    t.add("batch_size", batch_size, "samples per micro-batch").range(1);
    t.add("sample_tokens", sample_tokens, "tokens of a sample, audio frames included (25 a second)").range(1);
    t.add("text_tokens", text_tokens, "of them: supervised text tokens").range(0);
    t.add("prompt_tokens", prompt_tokens,
          "of them: text and frames that nothing is learnt from; what is left are supervised frames")
        .range(0);
    t.section("Adapter and memory");
    t.add("lora_r", lora_r, "rank of the adapter").range(1, 4096);
    t.add("lora_dropout", lora_dropout, "share of each module's inputs dropped").range(0.0, 0.99);
    t.add("gradient_checkpointing", gradient_checkpointing, "as train's flag");
    t.add("device_memory_gb", device_memory_gb, "says the largest micro-batch that fits; 0: doesn't")
        .range(0.0, 1e6)
        .range(0.0);
    t.section("Output");
    t.add("json", json, "one JSON object instead of a table");
    return t;
  }
};

PlanOptions plan_options(const PlanCommand& command) {
  PlanOptions options;
  options.dtype = command.dtype == "fp32" ? at::kFloat : at::kBFloat16;
  options.quantized = command.base_dtype == "nf4";
  options.r = command.lora_r;
  options.dropout = command.lora_dropout > 0.0;
  options.recompute = command.gradient_checkpointing;
  options.rows = command.batch_size * command.sample_tokens;
  const std::int64_t text = std::min(command.text_tokens, command.sample_tokens);
  const std::int64_t prompt = std::min(command.prompt_tokens, command.sample_tokens - text);
  options.text_rows = command.batch_size * text;
  options.audio_rows = command.batch_size * (command.sample_tokens - text - prompt);
  return options;
}

struct Row {
  const char* name;
  const char* key;
  std::int64_t bytes;
};

}  // namespace

int plan_command(const std::vector<std::string>& arguments) {
  PlanCommand command;
  FlagTable table = command.table();
  if (!parse_command_line(
          {"plan", "Says what memory training takes, part by part, from the configuration alone.",
           "--base_ckpt BASE --batch_size 4 --sample_tokens 500 --device_memory_gb 24"},
          arguments, table)) {
    return 0;
  }
  const fs::path folder = resolve_checkpoint(command.base_ckpt, "--base_ckpt");
  const ModelConfig config = read_model_config(folder);
  const PlanOptions options = plan_options(command);
  const ModelSize size = model_size(config, command.lora_r, options.text_head);
  const MemoryPlan plan = plan_memory(config, options);
  const std::vector<Row> rows = {{"weights", "weights", plan.weights},
                                 {"adapter", "adapter", plan.adapter},
                                 {"gradients", "gradients", plan.gradients},
                                 {"AdamW moments", "moments", plan.moments},
                                 {"activations", "activations", plan.activations},
                                 {"working memory", "working", plan.working},
                                 {"in all", "total", plan.total()}};
  const auto limit = static_cast<std::int64_t>(command.device_memory_gb * 1e9);
  const std::int64_t largest = limit > 0 ? largest_batch(config, options, limit) : 0;
  if (command.json) {
    nlohmann::ordered_json out = {
        {"parameters", size.base}, {"adapter_parameters", size.adapter}, {"tokens", options.rows}};
    for (const Row& row : rows) out[std::string(row.key) + "_bytes"] = row.bytes;
    if (limit > 0) out["largest_micro_batch_tokens"] = largest;
    std::printf("%s\n", out.dump().c_str());
    return 0;
  }
  std::printf("%s: %.2f billion parameters, adapter of %.1f million; %s, micro-batch of %lld tokens\n",
              folder.c_str(), static_cast<double>(size.base) * 1e-9, static_cast<double>(size.adapter) * 1e-6,
              command.dtype.c_str(), static_cast<long long>(options.rows));
  for (const Row& row : rows)
    std::printf("  %-16s %9.3f GB\n", row.name, static_cast<double>(row.bytes) * 1e-9);
  if (limit > 0 && largest == 0) {
    std::printf("  does not fit in %g GB\n", command.device_memory_gb);
  } else if (limit > 0) {
    std::printf("  largest micro-batch in %g GB: %lld tokens, %lld samples of %lld\n",
                command.device_memory_gb, static_cast<long long>(largest),
                static_cast<long long>(largest / command.sample_tokens),
                static_cast<long long>(command.sample_tokens));
  }
  return 0;
}

}  // namespace higgs
