// Base + adapter -> the tensors of a full checkpoint, one at a time, under the base's own names.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "higgs/formats/checkpoint_files.h"
#include "higgs/formats/shards.h"
#include "higgs/model/adapter_file.h"
#include "higgs/model/config.h"

namespace higgs {

class MergedTensors {
 public:
  // `dtype`: of every floating tensor; nothing: as the base has it. Both must outlive this. UserError naming
  // what the adapter holds and the base has no place for.
  MergedTensors(const CheckpointFiles& base, Layout layout, const AdapterFile& adapter,
                std::optional<DType> dtype);

  // Every tensor of the base, in the order of their names.
  const std::vector<TensorSpec>& specs() const { return specs_; }
  // True when nothing but, perhaps, the type differs from the base's.
  bool is_untouched(const std::string& name) const;
  std::size_t num_merged() const { return merged_.size(); }
  std::size_t num_replaced() const { return replaced_.size(); }

  // Contiguous, on the CPU, as its spec says: a view of the mapped file where nothing changes, else
  // W + s B A (DoRA: m/n times that), computed in float32 and rounded once, or the adapter's whole tensor.
  at::Tensor tensor(const TensorSpec& spec) const;

 private:
  void place(const AdapterFile& adapter);
  template <typename Put>
  bool place_rows(const std::string& name, std::int64_t num_rows, const Put& put) const;
  bool place_lora(const std::string& name, const LoraModule& lora);
  bool place_saved(const std::string& name, const at::Tensor& stored);
  std::vector<std::string> spellings(const std::string& name) const;

  const CheckpointFiles& base_;
  Layout layout_;
  std::vector<TensorSpec> specs_;
  std::map<std::string, LoraModule> merged_;    // by the base's name of the weight
  std::map<std::string, at::Tensor> replaced_;  // likewise
};

// Writes the shards into `folder`, with an index where there are several, and returns the hash of each
// tensor's bytes. `should_stop` is asked before each tensor; when it says so, RunError.
std::map<std::string, std::string> write_merged(const MergedTensors& merged, const std::vector<Shard>& shards,
                                                const fs::path& folder, bool (*should_stop)());

// Reads them back. RunError naming the tensor that isn't there, isn't as it was written, or should be the
// base's, bit for bit, and isn't. Returns how many of those there are.
std::size_t check_written(const MergedTensors& merged, const std::map<std::string, std::string>& hashes,
                          const fs::path& folder);

}  // namespace higgs
