#include "model_score.h"

#include <algorithm>

#include "higgs/base/error.h"
#include "higgs/base/log.h"
#include "higgs/train/evaluate.h"

namespace higgs {
namespace {

// Counts by group; nothing where all are of one.
class GroupTally {
 public:
  GroupTally(const Grouping* grouping, std::int64_t num_codebooks) : grouping_(grouping) {
    if (grouping_ != nullptr && !grouping_->is_one())
      tallies_.assign(grouping_->names.size(), Tally(num_codebooks));
  }
  void add(std::size_t sample, const Tally& tally) {
    if (!tallies_.empty()) tallies_[grouping_->of[sample]].add(tally);
  }
  std::vector<GroupScore> scores() const {
    std::vector<GroupScore> all;
    for (std::size_t i = 0; i < tallies_.size(); ++i)
      all.push_back({grouping_->names[i], tallies_[i].samples, tallies_[i].metrics({})});
    std::stable_sort(all.begin(), all.end(),
                     [](const GroupScore& a, const GroupScore& b) { return a.samples > b.samples; });
    return all;
  }

 private:
  const Grouping* grouping_;
  std::vector<Tally> tallies_;
};

}  // namespace

double mean_of(const std::vector<double>& codebooks) {
  double sum = 0.0;
  for (const double value : codebooks) sum += value;
  return codebooks.empty() ? 0.0 : sum / static_cast<double>(codebooks.size());
}

Evaluation::Evaluation(BaseModel& base, const EvaluateOptions& options, bool speak_was_given)
    : base_(base), batch_size_(options.batch_size) {
  const bool is_file = fs::is_regular_file(options.manifest);
  if (options.speak > 0 && speak_was_given && !is_file && fs::exists(options.manifest)) {
    throw UserError("--manifest " + options.manifest +
                    ": is no file, and --speak has to read it twice; save it to a file, or give --speak 0");
  }
  DatasetOptions dataset_options;
  dataset_options.confine_paths = options.base.confine_paths;
  dataset_.emplace(
      Dataset::load(options.manifest, base.tokenizer(), base.codes(), base.ids(), dataset_options));
  if (is_file) {
    held_out_.emplace(read_held_out(options.manifest, options.base.confine_paths));
    if (held_out_->speakers.of.size() != dataset_->size())
      throw UserError(options.manifest + ": was changed while it was read; start again");
  }
  if (options.speak > 0) prepare_speech(options, speak_was_given);
}

void Evaluation::prepare_speech(const EvaluateOptions& options, bool speak_was_given) {
  if (!held_out_) {
    log::warn(options.manifest + ": is no file: no speakers, no languages, and nothing is spoken");
    return;
  }
  if (held_out_->speakable.empty()) {
    log::warn(options.manifest + ": no sample has a clip as its last reply: nothing is spoken");
    return;
  }
  try {
    base_.codes().codec();
  } catch (const UserError& error) {
    if (speak_was_given) throw;
    log::warn(std::string(error.what()) + "; nothing is spoken (--speak 0 says so)");
    return;
  }
  speech_.emplace(base_, options.manifest, *held_out_,
                  SpeechCheck::Options{static_cast<std::size_t>(options.speak), options.sampling,
                                       static_cast<std::uint64_t>(options.seed), options.out_dir});
}

ModelScore Evaluation::score(const std::string& name, const std::string& folder_name,
                             double seconds_per_text_token) {
  HiggsModel& model = base_.model();
  ModelScore out;
  out.name = name;
  out.sample_losses.assign(dataset_->size(), 0.0f);
  const std::int64_t C = base_.ids().num_codebooks;
  GroupTally speakers(held_out_ ? &held_out_->speakers : nullptr, C),
      languages(held_out_ ? &held_out_->languages : nullptr, C);
  const auto count = [&](std::size_t sample, const Tally& tally) {
    speakers.add(sample, tally);
    languages.add(sample, tally);
    out.sample_losses[sample] = static_cast<float>(tally.metrics({}).loss.deciding());
    out.samples += tally.samples;
  };
  Collective alone(LaunchInfo{}, 0);
  out.metrics = evaluate(model, *dataset_, base_.ids(), batch_size_, {}, model.has_text_head(), alone, count);
  out.speakers = speakers.scores();
  out.languages = languages.scores();
  if (speech_) out.speech = speech_->score(folder_name, seconds_per_text_token);
  return out;
}

}  // namespace higgs
