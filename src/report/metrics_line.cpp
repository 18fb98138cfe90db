#include "higgs/report/metrics_line.h"

#include <array>

namespace higgs {
namespace {

// Where a field goes: one point, or one for each number of a list. `unit`: what it is divided by.
struct Chart {
  const char *field, *tag;
  double unit = 1.0;
};
constexpr std::array<Chart, 11> kCharts = {{
    {"loss", "/loss"},
    {"loss_text", "/loss_text"},
    {"loss_audio", "/loss_audio"},
    {"loss_replay", "/loss_replay"},
    {"loss_codebooks", "/codebook"},
    {"accuracy_codebooks", "/accuracy"},
    {"accuracy_top10_codebooks", "/top10"},
    {"learning_rate", "/learning_rate"},
    {"grad_norm", "/grad_norm"},
    {"tokens_per_second", "/tokens_per_second"},
    {"memory_bytes", "/memory_gb", 1e9},
}};

}  // namespace

OrderedJson metrics_object(const StepMetrics& m) {
  OrderedJson line = {{"kind", "train"},
                      {"step", m.step},
                      {"epoch", m.epoch},
                      {"loss", m.loss.total},
                      {"loss_text", m.loss.text},
                      {"loss_audio", m.loss.audio},
                      {"loss_codebooks", m.loss.codebooks},
                      {"learning_rate", m.learning_rate},
                      {"grad_norm", m.grad_norm},
                      {"skipped", verdict_text(m.verdict)},
                      {"tokens", m.tokens},
                      {"tokens_per_second", m.tokens_per_second},
                      {"seconds", m.seconds},
                      {"memory_bytes", m.memory_bytes},
                      {"loader_wait", m.loader_wait},
                      {"imbalance", m.imbalance}};
  if (m.replay) line["loss_replay"] = *m.replay;
  return line;
}

OrderedJson metrics_object(const EvalMetrics& m) {
  return {{"kind", "eval"},
          {"step", m.step},
          {"loss", m.loss.total},
          {"loss_text", m.loss.text},
          {"loss_audio", m.loss.audio},
          {"loss_codebooks", m.loss.codebooks},
          {"accuracy_codebooks", m.accuracy},
          {"accuracy_top10_codebooks", m.top10},
          {"tokens", m.tokens},
          {"seconds", m.seconds}};
}

std::string metrics_line(const StepMetrics& metrics) {
  return metrics_object(metrics).dump();
}
std::string metrics_line(const EvalMetrics& metrics) {
  return metrics_object(metrics).dump();
}

std::vector<Scalar> scalars_of(const OrderedJson& metrics) {
  std::vector<Scalar> scalars;
  const std::string kind = metrics.value("kind", "");
  const auto add = [&](const std::string& tag, const OrderedJson& value, double unit) {
    if (value.is_number()) scalars.push_back({tag, value.get<double>() / unit});
  };
  for (const Chart& chart : kCharts) {
    const auto field = metrics.find(chart.field);
    if (field == metrics.end()) continue;
    if (!field->is_array()) {
      add(kind + chart.tag, *field, chart.unit);
      continue;
    }
    for (std::size_t k = 0; k < field->size(); ++k) {
      add(kind + chart.tag + "/" + std::to_string(k), (*field)[k], chart.unit);
    }
  }
  return scalars;
}

}  // namespace higgs
