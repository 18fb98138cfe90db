#include "higgs/train/leak_alarm.h"

#include <cmath>
#include <cstdio>
#include <numeric>

#include "higgs/data/leaks.h"

namespace higgs {
namespace {

constexpr std::size_t kWindow = 10;

// Nats a code, whatever the weights and the reduction.
double loss_per_code(const LossValues& loss) {
  if (loss.codebooks.empty()) return 0.0;
  return std::accumulate(loss.codebooks.begin(), loss.codebooks.end(), 0.0) /
         static_cast<double>(loss.codebooks.size());
}

}  // namespace

LeakAlarm::LeakAlarm(double limit, const Dataset& training, const Dataset* validation, const SpecialIds& ids)
    : limit_(limit), training_(training), ids_(ids) {
  if (validation != nullptr) num_shared_ = count_shared_replies(*validation, training);
}

std::optional<std::string> LeakAlarm::on_new_samples(std::int64_t step, const LossValues& loss) {
  const double value = loss_per_code(loss);
  if (value == 0.0 || !std::isfinite(value)) return std::nullopt;  // nothing supervised, or nothing learnt
  last_.push_back(value);
  if (last_.size() > kWindow) last_.pop_front();
  if (last_.size() < kWindow) return std::nullopt;
  const double mean = std::accumulate(last_.begin(), last_.end(), 0.0) / static_cast<double>(kWindow);
  if (!(mean < limit_)) return std::nullopt;
  return alarm(step, mean, "over the last 10 steps, on clips never trained on before,");
}

std::optional<std::string> LeakAlarm::on_held_out(std::int64_t step, const LossValues& loss) const {
  const double value = loss_per_code(loss);
  if (!(value > 0.0 && value < limit_) || num_shared_ > 0) return std::nullopt;
  return alarm(step, value, "on held-out clips");
}

std::string LeakAlarm::alarm(std::int64_t step, double loss, const char* on) const {
  char number[32];
  std::snprintf(number, sizeof number, "%.3f", loss);
  std::string text = "step " + std::to_string(step) + ": the audio loss " + on + " is " + number +
                     " nats a code: too good to be learnt, the model sees what it is to predict";
  if (const auto line = find_copied_reply(training_, ids_)) {
    text += " (" + training_.where(*line) + ": the prompt holds the reply's own clip)";
  } else {
    text += " (clips that repeat each other, or nothing but silence, do the same)";
  }
  return text + "; mend the data, or give --leak_alarm 0";
}

}  // namespace higgs
