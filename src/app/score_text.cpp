#include <algorithm>
#include <cmath>
#include <functional>

#include "score_output.h"
#include "text_table.h"

namespace higgs {
namespace {

constexpr std::size_t kMostGroups = 20;  // rows of a table; the JSON has all

using Models = std::vector<ModelScore>;
using Row = std::vector<std::string>;

double loss_of(const EvalMetrics& metrics) {
  return metrics.loss.deciding();
}
std::string percent(double share, int digits = 1) {
  const std::string text = decimal(100.0 * share, digits);
  return text == "-" ? text : text + " %";
}

// One figure of each model, and the change from the first to the last.
struct Figure {
  const char* name;
  std::function<double(const ModelScore&)> value;
  int digits = 3;
  bool is_share = false;   // shown in percent, its change in percentage points
  bool is_signed = false;  // shown with its sign
};

Row row_of(const Figure& figure, const Models& models) {
  Row row = {figure.name};
  const double scale = figure.is_share ? 100.0 : 1.0;
  std::vector<double> values;
  for (const ModelScore& model : models) {
    values.push_back(scale * figure.value(model));
    row.push_back(figure.is_signed ? signed_decimal(values.back(), figure.digits)
                                   : decimal(values.back(), figure.digits));
  }
  if (models.size() > 1) row.push_back(signed_decimal(values.back() - values.front(), figure.digits));
  return row;
}

std::string figures_text(const Models& models) {
  std::vector<Figure> figures = {
      {"loss (nats)", [](const ModelScore& m) { return m.metrics.loss.total; }},
      {"loss, audio", [](const ModelScore& m) { return m.metrics.loss.audio; }},
  };
  const auto text_loss = [](const ModelScore& m) { return m.metrics.loss.text; };
  if (std::any_of(models.begin(), models.end(), [&](const auto& m) { return text_loss(m) > 0.0; }))
    figures.push_back({"loss, text", text_loss});
  figures.push_back({"top-1 (%)", [](const ModelScore& m) { return mean_of(m.metrics.accuracy); }, 1, true});
  figures.push_back({"top-10 (%)", [](const ModelScore& m) { return mean_of(m.metrics.top10); }, 1, true});
  if (models.front().speech) {
    const auto add = [&](const char* name, double (SpeechScore::*value)() const, int digits, bool is_share,
                         bool is_signed) {
      figures.push_back(
          {name, [value](const ModelScore& m) { return (*m.speech.*value)(); }, digits, is_share, is_signed});
    };
    add("stop rate (%)", &SpeechScore::stop_rate, 1, true, false);
    add("silent tail (s)", &SpeechScore::silent_tail, 2, false, false);
    add("length error (%)", &SpeechScore::length_error, 1, true, true);
    add("length error, absolute (%)", &SpeechScore::absolute_length_error, 1, true, false);
    add("distance to the recording", &SpeechScore::distance, 3, false, false);
    add("  to another recording", &SpeechScore::distance_to_other, 3, false, false);
  }
  TextTable table;
  Row head = {""};
  for (const ModelScore& model : models) head.push_back(model.name);
  if (models.size() > 1) head.push_back("change");
  table.row(head);
  for (const Figure& figure : figures) table.row(row_of(figure, models));
  return table.text();
}

std::string codebooks_text(const Models& models) {
  TextTable table;
  Row head = {"codebook"};
  for (std::size_t k = 0; k < models.front().metrics.loss.codebooks.size(); ++k)
    head.push_back(std::to_string(k));
  table.row(head);
  const auto add = [&](const std::string& what, int digits, double scale,
                       const std::function<const std::vector<double>&(const EvalMetrics&)>& values) {
    for (const ModelScore& model : models) {
      Row row = {what + (models.size() > 1 ? ", " + model.name : "")};
      for (const double value : values(model.metrics)) row.push_back(decimal(scale * value, digits));
      table.row(row);
    }
  };
  add(
      "loss", 3, 1.0, [](const EvalMetrics& m) -> const auto& { return m.loss.codebooks; });
  add(
      "top-1 (%)", 1, 100.0, [](const EvalMetrics& m) -> const auto& { return m.accuracy; });
  add(
      "top-10 (%)", 1, 100.0, [](const EvalMetrics& m) -> const auto& { return m.top10; });
  return table.text();
}

const GroupScore& group_named(const std::vector<GroupScore>& groups, const std::string& name) {
  return *std::find_if(groups.begin(), groups.end(),
                       [&](const GroupScore& group) { return group.name == name; });
}

std::string groups_text(const char* what, const Models& models, std::vector<GroupScore> ModelScore::*groups) {
  const std::vector<GroupScore>& first = models.front().*groups;
  if (first.empty()) return "";
  TextTable table;
  const auto cells = [&](Row row, const std::function<std::string(const ModelScore&, int)>& cell) {
    for (int figure = 0; figure < 3; ++figure) {
      for (const ModelScore& model : models) row.push_back(cell(model, figure));
    }
    table.row(std::move(row));
  };
  static constexpr const char* kNames[] = {"loss", "top-1 (%)", "top-10 (%)"};
  cells({what, "samples"}, [&](const ModelScore& model, int figure) {
    return std::string(kNames[figure]) + (models.size() > 1 ? ", " + model.name : "");
  });
  for (std::size_t i = 0; i < std::min(first.size(), kMostGroups); ++i) {
    cells({first[i].name, std::to_string(first[i].samples)}, [&](const ModelScore& model, int figure) {
      const EvalMetrics& metrics = group_named(model.*groups, first[i].name).metrics;
      if (figure == 0) return decimal(loss_of(metrics), 3);
      return decimal(100.0 * mean_of(figure == 1 ? metrics.accuracy : metrics.top10), 1);
    });
  }
  std::string text = "\n" + table.text();
  if (first.size() > kMostGroups)
    text += "and " + std::to_string(first.size() - kMostGroups) + " more; --json has all\n";
  return text;
}

std::string counts_text(const ModelScore& model) {
  std::string text = std::to_string(model.samples) + " held-out samples, " +
                     std::to_string(model.metrics.tokens) + " tokens";
  if (model.speech) text += ", " + std::to_string(model.speech->clips.size()) + " spoken";
  return text + "\n\n";
}

}  // namespace

std::string score_text(const Models& models) {
  return counts_text(models.front()) + figures_text(models) + "\n" + codebooks_text(models) +
         groups_text("speaker", models, &ModelScore::speakers) +
         groups_text("language", models, &ModelScore::languages);
}

std::string run_text(const ModelScore* base, const std::vector<Candidate>& candidates,
                     const std::vector<ModelScore>& scores, const Choice& choice) {
  TextTable table;
  const bool spoken = scores.front().speech.has_value();
  Row head = {"", "audio loss", "top-1", "top-10"};
  if (spoken) head.insert(head.end(), {"stop rate", "length error", "distance"});
  table.row(head);
  const auto add = [&](const ModelScore& score, bool best) {
    Row row = {score.name, decimal(loss_of(score.metrics), 4), percent(mean_of(score.metrics.accuracy)),
               percent(mean_of(score.metrics.top10))};
    if (spoken)
      row.insert(row.end(), {percent(score.speech->stop_rate()),
                             signed_decimal(100.0 * score.speech->length_error(), 1) + " %",
                             decimal(score.speech->distance(), 3)});
    if (best) row.push_back("best");
    table.row(row);
  };
  if (base != nullptr) add(*base, false);
  for (std::size_t i = 0; i < scores.size(); ++i) add(scores[i], i == choice.best);
  std::string text = counts_text(scores.front()) + table.text() + "\n" + choice.reason + "\n";
  text += "use: " + candidates[choice.best].folder.string() + "\n";
  return text;
}

}  // namespace higgs
