// An audio loss that no speech model reaches on clips it hasn't seen means that it sees what it is to
// predict.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "higgs/data/dataset.h"
#include "higgs/train/objective.h"

namespace higgs {

class LeakAlarm {
 public:
  // `limit`: nats a code, as a mean over codebooks; 0: never. `validation` may be null.
  LeakAlarm(double limit, const Dataset& training, const Dataset* validation, const SpecialIds& ids);

  // What is wrong when the last ten losses are below the limit on average, and again when one of
  // `on_held_out` is: and which line has its reply among its prompt's clips, where one has. Losses without
  // audio targets, and those on samples that were trained on before, are not for here.
  std::optional<std::string> on_new_samples(std::int64_t step, const LossValues& loss);
  std::optional<std::string> on_held_out(std::int64_t step, const LossValues& loss) const;

  // Validation samples whose reply is also trained on: such a validation says little, and never raises alarm.
  std::size_t num_shared() const { return num_shared_; }

  // The losses it judges by, to go on with them later.
  std::vector<double> newest() const { return {last_.begin(), last_.end()}; }
  void set_newest(const std::vector<double>& losses) { last_.assign(losses.begin(), losses.end()); }

 private:
  std::string alarm(std::int64_t step, double loss, const char* on) const;

  double limit_;
  const Dataset& training_;
  SpecialIds ids_;
  std::size_t num_shared_ = 0;
  std::deque<double> last_;
};

}  // namespace higgs
