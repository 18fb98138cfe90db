#include "higgs/data/collate.h"

#include <algorithm>

#include "higgs/base/error.h"

namespace higgs {
namespace {

// A clip of the batch, on its way into the concatenated matrices.
struct Clip {
  const EncodedSample* sample;
  std::size_t index;  // in sample->codes
  bool supervised = false;

  const Codes& codes() const { return sample->codes[index]; }
  std::int64_t rows(const CollateOptions& options) const {
    return std::min(codes().num_codebooks, options.num_codebooks.value_or(codes().num_codebooks));
  }
};

struct Clips {
  std::vector<Clip> in;
  std::vector<Clip> out;
};

std::string prefix(const EncodedSample& sample) {
  return sample.where.empty() ? "" : sample.where + ": ";
}

std::span<const std::int16_t> row_of(const Codes& codes, std::int64_t codebook) {
  return std::span(codes.values)
      .subspan(static_cast<std::size_t>(codebook * codes.num_frames),
               static_cast<std::size_t>(codes.num_frames));
}

// `values` from column `lead` on, `before` in front of them and `after` behind, in row `row` of `to`,
// columns [begin, begin + width).
template <typename T>
void fill_row(std::span<const T> values, std::int64_t lead, std::int64_t before, std::int64_t after,
              std::int64_t row, std::int64_t begin, std::int64_t width, IdMatrix& to) {
  auto at = to.values.begin() + row * to.cols + begin;
  const auto end = at + width;
  at = std::fill_n(at, lead, before);
  at = std::copy(values.begin(), values.end(), at);
  std::fill(at, end, after);
}

// Placeholder ids in order, each with the clip of its number.
void find_clips(const EncodedSample& sample, const CollateOptions& options, Clips& clips) {
  std::size_t index = 0;
  for (std::size_t i = 0; i < sample.input_ids.size(); ++i) {
    const std::int64_t id = sample.input_ids[i];
    if (id == options.audio_in_id) {
      clips.in.push_back({&sample, index++});
    } else if (id == options.audio_out_id) {
      const bool supervised = sample.label_ids && (*sample.label_ids)[i] >= 0;
      clips.out.push_back({&sample, index++, supervised});
    }
  }
  if (index != sample.codes.size()) {
    throw UserError(prefix(sample) + std::to_string(index) + " <|AUDIO|> or <|AUDIO_OUT|> tokens for " +
                    std::to_string(sample.codes.size()) +
                    " clips; a text must not hold such a token literally");
  }
}

// Columns of a clip in the batch: its frames, BOS and EOS, and the delay of the last codebook.
std::int64_t width_of(const Clip& clip, const CollateOptions& options) {
  const std::int64_t frames = clip.codes().num_frames;
  if (options.disable_codes_transform) return frames;
  return frames + 2 + (options.use_delay_pattern ? clip.rows(options) - 1 : 0);
}

// [rows, sum of widths], to be filled, with the first column of each clip.
IdMatrix allot(const std::vector<Clip>& clips, const CollateOptions& options,
               std::vector<std::int64_t>& starts) {
  starts.clear();
  if (clips.empty()) return {};
  const std::int64_t rows = clips.front().rows(options);
  std::int64_t cols = 0;
  for (const Clip& clip : clips) {
    const Codes& codes = clip.codes();
    HIGGS_ASSERT(static_cast<std::int64_t>(codes.values.size()) == codes.num_codebooks * codes.num_frames);
    if (clip.rows(options) != rows || rows < options.num_codebooks.value_or(1)) {
      throw UserError(prefix(*clip.sample) + "clip " + std::to_string(clip.index + 1) + " has " +
                      std::to_string(codes.num_codebooks) + " codebooks where " +
                      std::to_string(options.num_codebooks.value_or(clips.front().codes().num_codebooks)) +
                      " are needed; encode it with the model's own audio tokenizer");
    }
    starts.push_back(cols);
    cols += width_of(clip, options);
  }
  return {rows, cols};
}

IdMatrix concat_codes(const std::vector<Clip>& clips, const CollateOptions& options,
                      std::vector<std::int64_t>& starts) {
  IdMatrix ids = allot(clips, options, starts);
  for (std::size_t i = 0; i < clips.size(); ++i) {
    const std::int64_t width = width_of(clips[i], options);
    for (std::int64_t k = 0; k < ids.rows; ++k) {
      const std::int64_t lead = options.disable_codes_transform ? 0 : 1 + (options.use_delay_pattern ? k : 0);
      fill_row(row_of(clips[i].codes(), k), lead, options.stream_bos_id, options.stream_eos_id, k, starts[i],
               width, ids);
    }
  }
  return ids;
}

const Codes& labels_given(const Clip& clip) {
  const auto& all = clip.sample->label_codes;
  const Codes& codes = clip.codes();
  if (clip.index < all.size()) {
    const Codes& labels = all[clip.index];
    if (labels.num_codebooks == codes.num_codebooks && labels.num_frames == codes.num_frames) return labels;
  }
  throw UserError(prefix(*clip.sample) + "clip " + std::to_string(clip.index + 1) +
                  " needs label codes of its own shape, since its codes are taken as they are");
}

// Labels of the audio-out clips, at the columns of their codes. Each codebook learns to end its clip.
IdMatrix concat_labels(const std::vector<Clip>& clips, const CollateOptions& options,
                       const std::vector<std::int64_t>& starts, const IdMatrix& codes) {
  IdMatrix labels(codes.rows, codes.cols, kIgnore);
  for (std::size_t i = 0; i < clips.size(); ++i) {
    const Clip& clip = clips[i];
    const Codes& source = options.disable_codes_transform ? labels_given(clip) : clip.codes();
    if (!clip.supervised) continue;
    const std::int64_t width = width_of(clip, options);
    for (std::int64_t k = 0; k < labels.rows; ++k) {
      const std::int64_t lead = options.disable_codes_transform ? 0 : 1 + (options.use_delay_pattern ? k : 0);
      fill_row(row_of(source, k), lead, kIgnore, kIgnore, k, starts[i], width, labels);
      if (!options.disable_codes_transform) {
        labels.at(k, starts[i] + lead + source.num_frames) = options.stream_eos_id;
      }
    }
  }
  return labels;
}

// [B, S]: `ids` of each sample, padded with `pad` on the side that the options say.
template <typename IdsOf>
IdMatrix padded(std::span<const EncodedSample* const> samples, std::int64_t length, std::int64_t pad,
                bool pad_left, IdsOf ids_of) {
  IdMatrix matrix(static_cast<std::int64_t>(samples.size()), length);
  for (std::size_t b = 0; b < samples.size(); ++b) {
    const std::vector<std::int64_t>& ids = ids_of(*samples[b]);
    const std::int64_t lead = pad_left ? length - static_cast<std::int64_t>(ids.size()) : 0;
    fill_row(std::span<const std::int64_t>(ids), lead, pad, pad, static_cast<std::int64_t>(b), 0, length,
             matrix);
  }
  return matrix;
}

// The batch's length, and whether it has labels.
std::pair<std::int64_t, bool> measure(std::span<const EncodedSample* const> samples,
                                      const CollateOptions& options) {
  HIGGS_ASSERT(!samples.empty() && options.round_to > 0);
  HIGGS_ASSERT(!options.num_codebooks || *options.num_codebooks > 0);
  std::int64_t longest = 0;
  const bool has_labels = samples.front()->label_ids.has_value();
  for (const EncodedSample* sample : samples) {
    longest = std::max(longest, static_cast<std::int64_t>(sample->input_ids.size()));
    if (sample->label_ids.has_value() != has_labels) {
      throw UserError(prefix(*sample) + "some samples of a batch have labels and some have none");
    }
    HIGGS_ASSERT(!has_labels || sample->label_ids->size() == sample->input_ids.size());
  }
  return {(longest + options.round_to - 1) / options.round_to * options.round_to, has_labels};
}

}  // namespace

CollatedBatch collate(std::span<const EncodedSample* const> given, const CollateOptions& options) {
  std::vector<const EncodedSample*> samples(given.begin(), given.end());
  std::vector<std::optional<EncodedSample>> chunked(samples.size());
  for (std::size_t i = 0; options.whisper && i < samples.size(); ++i) {
    chunked[i] = cut_into_chunks(*samples[i], options);
    if (chunked[i]) samples[i] = &*chunked[i];
  }
  const auto [length, has_labels] = measure(samples, options);
  Clips clips;
  for (const EncodedSample* sample : samples) find_clips(*sample, options, clips);

  CollatedBatch batch;
  batch.input_ids = padded(
      samples, length, options.pad_id, options.pad_left,
      [](const EncodedSample& sample) -> const auto& { return sample.input_ids; });
  std::vector<std::int64_t> ones;
  batch.attention_mask = padded(
      samples, length, 0, options.pad_left, [&](const EncodedSample& sample) -> const auto& {
        ones.assign(sample.input_ids.size(), 1);
        return ones;
      });
  if (has_labels) {
    batch.label_ids = padded(
        samples, length, kIgnore, options.pad_left,
        [](const EncodedSample& sample) -> const auto& { return *sample.label_ids; });
    if (options.mask_audio_out_label) {
      for (std::size_t i = 0; i < batch.input_ids.values.size(); ++i) {
        if (batch.input_ids.values[i] == options.audio_out_id) batch.label_ids->values[i] = kIgnore;
      }
    }
  }
  batch.audio_out_ids = concat_codes(clips.out, options, batch.audio_out_ids_start);
  if (has_labels) {
    batch.label_audio_ids = concat_labels(clips.out, options, batch.audio_out_ids_start, batch.audio_out_ids);
  }
  if (!clips.out.empty()) {
    auto& locations = batch.audio_out_ids_start_group_loc.emplace(samples.size());
    for (std::size_t b = 0; b < samples.size(); ++b) locations[b] = static_cast<std::int64_t>(b);
  }
  if (options.return_audio_in_tokens) {
    batch.audio_in_ids = concat_codes(clips.in, options, batch.audio_in_ids_start.emplace());
  }
  if (options.whisper) batch.audio_features = audio_features(given, options);
  return batch;
}

IdMatrix apply_delay_pattern(const IdMatrix& codes, std::int64_t bos, std::int64_t pad) {
  HIGGS_ASSERT(codes.rows > 0);
  IdMatrix delayed(codes.rows, codes.cols + codes.rows - 1);
  for (std::int64_t k = 0; k < codes.rows; ++k) {
    const auto row =
        std::span(codes.values)
            .subspan(static_cast<std::size_t>(k * codes.cols), static_cast<std::size_t>(codes.cols));
    fill_row(row, k, bos, pad, k, 0, delayed.cols, delayed);
  }
  return delayed;
}

IdMatrix revert_delay_pattern(const IdMatrix& delayed) {
  HIGGS_ASSERT(delayed.rows > 0);
  const std::int64_t cols = delayed.cols - delayed.rows + 1;
  if (cols < 0) {
    throw UserError(std::to_string(delayed.cols) + " columns of codes are too few to undo the delay of " +
                    std::to_string(delayed.rows) + " codebooks; there must be " +
                    std::to_string(delayed.rows - 1) + " or more");
  }
  IdMatrix codes(delayed.rows, cols);
  for (std::int64_t k = 0; k < codes.rows; ++k) {
    std::copy_n(delayed.values.begin() + k * delayed.cols + k, cols, codes.values.begin() + k * cols);
  }
  return codes;
}

}  // namespace higgs
