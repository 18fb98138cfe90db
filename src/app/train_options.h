// The settings of `train`, and the table that describes them.
#pragma once

#include <string>

#include "higgs/app/base_model.h"
#include "higgs/app/flags.h"
#include "higgs/model/adapter.h"
#include "higgs/train/trainer.h"

namespace higgs {

struct TrainOptions {
  BaseOptions base;
  std::string train_manifest, val_manifest, replay_manifest, output_dir,
      resume = "auto", balance = "none", on_too_long = "error", self_test = "on", on_save_error = "stop",
      on_nonfinite = "skip", config;
  double val_split = 0.05;
  std::int64_t max_tokens = 8192, seed = 0, comm_timeout = 600, num_workers = 0, auditions = 3;
  bool overwrite = false, skip_bad_samples = false, print_config = false, reference_path = false,
       gradient_checkpointing = false;
  std::string codebook_reduction = "mean", codebook_weights, audition_texts, init_adapter,
              lr_schedule = "cosine", lr_pattern, rank_pattern, modules_to_save;
  LoraOptions lora;
  TrainerOptions trainer;

  FlagTable table();
};

}  // namespace higgs
