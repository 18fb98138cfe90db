// A checkpoint's tensors spread over files of limited size, with the index that Hugging Face's loaders read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "higgs/formats/safetensors.h"

namespace higgs {

struct Shard {
  std::string file;  // "model.safetensors", or "model-00001-of-00003.safetensors"
  std::vector<TensorSpec> specs;
};

// In the order given, each file as full as `max_bytes` of tensors allow; a larger tensor has one to itself.
std::vector<Shard> plan_shards(const std::vector<TensorSpec>& specs, std::uint64_t max_bytes);

// model.safetensors.index.json
std::string shard_index_json(const std::vector<Shard>& shards);

std::uint64_t total_bytes(const std::vector<Shard>& shards);

// "5GB", "500MB", "800KB", "1GiB", "4096": bytes. UserError, `where` in front.
std::uint64_t parse_size(const std::string& text, const std::string& where);

}  // namespace higgs
