// What every command opens first: the base checkpoint, its tokenizer, its codec.
#pragma once

#include <memory>
#include <string>

#include "higgs/app/flags.h"
#include "higgs/data/code_store.h"
#include "higgs/data/dataset.h"
#include "higgs/model/config.h"
#include "higgs/model/higgs_model.h"
#include "higgs/text/tokenizer.h"

namespace higgs {

struct BaseOptions {
  std::string base_ckpt, audio_tokenizer, cache_dir, codec_rule = "auto", dtype = "auto", device = "auto";
  std::string base_dtype = "auto";
  bool confine_paths = false;  // a manifest names clips in its own folder only

  // Adds the flags these options have in every command that computes with the base.
  void describe(FlagTable& table);
  // Of those, the ones that say how clips are read and what length they have.
  void describe_clips(FlagTable& table);
};

class BaseModel {
 public:
  // Reads configuration and tokenizer; weights and codec are opened when asked for. `local_rank` picks the
  // GPU. UserError.
  explicit BaseModel(const BaseOptions& options, int local_rank = 0);

  const ModelConfig& config() const { return config_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const SpecialIds& ids() const { return ids_; }
  const fs::path& folder() const { return folder_; }
  at::Device device() const { return device_; }
  at::ScalarType dtype() const { return dtype_; }
  bool confine_paths() const { return options_.confine_paths; }

  HiggsModel& model();  // loads the weights the first time
  CodeStore& codes();   // opens the codec when a clip needs it
  std::unique_ptr<AudioTokenizer> open_codec() const;

 private:
  BaseOptions options_;
  at::Device device_;
  at::ScalarType dtype_;
  fs::path folder_;
  ModelConfig config_;
  std::unique_ptr<Tokenizer> tokenizer_;
  SpecialIds ids_;
  std::unique_ptr<HiggsModel> model_;
  std::unique_ptr<CodeStore> codes_;
};

// Where the codec is: the flag; else a codec folder inside or beside the base; else the one named in the
// base's processor_config.json; else bosonai/higgs-audio-v2-tokenizer in the hub cache. UserError otherwise.
fs::path find_codec(const std::string& flag, const fs::path& base);

}  // namespace higgs
