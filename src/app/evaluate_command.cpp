#include "higgs/train/evaluate.h"

#include <cstdio>
#include <optional>

#include "higgs/app/base_model.h"
#include "higgs/app/command_line.h"
#include "higgs/app/commands.h"
#include "higgs/report/run_log.h"
#include "output_file.h"

namespace higgs {

int evaluate_command(const std::vector<std::string>& arguments) {
  BaseOptions options;
  std::string manifest, adapter_folder, json;
  std::int64_t batch_size = 8;
  FlagTable table;
  table.section("Data and result");
  table.add("manifest", manifest, "JSONL ChatML of held-out samples").require();
  table.section("Base, codec and device");
  options.describe(table);
  table.section("Evaluation");
  table.add("adapter", adapter_folder, "PEFT folder; default: the base alone");
  table.add("batch_size", batch_size, "samples at once").range(1);
  table.add("json", json, "file for the result as one line of JSON");
  const CommandText text{"evaluate", "Held-out losses and top-1 accuracies per codebook.",
                         "--manifest my_voice/val.jsonl --base_ckpt BASE --adapter ADAPTER"};
  if (!parse_command_line(text, arguments, table)) return 0;

  if (!json.empty()) check_output_file(json, "--json");

  BaseModel base(options);
  std::optional<Adapter> adapter;  // before the clips are encoded: it may not fit
  if (!adapter_folder.empty()) adapter.emplace(base.model(), fs::path(adapter_folder));
  DatasetOptions dataset_options;
  dataset_options.confine_paths = options.confine_paths;
  const Dataset dataset =
      Dataset::load(manifest, base.tokenizer(), base.codes(), base.ids(), dataset_options);
  Collective alone(LaunchInfo{}, 0);
  const EvalMetrics metrics =
      evaluate(base.model(), dataset, base.ids(), batch_size, {}, base.model().has_text_head(), alone);
  const std::string line = metrics_line(metrics) + "\n";
  std::fputs(line.c_str(), stdout);
  if (!json.empty()) {
    make_folder_for(json);
    write_file_atomically(json, line);
  }
  return 0;
}

}  // namespace higgs
