// Several clips spoken together: the linear maps run over a frame of each, attention over each clip's own
// cache. A clip's numbers are those it would get alone but for the rounding of the linear maps' sums, whose
// order depends on the number of rows; its random numbers are its own.
#pragma once

#include <memory>
#include <vector>

#include "higgs/model/generate.h"

namespace higgs {

class GenerationBatch {
 public:
  // At most `size` clips at a time. Model and ids must outlive it.
  GenerationBatch(HiggsModel& model, const SpecialIds& ids, std::size_t size);
  ~GenerationBatch();

  bool full() const;
  bool empty() const;
  // Takes a clip in, known by `key`, and reads its prompt; arguments as generate()'s. There must be room.
  void add(std::size_t key, const EncodedSample& prompt, const SamplingOptions& options,
           std::int64_t max_frames);

  struct Finished {
    std::size_t key;
    GeneratedClip clip;
  };
  // A frame of every clip. Those that end with it leave, in the order in which they came.
  std::vector<Finished> step();

  // Frames of a clip in the batch that nothing to come can change, from the first on: the clip ends in no
  // fewer.
  std::int64_t num_ready(std::size_t key) const;
  Codes ready(std::size_t key, std::int64_t begin, std::int64_t end) const;

 private:
  struct Sequence;
  struct Step;  // the inputs of a step, kept while the same clips are in

  const Sequence& find(std::size_t key) const;
  std::size_t free_slot(std::int64_t capacity);
  void store_caches();
  void arrange();
  void prefill(Sequence& sequence, const CollatedBatch& prompt, std::int64_t capacity);

  HiggsModel& model_;
  const SpecialIds& ids_;
  std::size_t size_;
  std::vector<std::vector<KvCache>> slots_;  // [slot][layer]: kept from clip to clip
  std::vector<KvCache> caches_;              // of those in: [layer * clips]
  std::vector<std::unique_ptr<Sequence>> sequences_;
  std::unique_ptr<Step> step_;
  DrawScratch scratch_;
};

}  // namespace higgs
