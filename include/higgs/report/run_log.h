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
  RunLog(const fs::path& output_dir, std::int64_t log_steps, int num_ranks = 1);

  void on_self_test(const Agreement& agreement) override;
  // `first_step` > 0 continues a run: lines of later steps, from before it was stopped, are taken out.
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
  int num_ranks_;
  std::int64_t first_step_ = 0;
  double waits_ = 0, imbalances_ = 0;  // over the steps since the last line at the terminal
  int num_steps_ = 0;
  std::ofstream metrics_;
};

}  // namespace higgs
