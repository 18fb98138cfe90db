// What a run leaves to read: lines at the terminal, metrics.jsonl, report.html.
#pragma once

#include <fstream>
#include <vector>

#include "higgs/train/trainer.h"

namespace higgs {

// Lines of metrics.jsonl: {"kind":"train",...} and {"kind":"eval",...}.
std::string metrics_line(const StepMetrics& metrics);
std::string metrics_line(const EvalMetrics& metrics);

class RunLog : public TrainObserver {
 public:
  // `first_step` > 0 continues a run: lines of later steps, from before it was stopped, are taken out.
  RunLog(const fs::path& output_dir, std::int64_t log_steps);

  void on_self_test(const Agreement& agreement) override;
  void on_start(std::int64_t first_step, std::int64_t total_steps) override;
  void on_step(const StepMetrics& metrics, std::int64_t total_steps) override;
  void on_eval(const EvalMetrics& metrics) override;
  void on_checkpoint(std::int64_t step, const fs::path& folder) override;

  // Draws report.html from metrics.jsonl.
  void write_report() const;

 private:
  void append(const std::string& line);
  fs::path output_dir_;
  std::int64_t log_steps_;
  std::int64_t first_step_ = 0;
  std::ofstream metrics_;
};

}  // namespace higgs
