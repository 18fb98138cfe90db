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
  trainer.rates = parse_group_values(options.lr_pattern, "--lr_pattern", /*with_whole=*/true);
  options.lora.modules_to_save = parse_modules_to_save(options.modules_to_save, "--modules_to_save");
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

namespace {

void check_whole_modules(const Adapter& adapter, const TrainOptions& options) {
  const std::vector<std::string> trained = adapter.trained_modules();
  const auto is_trained = [&](const std::string& name) { return std::ranges::count(trained, name) > 0; };
  const auto without_loss = [&](const char* name, const char* loss, const char* flag) {
    if (!is_trained(name)) return;
    throw UserError(std::string("the module ") + name + " is to be trained whole, and there is no " + loss +
                    " loss (" + flag + "), which alone reaches it; leave it out");
  };
  if (!options.trainer.text_loss) without_loss("text_lm_head", "text", "--text_weight 0");
  if (options.trainer.objective.audio_weight == 0.0)
    without_loss("audio_lm_head", "audio", "--audio_weight 0");
  for (const WholeModule& whole : kWholeModules) {
    const bool has_rate = std::ranges::any_of(
        options.trainer.rates, [&](const GroupValue& rate) { return rate.group == whole.name; });
    if (has_rate && !is_trained(whole.name)) {
      throw UserError("--lr_pattern '" + options.lr_pattern + "': " + whole.name +
                      " is not trained whole; name it in --modules_to_save too");
    }
  }
}

std::unique_ptr<Adapter> open_adapter(HiggsModel& model, const FlagTable& table,
                                      const TrainOptions& options) {
  if (options.init_adapter.empty()) return std::make_unique<Adapter>(model, options.lora);
  for (const char* flag :
       {"lora_r", "lora_alpha", "use_rslora", "use_dora", "rank_pattern", "modules_to_save"}) {
    if (table.was_given(flag))
      throw UserError(std::string("--") + flag + " is as the adapter of --init_adapter has it; leave it out");
  }
  auto adapter = std::make_unique<Adapter>(model, fs::path(options.init_adapter));
  adapter->continue_with(options.lora);
  log::info("starting from the adapter " + options.init_adapter);
  for (const std::string& name : adapter->saved_tensors())
    log::info("its " + name + " is used and saved, and not trained");
  return adapter;
}

}  // namespace

std::unique_ptr<Adapter> make_adapter(HiggsModel& model, const FlagTable& table,
                                      const TrainOptions& options) {
  std::unique_ptr<Adapter> adapter = open_adapter(model, table, options);
  check_whole_modules(*adapter, options);
  return adapter;
}

}  // namespace higgs
