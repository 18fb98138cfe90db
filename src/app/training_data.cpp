#include "training_data.h"

#include <algorithm>
#include <numeric>

#include "higgs/base/error.h"
#include "higgs/base/format.h"
#include "higgs/base/log.h"
#include "higgs/data/manifest.h"
#include "higgs/dist/placement.h"
#include "shared_encoding.h"
#include "stop_signal.h"

namespace higgs {
namespace {

DatasetOptions dataset_options(const TrainOptions& options, const std::string& manifest, Collective& ranks) {
  DatasetOptions out;
  out.skip_bad_samples = options.skip_bad_samples;
  out.max_tokens = options.max_tokens;
  out.skip_too_long = options.on_too_long == "skip";
  out.confine_paths = options.base.confine_paths;
  // The machine's other ranks wait meanwhile.
  out.num_workers =
      std::min(options.trainer.loader.num_workers * ranks.launch().local_size, num_usable_cpus());
  out.progress = [&ranks, progress = log::Progress("reading clips"),
                  total = count_samples(manifest)](std::size_t done) mutable {
    stop_if_requested();
    ranks.progress();
    progress(done, total);
  };
  return out;
}

// One rank of a machine reads the manifest and puts the samples aside; the others look into the same files.
Dataset load_once(const std::string& what, const std::string& manifest, BaseModel& base,
                  const DatasetOptions& options, Collective& ranks) {
  const auto load = [&] {
    return Dataset::load(manifest, base.tokenizer(), base.codes(), base.ids(), options);
  };
  const std::string key = what + " samples on " + host_name();
  std::optional<Dataset> dataset;
  if (ranks.launch().local_rank == 0) {
    dataset = load();
    ranks.publish(key, dataset->address());
  }
  ranks.barrier();
  if (dataset) return *std::move(dataset);
  const std::string address = ranks.published(key);
  try {
    return Dataset::open(address, manifest, options.confine_paths);
  } catch (const RunError& error) {
    log::warn(std::string("this rank reads the data itself: ") + error.what());
    return load();
  }
}

GroupBy group_by(const std::string& balance) {
  return balance == "speaker"    ? GroupBy::kSpeaker
         : balance == "language" ? GroupBy::kLanguage
                                 : GroupBy::kNone;
}

// The largest groups and the smallest, with how often each of their samples is drawn in an epoch.
std::string groups_text(const Groups& groups, const std::vector<std::string>& names) {
  constexpr std::size_t kMostShown = 6;
  std::vector<std::size_t> order(groups.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return groups.count(a) > groups.count(b); });
  const double each = static_cast<double>(groups.num_samples()) / static_cast<double>(groups.size());
  std::string text;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const bool left_out = order.size() > kMostShown && i + 1 >= kMostShown && i + 1 < order.size();
    if (left_out && i + 1 == kMostShown) text += ", ...";
    if (left_out) continue;
    const std::size_t count = groups.count(order[i]);
    const std::string& name = names[groups.number(order[i])];
    text += (i == 0 ? "" : ", ") + (name.empty() ? "(none)" : name.substr(0, 40)) + " " +
            std::to_string(count) + " (" + formatted("%.2g", each / static_cast<double>(count)) + ")";
  }
  return text;
}

// Nothing without --balance. UserError when no sample names what it goes by.
std::shared_ptr<const Groups> make_groups(const TrainOptions& options, const Dataset& training) {
  const std::string& by = options.balance;
  if (group_by(by) == GroupBy::kNone) return nullptr;
  const auto groups =
      std::make_shared<const Groups>(training.size(), [&](std::size_t i) { return training.group(i); });
  const bool some_without = groups->number(0) == 0;
  if (some_without && groups->size() == 1) {
    throw UserError("--balance " + by + ": no sample of " + options.train_manifest + " names its " + by +
                    "; write \"" + by + "\": \"...\" into its lines, or leave --balance out");
  }
  if (training.group_names.empty()) return groups;  // read by another rank, which says the rest
  // As an error has it: names are others' bytes.
  log::info(UserError("balance: each " + by + " is drawn " +
                      formatted("%.3g", 100.0 / static_cast<double>(groups->size())) + " % of the time (" +
                      std::to_string(groups->size()) +
                      " of them); samples, and how often an epoch draws each of them: " +
                      groups_text(*groups, training.group_names))
                .what());
  if (some_without) {
    log::warn("balance: " + std::to_string(groups->count(0)) + " samples name no " + by +
              " and count as one more");
  }
  if (groups->size() == 1) log::warn("balance: there is one " + by + " only, and nothing to balance");
  return groups;
}

}  // namespace

TrainingData load_training_data(BaseModel& base, const TrainOptions& options, Collective& ranks) {
  EncodedCount count;
  if (ranks.world_size() > 1) {
    for (const std::string& manifest :
         {options.train_manifest, options.val_manifest, options.replay_manifest}) {
      if (manifest.empty()) continue;
      // Bad lines are named when the samples are read.
      const EncodedCount more = encode_together(manifest, base, ranks, [](const UserError&) {});
      count.encoded += more.encoded;
      count.reused += more.reused;
    }
  }
  ranks.at(0, "reading the data");
  DatasetOptions packed = dataset_options(options, options.train_manifest, ranks);
  if (const std::int64_t budget = options.trainer.tokens_per_batch;
      budget > 0 && budget < options.max_tokens) {
    packed.max_tokens = budget;
    packed.max_tokens_flag = "--tokens_per_batch";
  }
  packed.group_by = group_by(options.balance);
  TrainingData data{load_once("training", options.train_manifest, base, packed, ranks), {}, {}, {}};
  if (!options.val_manifest.empty()) {
    data.validation = load_once("validation", options.val_manifest, base,
                                dataset_options(options, options.val_manifest, ranks), ranks);
  } else if (options.val_split > 0.0) {
    const auto every = static_cast<std::size_t>(std::max(2.0, 1.0 / options.val_split + 0.5));
    if (data.training.size() >= every) data.validation = data.training.split_every(every);
  }
  if (!options.replay_manifest.empty()) {
    DatasetOptions replay = dataset_options(options, options.replay_manifest, ranks);
    replay.max_tokens = packed.max_tokens;
    replay.max_tokens_flag = packed.max_tokens_flag;
    data.replay = load_once("replay", options.replay_manifest, base, replay, ranks);
  }
  if (ranks.world_size() == 1) count = {0, base.codes().num_encoded(), base.codes().num_reused()};
  log::info(std::to_string(data.training.size()) + " training samples, " +
            std::to_string(data.validation ? data.validation->size() : 0) + " for validation; " +
            std::to_string(count.encoded) + " clips encoded, " + std::to_string(count.reused) +
            " from the cache");
  if (options.trainer.replay.share > 0.0) {
    log::info("replay: " + formatted("%.3g", 100.0 * options.trainer.replay.share) +
              " % of the samples, from " +
              (data.replay ? options.replay_manifest + " (" + std::to_string(data.replay->size()) + ")"
                           : "the training samples"));
  }
  data.groups = make_groups(options, data.training);
  return data;
}

}  // namespace higgs
