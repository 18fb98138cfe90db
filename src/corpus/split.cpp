#include "higgs/corpus/split.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <unordered_map>

#include "higgs/base/hash.h"
#include "higgs/corpus/plain_text.h"

namespace higgs {
namespace {

std::string text_key(const Utterance& utterance) {
  std::string all;
  for (const Turn& turn : utterance.turns) all += turn.text + " ";
  const std::string key = sentence_key(all);
  return key.empty() ? all : key;
}

// Sets that grow together; each is named by its smallest member.
class Groups {
 public:
  explicit Groups(std::size_t size) : parents_(size) {
    std::iota(parents_.begin(), parents_.end(), std::size_t{0});
  }

  std::size_t find(std::size_t i) {
    while (parents_[i] != i) i = parents_[i] = parents_[parents_[i]];
    return i;
  }
  void join(std::size_t a, std::size_t b) {
    a = find(a);
    b = find(b);
    parents_[std::max(a, b)] = std::min(a, b);
  }

 private:
  std::vector<std::size_t> parents_;
};

void join_equal_texts(const std::vector<Utterance>& utterances, Groups& groups) {
  std::unordered_map<std::string, std::size_t> first;
  for (std::size_t i = 0; i < utterances.size(); ++i) {
    groups.join(first.emplace(text_key(utterances[i]), i).first->second, i);
  }
}

void join_overlapping_sound(const std::vector<Utterance>& utterances, Groups& groups) {
  std::vector<std::size_t> order(utterances.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto begin = [&](std::size_t i) { return utterances[i].offset.value_or(0.0); };
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const int paths = utterances[a].audio.compare(utterances[b].audio);
    return paths != 0 ? paths < 0 : begin(a) < begin(b);
  });
  double end = 0.0;  // of what has been passed of this recording
  for (std::size_t k = 0; k < order.size(); ++k) {
    const std::size_t i = order[k];
    const bool is_same = k > 0 && utterances[order[k - 1]].audio == utterances[i].audio;
    if (is_same && begin(i) < end) groups.join(order[k - 1], i);
    end = std::max(is_same ? end : 0.0, begin(i) + utterances[i].seconds);
  }
}

std::uint64_t draw(std::uint64_t seed, std::string_view what) {
  return Hasher().update(seed).update(what).digest().low;
}

// Utterances by group, in an order that the seed and the texts decide.
std::vector<std::vector<std::size_t>> shuffled_groups(const std::vector<Utterance>& utterances,
                                                      const std::vector<std::size_t>& groups,
                                                      std::uint64_t seed) {
  std::map<std::size_t, std::vector<std::size_t>> members;
  for (std::size_t i = 0; i < groups.size(); ++i) members[groups[i]].push_back(i);
  std::vector<std::pair<std::uint64_t, std::vector<std::size_t>>> keyed;
  for (auto& [group, of_group] : members) {
    keyed.emplace_back(draw(seed, text_key(utterances[group])), std::move(of_group));
  }
  std::sort(keyed.begin(), keyed.end());
  std::vector<std::vector<std::size_t>> shuffled;
  for (auto& [key, of_group] : keyed) shuffled.push_back(std::move(of_group));
  return shuffled;
}

bool can_be_reference(const Utterance& utterance) {
  return utterance.seconds >= kMinReference && utterance.seconds <= kMaxReference;
}

// Holds out groups until they are enough, and keeps account of who has references on which side.
class HoldOut {
 public:
  HoldOut(const std::vector<Utterance>& utterances, const HoldOutOptions& options, Split& split)
      : utterances_(utterances),
        options_(options),
        split_(split),
        groups_(shuffled_groups(utterances, split.groups, options.seed)),
        taken_(groups_.size(), false) {
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      for (const std::size_t i : groups_[g]) {
        Voice& voice = voices_[utterances_[i].speaker()];
        const bool is_new = voice.references.empty() || voice.references.back() != g;
        if (can_be_reference(utterances_[i]) && is_new) voice.references.push_back(g);
      }
    }
  }

  void run() {
    const double wanted = options_.val_split * static_cast<double>(utterances_.size());
    for (std::size_t g = 0; g < groups_.size() && static_cast<double>(num_taken_) < wanted - 1e-9; ++g) {
      if (taken_[g] || num_groups_taken_ + 1 == groups_.size()) continue;
      if (options_.for_cloning && !leaves_references(g)) continue;
      take(g);
      if (options_.for_cloning) add_references(g);
    }
  }

 private:
  // One of a pair is the other's reference.
  static constexpr std::size_t kLeast = 2;
  struct Voice {
    std::vector<std::size_t> references;  // groups that hold one, in the shuffled order
    std::size_t num_held_out = 0;         // of them
  };

  // Whether each speaker in the group can have kLeast references on both sides then.
  bool leaves_references(std::size_t g) const {
    return std::all_of(groups_[g].begin(), groups_[g].end(), [&](std::size_t i) {
      const Voice& voice = voices_.at(utterances_[i].speaker());
      const std::size_t has = voice.num_held_out, left = voice.references.size() - has;
      return left >= kLeast + (has < kLeast ? kLeast - has : 1);
    });
  }

  void add_references(std::size_t g) {
    for (const std::size_t i : groups_[g]) {
      const Voice& voice = voices_.at(utterances_[i].speaker());
      for (const std::size_t reference : voice.references) {
        if (voice.num_held_out >= kLeast) break;
        if (!taken_[reference]) take(reference);
      }
    }
  }

  void take(std::size_t g) {
    taken_[g] = true;
    ++num_groups_taken_;
    num_taken_ += groups_[g].size();
    std::set<std::string> speakers;
    for (const std::size_t i : groups_[g]) {
      split_.sides[i] = Side::kVal;
      if (can_be_reference(utterances_[i])) speakers.insert(utterances_[i].speaker());
    }
    for (const std::string& speaker : speakers) ++voices_[speaker].num_held_out;
  }

  const std::vector<Utterance>& utterances_;
  const HoldOutOptions& options_;
  Split& split_;
  std::vector<std::vector<std::size_t>> groups_;
  std::vector<bool> taken_;
  std::map<std::string, Voice> voices_;
  std::size_t num_taken_ = 0, num_groups_taken_ = 0;
};

void hold_out_speakers(const std::vector<Utterance>& utterances, const HoldOutOptions& options, Split& split,
                       Findings& findings) {
  std::set<std::string> names;
  for (const Utterance& utterance : utterances) {
    for (const Turn& turn : utterance.turns) names.insert(turn.speaker);
  }
  if (names.size() <= options.val_speakers) {
    throw UserError("--val_speakers " + std::to_string(options.val_speakers) + ": there are " +
                    std::to_string(names.size()) + " speakers; hold out fewer, or use --val_split");
  }
  std::vector<std::pair<std::uint64_t, std::string>> order;
  for (const std::string& name : names) order.emplace_back(draw(options.seed, name), name);
  std::sort(order.begin(), order.end());
  std::set<std::string> held_out;
  for (std::size_t i = 0; i < options.val_speakers; ++i) held_out.insert(order[i].second);
  std::set<std::size_t> trained;  // groups
  for (std::size_t i = 0; i < utterances.size(); ++i) {
    const std::vector<Turn>& turns = utterances[i].turns;
    const auto num_held_out = std::count_if(
        turns.begin(), turns.end(), [&](const Turn& turn) { return held_out.count(turn.speaker) != 0; });
    if (num_held_out == static_cast<std::ptrdiff_t>(turns.size())) split.sides[i] = Side::kVal;
    if (num_held_out == 0) trained.insert(split.groups[i]);
    if (num_held_out > 0 && split.sides[i] != Side::kVal) {
      split.sides[i] = Side::kNeither;
      findings.leave_out("a dialogue of trained and held-out speakers");
    }
  }
  for (std::size_t i = 0; i < utterances.size(); ++i) {
    if (split.sides[i] != Side::kVal || trained.count(split.groups[i]) == 0) continue;
    split.sides[i] = Side::kNeither;
    findings.leave_out("a held-out speaker's text that others speak in training");
  }
  if (std::count(split.sides.begin(), split.sides.end(), Side::kVal) == 0) {
    throw UserError(
        "--val_speakers: everything the held-out speakers say is said by others too, so nothing is "
        "left to validate with; use --val_split instead");
  }
}

}  // namespace

Split split_utterances(const std::vector<Utterance>& utterances, const HoldOutOptions& options,
                       Findings& findings) {
  Groups groups(utterances.size());
  join_equal_texts(utterances, groups);
  join_overlapping_sound(utterances, groups);
  Split split;
  split.sides.assign(utterances.size(), Side::kTrain);
  for (std::size_t i = 0; i < utterances.size(); ++i) split.groups.push_back(groups.find(i));
  if (options.val_speakers > 0) {
    hold_out_speakers(utterances, options, split, findings);
  } else if (options.val_split > 0.0) {
    HoldOut(utterances, options, split).run();
  }
  return split;
}

std::vector<std::optional<std::size_t>> draw_references(const std::vector<Utterance>& utterances,
                                                        const Split& split, std::uint64_t seed) {
  std::map<std::pair<Side, std::string>, std::vector<std::size_t>> voices;
  for (std::size_t i = 0; i < utterances.size(); ++i) {
    const Utterance& utterance = utterances[i];
    if (split.sides[i] == Side::kNeither) continue;
    if (!can_be_reference(utterance)) continue;
    voices[{split.sides[i], utterance.speaker()}].push_back(i);
  }
  std::vector<std::optional<std::size_t>> references(utterances.size());
  for (std::size_t i = 0; i < utterances.size(); ++i) {
    const auto voice = voices.find({split.sides[i], utterances[i].speaker()});
    if (voice == voices.end()) continue;
    const std::vector<std::size_t>& all = voice->second;
    const std::size_t begin =
        draw(seed, text_key(utterances[i]) + utterances[i].audio.filename().string()) % all.size();
    for (std::size_t k = 0; k < all.size() && !references[i]; ++k) {
      const std::size_t candidate = all[(begin + k) % all.size()];
      if (split.groups[candidate] != split.groups[i]) references[i] = candidate;
    }
  }
  return references;
}

}  // namespace higgs
