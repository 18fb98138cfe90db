#include "higgs/report/run_log.h"

#include <sstream>
#include <utility>

#include "higgs/base/error.h"
#include "higgs/base/format.h"
#include "higgs/base/json.h"
#include "higgs/base/log.h"
#include "higgs/data/manifest_lines.h"
#include "higgs/formats/checkpoint_folder.h"
#include "higgs/report/html_report.h"

namespace higgs {
namespace {

std::string codebook_text(const LossValues& loss) {
  std::string text;
  for (const double value : loss.codebooks) text += (text.empty() ? "" : " ") + formatted("%.2f", value);
  return "[" + text + "]";
}

// `losses`: text for them.
std::string live_text(const StepMetrics& m, std::int64_t total_steps, const std::string& losses,
                      const std::string& left) {
  return "step " + std::to_string(m.step) + "/" + std::to_string(total_steps) + "  epoch " +
         formatted("%.1f", m.epoch) + "  " + losses + "  " + log::short_number(m.tokens_per_second) +
         " tok/s  ETA " + left + "  " + formatted("%.1f GB", static_cast<double>(m.memory_bytes) / 1e9);
}

}  // namespace

RunLog::RunLog(const fs::path& output_dir, std::int64_t log_steps, int num_ranks, bool go_on_without)
    : output_dir_(output_dir),
      log_steps_(log_steps),
      num_ranks_(num_ranks),
      go_on_without_(go_on_without),
      events_(output_dir / "tensorboard") {}

void RunLog::on_self_test(const Agreement& agreement) {
  log::info("self-test: generation computes what training computes: " + agreement.summary());
}

void RunLog::on_start(const TrainStart& start) {
  first_step_ = start.first_step;
  seconds_before_ = start.seconds;
  const fs::path path = output_dir_ / "metrics.jsonl";
  std::string kept;
  std::vector<OrderedJson> at_start;  // what is kept of first_step
  bool validates_again = false;
  if (start.first_step > 0 && fs::exists(path)) {
    std::istringstream lines(read_file(path));
    for (std::string line; std::getline(lines, line);) {
      const auto entry = OrderedJson::parse(line, nullptr, /*allow_exceptions=*/false);
      if (!entry.is_object()) continue;
      const std::int64_t step = entry.value("step", std::int64_t{-1});
      const bool at_first = step == start.first_step;
      const bool again = at_first && !start.evaluated && entry.value("kind", "") != "train";
      validates_again |= again;
      if (step > start.first_step || again) continue;
      kept += line + "\n";
      has_recordings_ |= entry.value("kind", "") == "reference";
      if (at_first) at_start.push_back(entry);
    }
  }
  write_file_atomically(path, kept);
  metrics_.open(path);
  // TensorBoard takes back whole steps: the other points of a step whose validation comes again are added
  // anew.
  events_.begin_at(start.first_step == 0 || validates_again ? start.first_step : start.first_step + 1);
  if (validates_again) {
    for (const OrderedJson& entry : at_start) add_points(entry);
  }
  log::info("training: " + std::to_string(start.total_steps) + " steps" +
            (start.first_step > 0 ? ", continuing after step " + std::to_string(start.first_step) : ""));
}

void RunLog::append(const OrderedJson& metrics) {
  const std::string cause = metrics_.append(metrics.dump());
  add_points(metrics);
  if (cause.empty()) return;
  if (!go_on_without_) throw RunError(cause);
  log::warn_once(cause + "; lines are kept in memory until the disk takes them");
}

void RunLog::add_points(const OrderedJson& metrics) {
  events_.add_scalars(metrics.value("step", std::int64_t{0}), scalars_of(metrics));
  const std::string cause = events_.flush();
  if (cause.empty() || std::exchange(warned_of_events_, true)) return;
  log::warn("TensorBoard's charts lack points until the disk takes them: " + cause);
}

void RunLog::before_commit() {
  metrics_.sync();
  events_.sync();
}

void RunLog::on_left_out(const StepMetrics& m, const std::vector<std::string>& lines,
                         const Adapter& adapter) {
  constexpr int kMostWritten = 5;
  std::string text = "step " + std::to_string(m.step) + ": loss " + formatted("%.4f", m.loss.total) +
                     ", gradient norm " + formatted("%.4g", m.grad_norm) + ": " + verdict_text(m.verdict) +
                     "; the adapter stays as it is";
  if (num_written_ < kMostWritten) {
    const fs::path folder = output_dir_ / "skipped" / checkpoint_name(m.step);
    try {
      make_writable_folder(folder / "adapter");
      write_file_atomically(folder / "samples.jsonl", lines_with_full_paths(lines));
      adapter.save(folder / "adapter");
      ++num_written_;
      text += "; its samples, for `higgs_train inspect forward`: --manifest " +
              (folder / "samples.jsonl").string() + " --adapter " + (folder / "adapter").string();
    } catch (const std::exception& error) {
      text += std::string("; its samples could not be written: ") + error.what();
    }
  }
  log::warn(text);
}

void RunLog::on_step(const StepMetrics& m, std::int64_t total_steps) {
  append(metrics_object(m));
  waits_ += m.loader_wait;
  imbalances_ += m.imbalance;
  ++num_steps_;
  say_step(m, total_steps);
}

void RunLog::say_step(const StepMetrics& m, std::int64_t total_steps) {
  const double per_step = (m.seconds - seconds_before_) / static_cast<double>(m.step - first_step_);
  const std::string left = log::duration_text(per_step * static_cast<double>(total_steps - m.step));
  const bool due = m.step % log_steps_ == 0 || m.step == first_step_ + 1;
  const std::string parts =
      "text " + formatted("%.2f", m.loss.text) + " audio " + formatted("%.2f", m.loss.audio);
  const std::string whole = "loss " + formatted("%.2f", m.loss.total) + " (" + parts + ")";
  const bool shown =
      line_.show(live_text(m, total_steps, whole, left), live_text(m, total_steps, parts, left));
  if (m.step != total_steps && (shown || !due)) return;  // what the end was stays to be read
  log::info(
      "step " + std::to_string(m.step) + "/" + std::to_string(total_steps) + " epoch " +
      formatted("%.2f", m.epoch) + " loss " + formatted("%.4f", m.loss.total) + " text " +
      formatted("%.4f", m.loss.text) + " audio " + formatted("%.4f", m.loss.audio) + " " +
      codebook_text(m.loss) + " lr " + formatted("%.2e", m.learning_rate) + " grad " +
      formatted("%.3f", m.grad_norm) + " " + formatted("%.0f", m.tokens_per_second) + " tokens/s wait " +
      formatted("%.1f", 100.0 * waits_ / num_steps_) + " %" +
      (num_ranks_ > 1 ? " imbalance " + formatted("%.1f", 100.0 * imbalances_ / num_steps_) + " %" : "") +
      " ETA " + left);
  waits_ = imbalances_ = 0.0;
  num_steps_ = 0;
}

void RunLog::on_eval(const EvalMetrics& m) {
  append(metrics_object(m));
  log::info("validation at step " + std::to_string(m.step) + ": loss " + formatted("%.4f", m.loss.total) +
            " text " + formatted("%.4f", m.loss.text) + " audio " + formatted("%.4f", m.loss.audio) + " " +
            codebook_text(m.loss));
}

void RunLog::keep_sound(const std::string& file, const std::string& tag, std::int64_t step,
                        const Waveform& sound) {
  if (sound.samples.empty()) return;
  try {
    const fs::path path = output_dir_ / file;
    fs::create_directories(path.parent_path());
    write_file_atomically(path, ogg_bytes(sound.samples, sound.sample_rate, path.string()));
    events_.add_audio(tag, step, sound.samples, sound.sample_rate);
  } catch (const std::exception& error) {  // of the disk: sounds are no reason to end a run
    log::warn_once(std::string("an audition could not be kept: ") + error.what());
  }
}

void RunLog::on_reference(const AuditionReference& reference) {
  keep_sound(sound_file_of(reference), "audition/" + std::to_string(reference.prompt) + "/recording", 0,
             reference.sound);
  append(metrics_object(reference));
  has_recordings_ = true;
}

void RunLog::on_audition(const AuditionClip& clip) {
  keep_sound(sound_file_of(clip), "audition/" + std::to_string(clip.prompt), clip.step, clip.sound);
  append(metrics_object(clip));
}

void RunLog::on_checkpoint(std::int64_t step, const fs::path& folder) {
  log::info("checkpoint of step " + std::to_string(step) + ": " + folder.string());
}

void RunLog::write_report() const {
  std::string metrics;
  try {
    metrics = read_file(output_dir_ / "metrics.jsonl");
  } catch (const UserError& error) {
    throw RunError(error.what());  // the run's own file: that it is gone is no mistake in what it was given
  }
  write_file_atomically(output_dir_ / "report.html", html_report(metrics, output_dir_));
}

}  // namespace higgs
