// What a step and a validation leave in metrics.jsonl, and as points in TensorBoard.
#pragma once

#include <string>
#include <vector>

#include "higgs/base/json.h"
#include "higgs/report/tensorboard.h"
#include "higgs/train/trainer.h"

namespace higgs {

// Lines of metrics.jsonl: {"kind":"train",...} and {"kind":"eval",...}; docs/watching.md lists the fields.
OrderedJson metrics_object(const StepMetrics& metrics);
OrderedJson metrics_object(const EvalMetrics& metrics);
std::string metrics_line(const StepMetrics& metrics);
std::string metrics_line(const EvalMetrics& metrics);

// The points of such an object, also of one read back: "train/loss", "eval/codebook/3". Fields that aren't
// there or not numbers have none.
std::vector<Scalar> scalars_of(const OrderedJson& metrics);

}  // namespace higgs
