#include "higgs/report/html_report.h"

#include <algorithm>
#include <sstream>
#include <vector>

#include "higgs/base/format.h"
#include "higgs/base/json.h"
#include "higgs/report/audition_table.h"
#include "higgs/report/svg_chart.h"
#include "html_text.h"

namespace higgs {
namespace {

Curve curve_of(const std::vector<Json>& lines, const std::string& kind, const std::string& key,
               const std::string& name, const std::string& colour) {
  Curve curve{name, colour, {}, kind == "eval"};
  for (const Json& line : lines) {
    if (line.value("kind", "") != kind || !line.contains(key) || !line[key].is_number()) continue;
    curve.points.push_back({line.value("step", 0.0), line[key].get<double>()});
  }
  return curve;
}

// Of each codebook, the first validation beside the last.
std::string codebook_table(const std::vector<Json>& lines) {
  const Json *first = nullptr, *last = nullptr;
  for (const Json& line : lines) {
    if (line.value("kind", "") != "eval" || !line.contains("loss_codebooks")) continue;
    if (first == nullptr) first = &line;
    last = &line;
  }
  if (first == nullptr) return "";
  const auto cell = [](const Json& line, const char* field, std::size_t k, double unit, const char* format) {
    const auto values = line.find(field);
    if (values == line.end() || !values->is_array() || values->size() <= k) return std::string("<td></td>");
    const Json& value = (*values)[k];  // JSON has no NaN: what isn't finite is null there
    return "<td>" + (value.is_number() ? formatted(format, value.get<double>() * unit) : "not finite") +
           "</td>";
  };
  const std::string steps = "<th>step " + std::to_string(first->value("step", 0)) + "</th><th>step " +
                            std::to_string(last->value("step", 0)) + "</th>";
  std::string table =
      "<h2>Validation, by codebook</h2><table><tr><th></th><th colspan='2'>loss, nats</th><th "
      "colspan='2'>likeliest code is right</th></tr><tr><th>codebook</th>" +
      steps + steps + "</tr>";
  for (std::size_t k = 0; k < (*first)["loss_codebooks"].size(); ++k) {
    table += "<tr><td>" + std::to_string(k) + "</td>";
    for (const Json* line : {first, last}) table += cell(*line, "loss_codebooks", k, 1.0, "%.4f");
    for (const Json* line : {first, last}) table += cell(*line, "accuracy_codebooks", k, 100.0, "%.1f %%");
    table += "</tr>";
  }
  return table + "</table>";
}

// The run in a few figures.
std::string summary(const std::vector<Json>& lines) {
  const Json *last = nullptr, *first_eval = nullptr, *best = nullptr;
  for (const Json& line : lines) {
    const std::string kind = line.value("kind", "");
    if (kind == "train") last = &line;
    if (kind != "eval" || !line.contains("loss_audio") || !line["loss_audio"].is_number()) continue;
    if (first_eval == nullptr) first_eval = &line;
    if (best == nullptr || line["loss_audio"] < (*best)["loss_audio"]) best = &line;
  }
  std::string text;
  const auto number = [](const Json& line, const char* field) {
    const auto value = line.find(field);
    return value != line.end() && value->is_number() ? value->get<double>() : 0.0;
  };
  if (last != nullptr) {
    text += std::to_string(last->value("step", 0)) + " steps, " + formatted("%.1f", number(*last, "epoch")) +
            " passes over the data, " + formatted("%.0f tokens", number(*last, "tokens")) + ", " +
            formatted("%.1f minutes", number(*last, "seconds") / 60.0) + ", at most " +
            formatted("%.1f GB", number(*last, "memory_bytes") / 1e9) + " of memory. ";
  }
  if (best != nullptr) {
    text += "Lowest validation loss (audio): " + formatted("%.4f", number(*best, "loss_audio")) +
            " at step " + std::to_string(best->value("step", 0)) + "; it began with " +
            formatted("%.4f.", number(*first_eval, "loss_audio"));
  }
  return text.empty() ? "" : "<p>" + text + "</p>";
}

constexpr const char* kStyle =
    ":root{color-scheme:light dark}body{font:15px sans-serif;max-width:760px;margin:2em "
    "auto;padding:0 1em}polyline{stroke-width:1.5}.grid{stroke:#8884}text{font-size:11px;fill:#888}"
    ".left{text-anchor:end}.below{text-anchor:middle}svg{max-width:100%;height:auto}"
    "td,th{padding:2px 12px;text-align:right}.wide{overflow-x:auto}.sound td,.sound th{text-align:center;"
    "vertical-align:top;font-size:13px}.sound "
    "td.said{text-align:left;min-width:11em}audio{width:190px;height:"
    "34px}";

}  // namespace

std::string html_report(const std::string& metrics, const fs::path& run_folder) {
  std::vector<Json> lines;
  std::istringstream stream(metrics);
  for (std::string line; std::getline(stream, line);) {
    Json entry = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (entry.is_object()) lines.push_back(std::move(entry));
  }
  const std::string title =
      "Training run " + html_escaped(fs::absolute(run_folder).lexically_normal().filename().string());
  std::string page =
      "<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' "
      "content='width=device-width'><title>" +
      title + "</title><style>" + kStyle + "</style><h1>" + title + "</h1>";
  page += summary(lines) + audition_table(lines, run_folder) + stop_table(lines);
  page += svg_chart("Audio loss (nats, mean over codebooks)",
                    {curve_of(lines, "train", "loss_audio", "training", "#4c78a8"),
                     curve_of(lines, "eval", "loss_audio", "validation", "#e45756")});
  const Curve text = curve_of(lines, "train", "loss_text", "training", "#4c78a8");
  // Without a text head, or with --text_weight 0, there is none.
  if (std::any_of(text.points.begin(), text.points.end(), [](const Point& point) { return point.y > 0.0; })) {
    page +=
        svg_chart("Text loss (nats)", {text, curve_of(lines, "eval", "loss_text", "validation", "#e45756")});
  }
  page += codebook_table(lines);
  page += svg_chart("Learning rate", {curve_of(lines, "train", "learning_rate", "learning rate", "#54a24b")});
  page += svg_chart("Gradient norm before clipping",
                    {curve_of(lines, "train", "grad_norm", "gradient norm", "#b279a2")});
  page +=
      svg_chart("Tokens per second", {curve_of(lines, "train", "tokens_per_second", "tokens/s", "#f58518")});
  return page + "</html>\n";
}

}  // namespace higgs
