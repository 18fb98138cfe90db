#include "higgs/text/bpe.h"

#include <queue>

#include "higgs/base/error.h"
#include "higgs/text/byte_alphabet.h"

namespace higgs {
// The symbols of one word as a linked list, and the merges that are possible, the best on top of a heap.
class BpeModel::Merger {
 public:
  Merger(const BpeModel& model, std::string_view word) : model_(model) {
    symbols_.reserve(word.size());
    for (const char byte : word) {
      const std::int32_t id = model.byte_ids_[static_cast<unsigned char>(byte)];
      if (id < 0) continue;  // as the reference does with a symbol the vocabulary lacks
      const auto place = static_cast<std::int32_t>(symbols_.size());
      symbols_.push_back({id, place - 1, place + 1});
    }
    if (!symbols_.empty()) symbols_.back().next = -1;
    for (std::int32_t i = 0; i < static_cast<std::int32_t>(symbols_.size()); ++i) propose(i);
  }

  void run(std::vector<std::int64_t>& ids) {
    while (!candidates_.empty()) {
      const Candidate best = candidates_.top();
      candidates_.pop();
      if (is_current(best)) merge(best);
    }
    for (std::int32_t i = symbols_.empty() ? -1 : 0; i >= 0; i = symbols_[i].next) {
      ids.push_back(symbols_[i].id);
    }
  }

 private:
  struct Symbol {
    std::int32_t id;  // -1 once it is part of the symbol before it
    std::int32_t previous, next;
  };
  struct Candidate {
    std::int32_t rank, place, id;
    auto operator<=>(const Candidate&) const = default;  // lowest rank first, then leftmost
  };
  using Heap = std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>>;

  const Merge* merge_at(std::int32_t place) const {
    if (place < 0 || symbols_[place].id < 0 || symbols_[place].next < 0) return nullptr;
    const auto found = model_.merges_.find(pair_key(symbols_[place].id, symbols_[symbols_[place].next].id));
    return found == model_.merges_.end() ? nullptr : &found->second;
  }

  void propose(std::int32_t place) {
    const Merge* possible = merge_at(place);
    if (possible != nullptr) candidates_.push({possible->rank, place, possible->id});
  }

  // The pair may have been merged away, or changed, since it was proposed.
  bool is_current(const Candidate& candidate) const {
    const Merge* possible = merge_at(candidate.place);
    return possible != nullptr && possible->id == candidate.id;
  }

  void merge(const Candidate& candidate) {
    Symbol& left = symbols_[candidate.place];
    Symbol& right = symbols_[left.next];
    left.id = candidate.id;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) symbols_[left.next].previous = candidate.place;
    propose(left.previous);
    propose(candidate.place);
  }

  const BpeModel& model_;
  std::vector<Symbol> symbols_;
  Heap candidates_;
};

void BpeModel::encode_word(std::string_view word, std::vector<std::int64_t>& ids) const {
  if (word.empty()) return;
  if (ignore_merges_) {
    const auto found = ids_.find(word);
    if (found != ids_.end()) {
      ids.push_back(found->second);
      return;
    }
  }
  Merger(*this, word).run(ids);
}

std::optional<std::int64_t> BpeModel::find(std::string_view token) const {
  const std::optional<std::string> bytes = bytes_of_symbols(token);
  const auto& table = bytes ? ids_ : foreign_;
  const auto found = bytes ? table.find(*bytes) : table.find(token);
  if (found == table.end()) return std::nullopt;
  return found->second;
}

const std::string* BpeModel::bytes(std::int64_t id) const {
  if (id < 0 || id >= end_id() || !bytes_[static_cast<std::size_t>(id)]) return nullptr;
  return &*bytes_[static_cast<std::size_t>(id)];
}

}  // namespace higgs
