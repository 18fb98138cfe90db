#include "shared_encoding.h"

#include <ATen/ops/tensor.h>

#include "higgs/base/log.h"
#include "higgs/data/manifest.h"
#include "stop_signal.h"

namespace higgs {
namespace {

std::size_t encode_pass(const std::string& counter, const std::string& manifest, BaseModel& base,
                        Collective& ranks, const std::function<void(const UserError&)>& on_bad_line) {
  const std::size_t size = count_samples(manifest);
  log::Progress progress("encoding clips");
  const auto next_line = [&] {
    stop_if_requested();
    ranks.progress();
    const auto line = static_cast<std::size_t>(ranks.take_next(counter));
    progress(size > 0 ? std::min(line, size) : line, size);
    return line;
  };
  const std::size_t num_good = encode_lines(manifest, base.tokenizer(), base.codes(), base.ids(), next_line,
                                            on_bad_line, base.confine_paths());
  ranks.barrier();
  return num_good;
}

}  // namespace

EncodedCount encode_together(const std::string& manifest, BaseModel& base, Collective& ranks,
                             const std::function<void(const UserError&)>& on_bad_line) {
  ranks.at(0, "encoding clips");
  const auto encoded = static_cast<std::int64_t>(base.codes().num_encoded());
  const auto reused = static_cast<std::int64_t>(base.codes().num_reused());
  const std::size_t lines = encode_pass("encode " + manifest, manifest, base, ranks, on_bad_line);
  at::Tensor counts = at::tensor({static_cast<std::int64_t>(lines),
                                  static_cast<std::int64_t>(base.codes().num_encoded()) - encoded,
                                  static_cast<std::int64_t>(base.codes().num_reused()) - reused});
  if (!ranks.launch().single_node()) {
    encode_pass("encode " + manifest + " on " + host_name(), manifest, base, ranks, [](const UserError&) {});
  }
  ranks.sum(counts);
  const auto* sums = counts.const_data_ptr<std::int64_t>();
  return {sums[0], sums[1], sums[2]};
}

}  // namespace higgs
