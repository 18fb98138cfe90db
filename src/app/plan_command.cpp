// `plan`: what memory and time a run takes, before it starts and on any machine.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "higgs/app/base_model.h"
#include "higgs/app/command_line.h"
#include "higgs/app/commands.h"
#include "higgs/base/format.h"
#include "higgs/base/json.h"
#include "higgs/base/log.h"
#include "higgs/formats/hub.h"
#include "higgs/model/module_groups.h"
#include "higgs/train/plan.h"

namespace higgs {
namespace {

struct PlanCommand {
  std::string base_ckpt, dtype = "bf16", base_dtype = "auto", modules_to_save;
  std::int64_t batch_size = 2, lora_r = 16, sample_tokens = 500, text_tokens = 4, prompt_tokens = 0;
  double lora_dropout = 0.05, device_memory_gb = 0.0;
  std::int64_t grad_accum = 1, ranks = 1;
  double hours = 0.0, epochs = 1.0, tflops = 0.0;
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
    t.add("modules_to_save", modules_to_save, "as train's flag");
    t.add("lora_dropout", lora_dropout, "share of each module's inputs dropped").range(0.0, 0.99);
    t.add("gradient_checkpointing", gradient_checkpointing, "as train's flag");
    t.add("device_memory_gb", device_memory_gb, "says the largest micro-batch that fits; 0: doesn't")
        .range(0.0, 1e6);
    t.section("Steps and time");
    t.add("hours", hours, "of recordings to be learnt: says steps and tokens; 0: doesn't").range(0.0, 1e7);
    t.add("epochs", epochs, "passes over them").range(0.0, 1e6);
    t.add("grad_accum", grad_accum, "micro-batches per optimizer step").range(1, 1e6);
    t.add("ranks", ranks, "processes, one a GPU").range(1, 1e6);
    t.add("tflops", tflops,
          "TFLOP/s that a GPU reaches in training: says the time of it; 0: doesn't. Published for LoRA of an "
          "8B "
          "model in bf16: 400 on an H100")
        .range(0.0, 1e6);
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
  options.modules_to_save = parse_modules_to_save(command.modules_to_save, "--modules_to_save");
  options.dropout = command.lora_dropout > 0.0;
  options.recompute = command.gradient_checkpointing;
  options.rows = command.batch_size * command.sample_tokens;
  const std::int64_t text = std::min(command.text_tokens, command.sample_tokens);
  const std::int64_t prompt = std::min(command.prompt_tokens, command.sample_tokens - text);
  options.text_rows = command.batch_size * text;
  options.audio_rows = command.batch_size * (command.sample_tokens - text - prompt);
  options.sample_rows = command.sample_tokens;
  return options;
}

// A run's steps and time; zeros for what isn't known.
struct Course {
  std::int64_t tokens_per_step = 0, samples = 0, steps_per_epoch = 0, steps = 0;
  double step_seconds = 0.0, epoch_seconds = 0.0;
};

Course course_of(const PlanCommand& command, const ModelConfig& config, const PlanOptions& options) {
  Course course;
  const std::int64_t samples_per_step = command.batch_size * command.grad_accum * command.ranks;
  course.tokens_per_step = samples_per_step * command.sample_tokens;
  const std::int64_t frames = options.audio_rows / command.batch_size;
  if (command.hours > 0.0 && frames > 0) {
    course.samples = std::max<std::int64_t>(
        1, std::llround(command.hours * 3600.0 * kFramesPerSecond / static_cast<double>(frames)));
    const double samples_per_epoch = static_cast<double>(course.samples);
    course.steps_per_epoch =
        static_cast<std::int64_t>(std::ceil(samples_per_epoch / static_cast<double>(samples_per_step)));
    course.steps = static_cast<std::int64_t>(
        std::ceil(command.epochs * samples_per_epoch / static_cast<double>(samples_per_step)));
  }
  if (command.tflops > 0.0) {
    course.step_seconds = static_cast<double>(command.grad_accum) * micro_batch_flops(config, options) /
                          (command.tflops * 1e12);
    course.epoch_seconds = course.step_seconds * static_cast<double>(course.steps_per_epoch);
  }
  return course;
}

nlohmann::ordered_json json_of(const Course& course) {
  nlohmann::ordered_json out = {{"tokens_per_step", course.tokens_per_step}};
  if (course.samples > 0) {
    out["samples"] = course.samples;
    out["steps_per_epoch"] = course.steps_per_epoch;
    out["steps"] = course.steps;
  }
  if (course.step_seconds > 0.0) out["step_seconds"] = course.step_seconds;
  if (course.epoch_seconds > 0.0) out["epoch_seconds"] = course.epoch_seconds;
  return out;
}

void print_course(const Course& course, const PlanCommand& command) {
  const auto line = [](const char* name, const std::string& text) {
    std::printf("  %-16s %s\n", name, text.c_str());
  };
  line("tokens per step", std::to_string(course.tokens_per_step));
  if (course.samples > 0) {
    line("steps", std::to_string(course.steps) + ", " + std::to_string(course.steps_per_epoch) +
                      " an epoch of " + std::to_string(course.samples) + " samples");
  }
  if (course.step_seconds > 0.0) {
    line("time per step",
         formatted("%.3g s", course.step_seconds) + formatted(" at %g TFLOP/s", command.tflops));
  }
  if (course.epoch_seconds > 0.0) {
    line("time per epoch", log::duration_text(course.epoch_seconds) + ", " +
                               log::duration_text(course.step_seconds * static_cast<double>(course.steps)) +
                               " in all");
  }
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
  if (!parse_command_line({"plan", "Says what memory and time training takes, from the configuration alone.",
                           "--base_ckpt BASE --batch_size 4 --device_memory_gb 24 --hours 1"},
                          arguments, table)) {
    return 0;
  }
  const fs::path folder = resolve_checkpoint(command.base_ckpt, "--base_ckpt");
  const ModelConfig config = read_model_config(folder);
  const PlanOptions options = plan_options(command);
  const ModelSize size = model_size(config, command.lora_r, options.text_head, options.modules_to_save);
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
  const Course course = course_of(command, config, options);
  if (command.json) {
    nlohmann::ordered_json out = {
        {"parameters", size.base}, {"adapter_parameters", size.adapter}, {"tokens", options.rows}};
    for (const Row& row : rows) out[std::string(row.key) + "_bytes"] = row.bytes;
    if (limit > 0) out["largest_micro_batch_tokens"] = largest;
    out.update(json_of(course));
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
  print_course(course, command);
  return 0;
}

}  // namespace higgs
