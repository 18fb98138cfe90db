#include "higgs/data/manifest_check.h"

#include <algorithm>
#include <cstdio>
#include <numeric>

namespace higgs {
namespace {

// Ten bands up to what can be spoken at most.
Histogram rate_histogram(Script script) {
  std::vector<double> edges;
  for (int i = 1; i <= 10; ++i) edges.push_back(rate_limits(script).most / 10.0 * i);
  return Histogram(edges);
}

std::size_t sum_of(const std::map<std::string, std::size_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::size_t{0},
                         [](std::size_t sum, const auto& entry) { return sum + entry.second; });
}

}  // namespace

CheckTotals::CheckTotals()
    : seconds({1, 3, 5, 10, 15, 20, 30}), tokens({128, 256, 512, 1024, 2048, 4096, 8192}) {
  for (const Script script : kScripts) rates.push_back(rate_histogram(script));
}

std::size_t CheckTotals::num_errors() const {
  return sum_of(errors);
}
std::size_t CheckTotals::num_warnings() const {
  return sum_of(warnings);
}

void ManifestCheck::note(std::uint64_t line, const Problem& problem) {
  ++(problem.grade == Grade::kError ? totals_.errors : totals_.warnings)[problem.kind];
  say_(line, problem);
}

void ManifestCheck::find_duplicates(const CheckedSample& sample) {
  bool sound_is_known = false;
  for (const CheckedClip& clip : sample.clips) {
    if (clip.use != ClipUse::kReply) continue;
    const auto [first, is_new] = sounds_.emplace(clip.hash, sample.line);
    if (is_new) continue;
    sound_is_known = true;
    note(sample.line, {"duplicate_audio", Grade::kWarning,
                       clip.name + ": the same sound as in line " + std::to_string(first->second) +
                           "; keep one, or it counts twice"});
  }
  if (!sample.text) return;
  const auto [first, is_new] = texts_.emplace(*sample.text, sample.line);
  if (is_new || sound_is_known) return;
  note(sample.line, {"duplicate_text", Grade::kWarning,
                     "the same text by the same speaker as in line " + std::to_string(first->second) +
                         "; one of the two may be of another clip, else keep the better one"});
}

void ManifestCheck::add(const CheckedSample& sample) {
  ++totals_.num_samples;
  for (const Problem& problem : sample.problems) note(sample.line, problem);
  find_duplicates(sample);
  if (!sample.speaker.empty()) totals_.speakers.insert(sample.speaker);
  totals_.num_clips += sample.clips.size();
  for (const CheckedClip& clip : sample.clips) {
    if (clip.use != ClipUse::kReply) continue;
    totals_.reply_seconds += clip.seconds;
    totals_.seconds.add(clip.seconds);
  }
  for (const SpeechRate& rate : sample.rates) {
    const auto script = static_cast<std::size_t>(rate.script);
    totals_.rates[script].add(rate.per_second);
    paces_[script].push_back({static_cast<float>(rate.per_second), rate.is_judged, sample.line});
  }
  if (sample.num_tokens == 0) return;
  totals_.num_tokens += sample.num_tokens;
  totals_.num_supervised += sample.num_supervised;
  totals_.tokens.add(static_cast<double>(sample.num_tokens));
}

void ManifestCheck::judge_rates(Script script) {
  std::vector<Paced>& paces = paces_[static_cast<std::size_t>(script)];
  if (paces.empty()) return;
  std::vector<float> values;
  for (const Paced& pace : paces) values.push_back(pace.per_second);
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  const double median = *middle;
  totals_.median_rates[static_cast<std::size_t>(script)] = median;
  if (paces.size() < kLeastRates) return;
  for (const Paced& pace : paces) {
    if (pace.is_judged || (pace.per_second <= median * kOddRate && pace.per_second >= median / kOddRate))
      continue;
    char text[200];
    std::snprintf(text, sizeof text,
                  "%.1f characters a second, where the manifest's %s texts have %.1f; the text may say more "
                  "or less than the clip: hear it",
                  static_cast<double>(pace.per_second), name_of(script), median);
    note(pace.line, {"odd_speech_rate", Grade::kWarning, text});
  }
}

void ManifestCheck::finish() {
  for (const Script script : kScripts) judge_rates(script);
}

}  // namespace higgs
