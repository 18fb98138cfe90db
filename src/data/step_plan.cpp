#include "higgs/data/step_plan.h"

#include <algorithm>
#include <numeric>

#include "higgs/base/error.h"
#include "higgs/kernels/philox.h"

namespace higgs {
namespace {

using Shares = std::vector<std::vector<std::int64_t>>;

std::int64_t tokens_of(const std::vector<std::int64_t>& share, std::span<const std::int64_t> lengths) {
  std::int64_t sum = 0;
  for (const std::int64_t i : share) sum += lengths[static_cast<std::size_t>(i)];
  return sum;
}

std::int64_t largest(const Shares& shares, std::span<const std::int64_t> lengths) {
  std::int64_t most = 0;
  for (const auto& share : shares) most = std::max(most, tokens_of(share, lengths));
  return most;
}

}  // namespace

double StepPlan::imbalance() const {
  const auto sum = std::accumulate(tokens.begin(), tokens.end(), std::int64_t{0});
  if (sum == 0) return 0.0;
  const std::int64_t most = *std::max_element(tokens.begin(), tokens.end());
  return static_cast<double>(most) * static_cast<double>(tokens.size()) / static_cast<double>(sum) - 1.0;
}

std::vector<std::vector<std::int64_t>> share_by_tokens(std::span<const std::int64_t> lengths,
                                                       std::int64_t parts, std::int64_t most,
                                                       std::vector<std::int64_t> loads) {
  HIGGS_ASSERT(parts > 0 && static_cast<std::int64_t>(lengths.size()) <= parts * most);
  std::vector<std::int64_t> order(lengths.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  const auto length = [&](std::int64_t i) { return lengths[static_cast<std::size_t>(i)]; };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int64_t a, std::int64_t b) { return length(a) > length(b); });
  Shares shares(static_cast<std::size_t>(parts));
  loads.resize(shares.size(), 0);
  for (const std::int64_t i : order) {
    std::size_t best = shares.size();
    for (std::size_t part = 0; part < shares.size(); ++part) {
      if (static_cast<std::int64_t>(shares[part].size()) == most) continue;
      if (best == shares.size() || loads[part] < loads[best]) best = part;
    }
    shares[best].push_back(i);
    loads[best] += length(i);
  }
  for (auto& share : shares) std::sort(share.begin(), share.end());
  return shares;
}

StepPlanner::StepPlanner(Lengths lengths, std::uint64_t seed, const SplitOptions& options,
                         const RunLength& length, StepOrigin origin,
                         const std::shared_ptr<const Groups>& groups)
    : lengths_(std::move(lengths)),
      sampler_(lengths_.size(), seed, groups),
      options_(options),
      origin_(std::move(origin)) {
  HIGGS_ASSERT(options.samples_per_step() > 0 && (length.samples > 0 || length.steps > 0));
  // Products of what flags allow pass 64 bits.
  constexpr std::int64_t kMostSamples = std::int64_t{1} << 53;
  const std::int64_t steps =
      std::min(std::max<std::int64_t>(length.steps - origin_.step, 0),
               kMostSamples / std::max(options.samples_per_step(), options.batches_per_step()));
  const StreamPlace& place = origin_.place;
  if (length.steps == 0) end_ = std::max(length.samples, place.next);
  if (options.tokens_per_batch > 0) {
    packer_.emplace(lengths_, seed, options.tokens_per_batch, place, end_, groups);
    num_bins_ = end_ ? packer_->num_bins() : steps * options.batches_per_step();
    total_steps_ = origin_.step + (num_bins_ + options.batches_per_step() - 1) / options.batches_per_step();
  } else {
    num_drawn_ = end_ ? *end_ - place.next + static_cast<std::int64_t>(place.left.size())
                      : steps * options.samples_per_step();
    total_steps_ = origin_.step + (num_drawn_ + options.samples_per_step() - 1) / options.samples_per_step();
  }
}

std::string StepPlanner::split_text() const {
  const std::string end = end_ ? " to " + std::to_string(*end_) : "";
  if (!packer_) return std::to_string(options_.samples_per_step()) + " samples" + end;
  return std::to_string(options_.batches_per_step()) + " x " + std::to_string(options_.tokens_per_batch) +
         " tokens" + end;
}

std::int64_t StepPlanner::drawn_before(std::int64_t step) const {
  HIGGS_ASSERT(step >= origin_.step);
  return std::min((step - origin_.step) * options_.samples_per_step(), num_drawn_);
}

std::int64_t StepPlanner::bins_before(std::int64_t step) const {
  HIGGS_ASSERT(step >= origin_.step);
  return std::min((step - origin_.step) * options_.batches_per_step(), num_bins_);
}

std::int64_t StepPlanner::samples_before(std::int64_t step) {
  const std::int64_t before = origin_.place.next - static_cast<std::int64_t>(origin_.place.left.size());
  return before + (packer_ ? packer_->positions_before(bins_before(step)) : drawn_before(step));
}

StreamPlace StepPlanner::place_before(std::int64_t step) {
  if (packer_) return packer_->place_before(bins_before(step));
  const std::vector<std::int64_t>& left = origin_.place.left;
  const std::int64_t drawn = drawn_before(step),
                     of_left = std::min(drawn, static_cast<std::int64_t>(left.size()));
  return {origin_.place.next + drawn - of_left, {left.begin() + of_left, left.end()}};
}

std::vector<std::size_t> StepPlanner::samples_of(std::int64_t step) {
  const std::vector<std::int64_t>& left = origin_.place.left;
  const auto num_left = static_cast<std::int64_t>(left.size());
  const std::int64_t begin = drawn_before(step), end = drawn_before(step + 1);
  HIGGS_ASSERT(begin < end);
  std::vector<std::size_t> samples;
  for (std::int64_t i = begin; i < end; ++i) {
    const std::int64_t position =
        i < num_left ? left[static_cast<std::size_t>(i)] : origin_.place.next + i - num_left;
    samples.push_back(sampler_.at(static_cast<std::uint64_t>(position)));
  }
  return samples;
}

StepPlan StepPlanner::plan_bins(std::int64_t step, bool balanced) {
  std::vector<MicroBatch> micros;
  std::vector<std::int64_t> tokens;
  std::int64_t place = 0;
  for (std::int64_t i = bins_before(step); i < bins_before(step + 1); ++i) {
    MicroBatch& micro = micros.emplace_back();
    tokens.push_back(0);
    for (const std::int64_t position : packer_->bin(i)) {
      micro.samples.push_back(sampler_.at(static_cast<std::uint64_t>(position)));
      micro.places.push_back(place++);
      tokens.back() += lengths_[micro.samples.back()];
    }
  }
  HIGGS_ASSERT(!micros.empty());
  Shares shares(static_cast<std::size_t>(options_.world_size));
  for (std::size_t i = 0; i < micros.size(); ++i) {
    shares[i % shares.size()].push_back(static_cast<std::int64_t>(i));
  }
  if (balanced) {
    Shares even = share_by_tokens(tokens, options_.world_size, options_.grad_accum);
    if (largest(even, tokens) <= largest(shares, tokens)) shares = std::move(even);
  }
  StepPlan plan;
  for (std::vector<std::int64_t>& share : shares) {
    const auto weight = [&](std::int64_t i) { return tokens[static_cast<std::size_t>(i)]; };
    std::stable_sort(share.begin(), share.end(), [&](auto a, auto b) { return weight(a) > weight(b); });
    std::vector<MicroBatch>& rank = plan.ranks.emplace_back();
    for (const std::int64_t i : share) rank.push_back(micros[static_cast<std::size_t>(i)]);
    plan.tokens.push_back(tokens_of(share, tokens));
  }
  return plan;
}

Shares StepPlanner::deal(std::int64_t num_samples) const {
  Shares shares(static_cast<std::size_t>(options_.world_size));
  for (std::int64_t i = 0; i < num_samples; ++i) {
    shares[static_cast<std::size_t>(i / options_.batch_size % options_.world_size)].push_back(i);
  }
  return shares;
}

StepPlan StepPlanner::make_plan(const std::vector<std::size_t>& samples, const Shares& shares,
                                bool balanced) const {
  StepPlan plan;
  for (const std::vector<std::int64_t>& share : shares) {
    std::vector<std::int64_t> lengths;
    for (const std::int64_t place : share) {
      lengths.push_back(lengths_[samples[static_cast<std::size_t>(place)]]);
    }
    const auto size = static_cast<std::int64_t>(share.size());
    const std::int64_t num_batches = (size + options_.batch_size - 1) / options_.batch_size;
    Shares batches;
    if (balanced && num_batches > 0) {
      batches = share_by_tokens(lengths, num_batches, options_.batch_size);
      std::stable_sort(batches.begin(), batches.end(), [&](const auto& a, const auto& b) {
        return tokens_of(a, lengths) > tokens_of(b, lengths);
      });
    } else {
      batches.resize(static_cast<std::size_t>(num_batches));
      for (std::int64_t i = 0; i < size; ++i) {
        batches[static_cast<std::size_t>(i / options_.batch_size)].push_back(i);
      }
    }
    std::vector<MicroBatch>& rank = plan.ranks.emplace_back();
    for (const auto& batch : batches) {
      MicroBatch& micro = rank.emplace_back();
      for (const std::int64_t i : batch) {
        micro.places.push_back(share[static_cast<std::size_t>(i)]);
        micro.samples.push_back(samples[static_cast<std::size_t>(micro.places.back())]);
      }
    }
    plan.tokens.push_back(std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0}));
  }
  return plan;
}

StepPlan StepPlanner::plan_own(std::int64_t step, bool balanced) {
  if (packer_) return plan_bins(step, balanced);
  const std::vector<std::size_t> samples = samples_of(step);
  if (!balanced) return make_plan(samples, deal(static_cast<std::int64_t>(samples.size())), false);
  std::vector<std::int64_t> lengths;
  for (const std::size_t sample : samples) lengths.push_back(lengths_[sample]);
  const Shares even =
      share_by_tokens(lengths, options_.world_size, options_.batch_size * options_.grad_accum);
  const Shares dealt = deal(static_cast<std::int64_t>(samples.size()));
  return make_plan(samples, largest(dealt, lengths) < largest(even, lengths) ? dealt : even, true);
}

void StepPlanner::add_replay(Lengths lengths, std::uint64_t seed, double share) {
  HIGGS_ASSERT(share > 0.0 && share <= 0.5);
  const std::size_t size = lengths.size();
  replay_.emplace(Replay{std::move(lengths), Sampler(size, mix_key(seed, 0x5EB1A7)), share / (1.0 - share)});
}

// Follows from how many samples were drawn alone, not from how steps are cut.
std::int64_t StepPlanner::replayed_before(std::int64_t step) {
  return static_cast<std::int64_t>(static_cast<double>(samples_before(step)) * replay_->per_sample);
}

void StepPlanner::append_replay(std::int64_t step, StepPlan& plan) {
  const std::int64_t begin = replayed_before(step), end = replayed_before(step + 1);
  if (begin == end) return;
  const std::int64_t first_place = samples_before(step + 1) - samples_before(step);
  std::vector<std::size_t> samples;
  std::vector<std::int64_t> lengths;
  for (std::int64_t i = begin; i < end; ++i) {
    samples.push_back(replay_->sampler.at(static_cast<std::uint64_t>(i)));
    lengths.push_back(replay_->lengths[samples.back()]);
  }
  // To the ranks that have least to do.
  const Shares shares = share_by_tokens(lengths, options_.world_size, end - begin, plan.tokens);
  for (std::size_t rank = 0; rank < shares.size(); ++rank) {
    std::int64_t size = 0, tokens = 0;  // of the micro-batch begun last
    for (const std::int64_t i : shares[rank]) {
      const std::int64_t length = lengths[static_cast<std::size_t>(i)];
      const bool full = packer_ ? tokens + length > options_.tokens_per_batch : size == options_.batch_size;
      if (size == 0 || full) {
        plan.ranks[rank].emplace_back().replay = true;
        size = tokens = 0;
      }
      MicroBatch& micro = plan.ranks[rank].back();
      micro.samples.push_back(samples[static_cast<std::size_t>(i)]);
      micro.places.push_back(first_place + i);
      plan.tokens[rank] += length;
      tokens += length;
      ++size;
    }
  }
}

StepPlan StepPlanner::plan(std::int64_t step) {
  StepPlan plan = plan_own(step, /*balanced=*/true);
  if (replay_) append_replay(step, plan);
  return plan;
}

StepPlan StepPlanner::plan_in_order(std::int64_t step) {
  StepPlan plan = plan_own(step, /*balanced=*/false);
  if (replay_) append_replay(step, plan);
  return plan;
}

}  // namespace higgs
