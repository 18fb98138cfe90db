#include "train_method.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>

#include "higgs/base/error.h"
#include "higgs/base/log.h"

namespace higgs {
namespace {

std::vector<GroupValue> parse_ranks(const std::string& text) {
  std::vector<GroupValue> ranks = parse_group_values(text, "--rank_pattern");
  for (const GroupValue& rank : ranks) {
    if (rank.value != std::floor(rank.value) || rank.value > 4096.0)
      throw UserError("--rank_pattern '" + text + "': a rank is a whole number from 0 to 4096");
  }
  return ranks;
}

}  // namespace

void complete_method(TrainOptions& options) {
  TrainerOptions& trainer = options.trainer;
  trainer.schedule = options.lr_schedule == "cosine"   ? Schedule::kCosine
                     : options.lr_schedule == "linear" ? Schedule::kLinear
                                                       : Schedule::kConstant;
  trainer.rates = parse_group_values(options.lr_pattern, "--lr_pattern");
  options.lora.ranks = parse_ranks(options.rank_pattern);
  if (trainer.early_stopping > 0) trainer.keep_best = std::max<std::int64_t>(trainer.keep_best, 1);
}

std::vector<double> parse_codebook_weights(const std::string& text, std::int64_t num_codebooks) {
  std::vector<double> weights;
  std::istringstream numbers(text);
  double sum = 0.0;
  for (std::string number; std::getline(numbers, number, ',');) {
    const auto fail = [&] {
      throw UserError("--codebook_weights '" + text + "': '" + number + "' is not a number from 0 on");
    };
    double weight = 0.0;
    const char* end = number.data() + number.size();
    const auto [rest, error] = std::from_chars(number.data(), end, weight);
    if (error != std::errc() || rest != end || !(weight >= 0.0 && weight <= 1e6)) fail();
    weights.push_back(weight);
    sum += weight;
  }
  if (!weights.empty() && (static_cast<std::int64_t>(weights.size()) != num_codebooks || sum <= 0.0)) {
    throw UserError("--codebook_weights '" + text + "': the base has " + std::to_string(num_codebooks) +
                    " codebooks; give a number for each, not all of them 0");
  }
  return weights;
}

std::unique_ptr<Adapter> make_adapter(HiggsModel& model, const FlagTable& table,
                                      const TrainOptions& options) {
  if (options.init_adapter.empty()) return std::make_unique<Adapter>(model, options.lora);
  for (const char* flag : {"lora_r", "lora_alpha", "use_rslora", "use_dora", "rank_pattern"}) {
    if (table.was_given(flag))
      throw UserError(std::string("--") + flag + " is as the adapter of --init_adapter has it; leave it out");
  }
  auto adapter = std::make_unique<Adapter>(model, fs::path(options.init_adapter));
  adapter->continue_with(options.lora);
  log::info("starting from the adapter " + options.init_adapter);
  return adapter;
}

}  // namespace higgs
