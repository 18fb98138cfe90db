#include "run_folder.h"

#include <algorithm>
#include <set>

#include "higgs/base/error.h"
#include "higgs/base/log.h"
#include "higgs/formats/checkpoint_folder.h"
#include "higgs/formats/staged_folder.h"
#include "higgs/train/checkpoint.h"

namespace higgs {
namespace {

const std::set<std::string> kOfARun = {"checkpoints", "adapter", "metrics.jsonl", "report.html",
                                       "config.toml", "skipped", "tensorboard",   "samples"};

bool is_of_a_run(const std::string& name) {
  return kOfARun.count(name) != 0 || name == "probe";  // make_writable_folder's
}

bool is_occupied(const fs::path& folder) {
  return fs::exists(folder) && !(fs::is_directory(folder) && fs::is_empty(folder));
}

// What a run leaves that was killed before its first checkpoint: nothing that anyone could miss.
bool holds_only_a_beginning(const fs::path& folder) {
  if (!fs::is_directory(folder) || !fs::exists(folder / "config.toml") || fs::exists(folder / "adapter"))
    return false;
  for (const fs::path& path : list_folder(folder)) {
    const std::string name = path.filename().string();
    if (!is_of_a_run(name) && !is_of_a_run(name_when_finished(name))) return false;
  }
  if (!fs::exists(folder / "checkpoints")) return true;
  const auto inside = list_folder(folder / "checkpoints");
  return std::all_of(inside.begin(), inside.end(), [](const fs::path& path) {
    return !name_when_finished(path.filename().string()).empty();
  });
}

bool is_below(const fs::path& path, const fs::path& folder) {
  const fs::path whole = fs::weakly_canonical(path), above = fs::weakly_canonical(folder);
  const auto [end, other] = std::mismatch(above.begin(), above.end(), whole.begin(), whole.end());
  return end == above.end();
}

}  // namespace

fs::path RunFolder::newest_whole() const {
  for (const CheckpointEntry& entry : list_checkpoints(checkpoints())) {
    const auto fault = training_checkpoint_fault(entry.folder);
    if (!fault) return entry.folder;
    log::warn(entry.folder.string() + ": passed over: " + *fault);
  }
  return "";
}

// Whether the run here began with this --resume: then the same command goes on with it.
bool RunFolder::continues_from(const fs::path& checkpoint) const {
  const fs::path config = folder_ / "config.toml";
  if (!fs::exists(config)) return false;
  const std::string line = "resume = '" + checkpoint.string() + "'\n";
  return ("\n" + read_file(config, 1 << 20)).find("\n" + line) != std::string::npos;
}

fs::path RunFolder::find() const {
  const std::string where = "--output_dir " + folder_.string();
  const bool named = wish_.resume != "auto" && wish_.resume != "none";
  if (named && is_below(wish_.resume, checkpoints())) {
    if (wish_.overwrite)
      throw UserError("--overwrite would remove " + wish_.resume + ", which --resume names");
    return wish_.resume;
  }
  if (!is_occupied(folder_) || wish_.overwrite) return named ? wish_.resume : "";
  if (named && !continues_from(wish_.resume)) {
    throw UserError(where +
                    ": is not empty, and --resume names a checkpoint elsewhere; give another folder, or "
                    "--overwrite");
  }
  if (wish_.resume != "none") {
    if (fs::path newest = newest_whole(); !newest.empty()) return newest;
  }
  if (wish_.resume != "none" && holds_only_a_beginning(folder_)) {
    log::warn(folder_.string() + ": holds a run that ended before its first checkpoint; it begins anew");
    return named ? wish_.resume : "";
  }
  if (list_checkpoints(checkpoints()).empty()) {
    throw UserError(where +
                    ": is not empty and holds no checkpoint to resume; give another folder, or --overwrite");
  }
  throw UserError(where + ": holds a run" +
                  (wish_.resume == "none" ? "" : " of which no checkpoint is whole") +
                  "; --overwrite starts anew there");
}

std::vector<std::string> RunFolder::names() const {
  std::vector<std::string> all;
  for (const CheckpointEntry& entry : list_checkpoints(checkpoints())) all.push_back(entry.folder.filename());
  return all;
}

void RunFolder::look() {
  seen_ = names();
  resume_from_ = find();
  check_can_hold_files(folder_, "--output_dir");
}

void RunFolder::take(std::int64_t first_step, const std::string& config) {
  make_writable_folder(folder_);
  lock_ = FolderLock(folder_);
  if (names() != seen_) {
    throw UserError(
        "--output_dir " + folder_.string() +
        ": another run has written there since this one began; the same command goes on from its checkpoint");
  }
  if (resume_from_.empty() || !is_below(resume_from_, checkpoints())) {
    // Not config.toml: killed here, the folder is known for a run's.
    for (const std::string& name : kOfARun) {
      if (name != "config.toml") fs::remove_all(folder_ / name);
    }
  }
  write_file_atomically(folder_ / "config.toml", config);
  make_writable_folder(checkpoints());
  remove_unfinished(folder_, is_of_a_run);
  remove_unfinished(checkpoints());
  set_later_checkpoints_aside(checkpoints(), first_step);
}

}  // namespace higgs
