#include "higgs/app/base_model.h"
#include "higgs/app/command_line.h"
#include "higgs/app/commands.h"
#include "higgs/base/log.h"

namespace higgs {

int encode_command(const std::vector<std::string>& arguments) {
  BaseOptions options;
  std::string manifest;
  bool skip_bad_samples = false;
  FlagTable table;
  table.add("manifest", manifest, "JSONL ChatML whose clips are encoded").require();
  options.describe(table);
  table.add("skip_bad_samples", skip_bad_samples, "leave out lines that can't be used instead of stopping");
  const CommandText text{
      "encode", "Encodes a manifest's clips into the code cache; clips already there are passed over."};
  if (!parse_command_line(text, arguments, table)) return 0;

  BaseModel base(options);
  DatasetOptions dataset_options;
  dataset_options.skip_bad_samples = skip_bad_samples;
  dataset_options.progress = log::Progress("reading clips");
  const Dataset dataset =
      Dataset::load(manifest, base.tokenizer(), base.codes(), base.ids(), dataset_options);
  log::info(std::to_string(dataset.size()) + " samples: " + std::to_string(base.codes().num_encoded()) +
            " clips encoded, " + std::to_string(base.codes().num_reused()) + " were in the cache");
  return 0;
}

}  // namespace higgs
