// What a run leaves to read: lines at the terminal, metrics.jsonl, points in tensorboard/, report.html.
#pragma once

#include <vector>

#include "higgs/base/live_line.h"
#include "higgs/report/audition.h"
#include "higgs/report/metrics_file.h"
#include "higgs/report/metrics_line.h"
#include "higgs/report/tensorboard.h"
#include "higgs/train/trainer.h"

namespace higgs {

class RunLog : public TrainObserver {
 public:
  // `go_on_without`: lines of metrics.jsonl that the disk doesn't take are warned of and kept for later,
  // instead of RunError.
  RunLog(const fs::path& output_dir, std::int64_t log_steps, int num_ranks = 1, bool go_on_without = false);

  void on_self_test(const Agreement& agreement) override;
  // Where a run is continued, lines and points of what comes again are taken out: from before it was stopped.
  void on_start(const TrainStart& start) override;
  // Writes skipped/step-NNNNNN/samples.jsonl and adapter/ for the first few of a run, for `inspect`.
  void on_left_out(const StepMetrics& metrics, const std::vector<std::string>& lines,
                   const Adapter& adapter) override;
  void on_step(const StepMetrics& metrics, std::int64_t total_steps) override;
  void on_eval(const EvalMetrics& metrics) override;
  void before_commit() override;
  void on_checkpoint(std::int64_t step, const fs::path& folder) override;

  // Keep the sound in samples/ and for TensorBoard, and add a line to metrics.jsonl.
  void on_reference(const AuditionReference& reference);
  void on_audition(const AuditionClip& clip);
  bool has_recordings() const { return has_recordings_; }

  // Draws report.html from metrics.jsonl. RunError, also when that is gone.
  void write_report() const;

 private:
  void append(const OrderedJson& metrics);
  void add_points(const OrderedJson& metrics);
  void keep_sound(const std::string& file, const std::string& tag, std::int64_t step, const Waveform& sound);
  void say_step(const StepMetrics& metrics, std::int64_t total_steps);
  fs::path output_dir_;
  std::int64_t log_steps_;
  int num_ranks_;
  bool go_on_without_;
  std::int64_t first_step_ = 0;
  double seconds_before_ = 0.0;
  int num_written_ = 0;                // skipped steps
  double waits_ = 0, imbalances_ = 0;  // over the steps since the last line at the terminal
  int num_steps_ = 0;
  MetricsFile metrics_;
  EventFile events_;
  bool warned_of_events_ = false;
  bool has_recordings_ = false;  // in metrics.jsonl
  log::LiveLine line_;
};

}  // namespace higgs
