#include "higgs/report/metrics_line.h"
#include "score_output.h"

namespace higgs {
namespace {

OrderedJson number_or_null(const std::optional<double>& value) {
  return value ? OrderedJson(*value) : OrderedJson(nullptr);
}

OrderedJson speech_json(const SpeechScore& speech) {
  OrderedJson clips = OrderedJson::array();
  for (const SpokenScore& clip : speech.clips) {
    OrderedJson one = {{"line", clip.line},
                       {"stopped", clip.stopped},
                       {"seconds", clip.seconds},
                       {"recorded_seconds", clip.recorded_seconds},
                       {"silent_tail", clip.silent_tail},
                       {"distance", number_or_null(clip.distance)},
                       {"distance_to_other", number_or_null(clip.distance_to_other)}};
    if (!clip.wav.empty()) one["wav"] = clip.wav.string();
    clips.push_back(std::move(one));
  }
  return {{"samples", speech.clips.size()},
          {"stop_rate", speech.stop_rate()},
          {"silent_tail", speech.silent_tail()},
          {"length_error", speech.length_error()},
          {"length_error_absolute", speech.absolute_length_error()},
          {"distance", speech.distance()},
          {"distance_to_other", speech.distance_to_other()},
          {"clips", clips}};
}

// The losses and accuracies of `metrics`, without what belongs to a whole evaluation.
OrderedJson group_json(const char* kind, const GroupScore& group) {
  OrderedJson out = {{kind, group.name}, {"samples", group.samples}};
  const OrderedJson metrics = metrics_object(group.metrics);
  for (const auto& [key, value] : metrics.items()) {
    if (key != "kind" && key != "step" && key != "seconds") out[key] = value;
  }
  out["accuracy"] = mean_of(group.metrics.accuracy);
  out["accuracy_top10"] = mean_of(group.metrics.top10);
  return out;
}

OrderedJson groups_json(const char* kind, const std::vector<GroupScore>& groups) {
  OrderedJson all = OrderedJson::array();
  for (const GroupScore& group : groups) all.push_back(group_json(kind, group));
  return all;
}

}  // namespace

OrderedJson score_json(const ModelScore& score) {
  OrderedJson out = metrics_object(score.metrics);
  out["samples"] = score.samples;
  out["accuracy"] = mean_of(score.metrics.accuracy);
  out["accuracy_top10"] = mean_of(score.metrics.top10);
  if (!score.speakers.empty()) out["speakers"] = groups_json("speaker", score.speakers);
  if (!score.languages.empty()) out["languages"] = groups_json("language", score.languages);
  if (score.speech) out["speech"] = speech_json(*score.speech);
  return out;
}

}  // namespace higgs
