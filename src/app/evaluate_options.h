// The settings of `evaluate`.
#pragma once

#include <string>

#include "higgs/app/base_model.h"
#include "higgs/model/sampling.h"

namespace higgs {

struct EvaluateOptions {
  std::string manifest, adapter, run, beside = "on", out_dir, json;
  BaseOptions base;
  std::int64_t batch_size = 8, speak = 16, seed = 0;
  SamplingOptions sampling;

  FlagTable table();
  // UserError for what can't be together, and for results that can't be written.
  void check() const;
  bool json_to_stdout() const { return json == "-"; }
};

}  // namespace higgs
