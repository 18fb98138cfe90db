#include "higgs/app/base_model.h"
#include "higgs/app/command_line.h"
#include "higgs/app/commands.h"
#include "higgs/base/log.h"
#include "higgs/dist/ranks.h"
#include "shared_encoding.h"
#include "stop_signal.h"

namespace higgs {

namespace {

int encode(const BaseOptions& options, const std::string& manifest, bool skip_bad_samples,
           Collective& ranks) {
  BaseModel base(options, ranks.launch().local_rank);
  const EncodedCount count = encode_together(manifest, base, ranks, [&](const UserError& error) {
    if (!skip_bad_samples) throw error;
    log::error(std::string(error.what()) + "; skipped");  // the other ranks don't see this line
  });
  if (count.lines == 0) throw UserError(manifest + ": no usable sample is left");
  log::info(std::to_string(count.lines) + " samples: " + std::to_string(count.encoded) + " clips encoded, " +
            std::to_string(count.reused) + " were in the cache");
  return 0;
}

}  // namespace

int encode_command(const std::vector<std::string>& arguments) {
  install_stop_signals();
  BaseOptions options;
  std::string manifest;
  std::int64_t comm_timeout = 600;
  bool skip_bad_samples = false;
  FlagTable table;
  table.section("Data");
  table.add("manifest", manifest, "JSONL ChatML whose clips are encoded").require();
  table.section("Base, codec and device");
  options.describe(table);
  table.section("Samples and ranks");
  table.add("skip_bad_samples", skip_bad_samples, "leave out lines that can't be used instead of stopping");
  const CommandText text{
      "encode", "Encodes a manifest's clips into the code cache; clips already there are passed over.",
      "--manifest my_voice/train.jsonl --base_ckpt BASE"};
  table
      .add("comm_timeout", comm_timeout,
           "seconds without progress of a rank that others wait for, until the job ends; also the time to "
           "join")
      .range(1);
  std::exception_ptr mistake;
  try {
    if (!parse_command_line(text, arguments, table)) return 0;
  } catch (...) {
    mistake = std::current_exception();
  }
  return run_ranks(read_launch(), comm_timeout, [&](Collective& ranks) {
    if (mistake) std::rethrow_exception(mistake);
    return encode(options, manifest, skip_bad_samples, ranks);
  });
}

}  // namespace higgs
