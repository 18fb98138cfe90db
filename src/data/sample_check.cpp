#include "higgs/data/sample_check.h"

#include <algorithm>
#include <cmath>

#include "higgs/audio/log_mel.h"
#include "higgs/audio/waveform.h"
#include "higgs/base/error.h"
#include "higgs/codec/codes.h"
#include "higgs/data/clip_file.h"
#include "higgs/data/code_store.h"
#include "higgs/data/expanded_length.h"
#include "sample_problems.h"

namespace higgs {
namespace {

std::string clip_name(const AudioContent& clip) {
  std::string name = clip.audio_url.empty() || clip.audio_url == "placeholder" ? "raw_audio" : clip.audio_url;
  if (clip.offset || clip.duration) {
    name += " from " + formatted("%g", clip.offset.value_or(0.0));
    if (clip.duration) name += formatted(" for %g", *clip.duration);
    name += " s";
  }
  return name;
}

// `where: what` -> `what`.
std::string without_place(const std::string& message, const std::string& where) {
  return message.rfind(where + ": ", 0) == 0 ? message.substr(where.size() + 2) : message;
}

struct ReadClip {
  CheckedClip clip;
  ClipLength length;
  double voiced = 0.0;  // seconds between the silences at the ends; 0: not known
};

class ClipReader {
 public:
  ClipReader(const CheckOptions& options, const ClipFolder& folder, const std::string& where,
             CheckedSample& out)
      : options_(options), folder_(folder), where_(where), out_(out) {}

  // Throws what training would.
  ReadClip read(const AudioContent& content, ClipUse use) const {
    ReadClip read;
    read.clip.use = use;
    read.clip.name = clip_name(content);
    const ClipFile file(content, folder_, where_);
    if (file.holds_codes()) {
      take_codes(file, content, read);
    } else {
      take_sound(file, content, read);
    }
    return read;
  }

 private:
  bool is_heard_by_tower(ClipUse use) const {
    return use == ClipUse::kHeard && options_.base && options_.base->ids.whisper;
  }

  void take_codes(const ClipFile& file, const AudioContent& content, ReadClip& read) const {
    if (is_heard_by_tower(read.clip.use)) heard_clip(content, folder_, where_);  // refuses them
    const Codes codes = read_codes(file.path());
    if (options_.base) {
      check_codes(codes, options_.base->ids.num_codebooks, options_.base->ids.codebook_size, file.name());
    }
    read.clip.seconds = static_cast<double>(codes.num_frames) / kFramesPerSecond;
    read.clip.hash = Hasher().update(std::as_bytes(std::span(codes.values))).digest();
    read.length.num_frames = codes.num_frames;
  }

  void take_sound(const ClipFile& file, const AudioContent& content, ReadClip& read) const {
    const Waveform wave =
        read_audio_bytes(file.bytes(), file.name(), {content.offset, content.duration}, where_);
    const ClipMeasures measures = measure_clip(wave.samples, wave.sample_rate);
    read.clip.seconds = measures.seconds;
    read.clip.hash = Hasher()
                         .update(std::as_bytes(std::span(wave.samples)))
                         .update(static_cast<std::uint64_t>(wave.sample_rate))
                         .digest();
    read.voiced =
        measures.is_silent ? 0.0 : measures.seconds - measures.leading_silence - measures.trailing_silence;
    check_sound(read.clip, measures, wave.sample_rate, out_);
    take_length(wave, read);
  }

  void take_length(const Waveform& wave, ReadClip& read) const {
    const double frames = read.clip.seconds * kFramesPerSecond;
    const bool too_many = !options_.base && frames > static_cast<double>(options_.max_tokens);
    if (read.clip.seconds > kMaxEncodedSeconds || too_many) {
      add_error(out_, "too_long",
                read.clip.name + ": " + seconds_text(read.clip.seconds) +
                    (too_many ? " are more than --max_tokens " + std::to_string(options_.max_tokens)
                              : ", at most " + formatted("%.0f", kMaxEncodedSeconds) + " s are encoded") +
                    "; cut it, or give offset and duration");
    }
    if (!options_.base) return;
    read.length.num_frames = options_.base->num_frames(wave.samples.size(), wave.sample_rate);
    if (is_heard_by_tower(read.clip.use)) {
      read.length.num_heard_samples = static_cast<std::int64_t>(
          std::ceil(static_cast<double>(wave.samples.size()) *
                    (static_cast<double>(kMelSampleRate) / wave.sample_rate)));  // as resample_soxr()
    }
    if (read.length.num_frames == 0) {
      add_error(out_, "too_short",
                read.clip.name + ": " + seconds_text(read.clip.seconds) +
                    " give no frame of the audio tokenizer; remove or replace the clip");
    }
  }

  const CheckOptions& options_;
  const ClipFolder& folder_;
  const std::string& where_;
  CheckedSample& out_;
};

struct ReadClips {
  std::vector<double> voiced;  // by turn
  std::vector<ClipLength> lengths;
  bool all = true;  // none was refused
};

template <typename Refused>
ReadClips read_clips(const ChatMLSample& chat, const ClipReader& reader, CheckedSample& out,
                     const Refused& refused) {
  ReadClips clips;
  clips.voiced.resize(chat.messages.size(), 0.0);
  for (std::size_t turn = 0; turn < chat.messages.size(); ++turn) {
    const bool said = chat.messages[turn].role == "assistant";
    const ClipUse use = !said                   ? ClipUse::kHeard
                        : is_learnt(chat, turn) ? ClipUse::kReply
                                                : ClipUse::kReference;
    std::size_t num_clips = 0;
    for (const Content& content : chat.messages[turn].contents) {
      if (!content.audio || content.dropped) continue;
      try {
        const ReadClip read = reader.read(*content.audio, use);
        out.clips.push_back(read.clip);
        clips.lengths.push_back(read.length);
        // Of several clips, each says an unknown part of the text.
        clips.voiced[turn] = ++num_clips == 1 ? read.voiced : 0.0;
      } catch (const UserError& error) {
        clips.all = false;
        refused("clip", error);
      }
    }
  }
  return clips;
}

void check_length(const TokenizedSample& tokens, const std::vector<ClipLength>& clips,
                  const CheckOptions& options, CheckedSample& out) {
  const SpecialIds& ids = options.base->ids;
  out.num_tokens = expanded_length(tokens.input_ids, clips, ids);
  out.num_supervised = num_supervised(tokens, clips, ids);
  if (out.num_tokens <= options.max_tokens) return;
  add_error(out, "too_many_tokens",
            std::to_string(out.num_tokens) + " tokens, more than --max_tokens " +
                std::to_string(options.max_tokens) +
                ", and samples are never cut; shorten the sample, or train with --on_too_long skip");
}

}  // namespace

SampleChecker::SampleChecker(CheckOptions options) : options_(std::move(options)) {
  if (options_.base) to_tokens_.emplace(*options_.base->tokenizer);
}

CheckedSample SampleChecker::check(std::string_view line, std::uint64_t number,
                                   const ClipFolder& folder) const {
  CheckedSample out;
  out.line = number;
  const std::string where = "line " + std::to_string(number);
  const auto refused = [&](const char* kind, const UserError& error) {
    add_error(out, kind, without_place(error.what(), where));
  };
  ChatMLSample chat;
  try {
    chat = parse_chatml(line, where);
  } catch (const UserError& error) {
    refused("form", error);
    return out;
  }
  out.speaker = chat.speaker.value_or("");
  check_turns(chat, out);
  check_special_tokens(chat, options_, out);
  const std::size_t before_clips = out.problems.size();
  const ReadClips clips = read_clips(chat, ClipReader(options_, folder, where, out), out, refused);
  check_speech(chat, clips.voiced, out);
  check_references(out);
  const bool refused_already =
      std::any_of(out.problems.begin(), out.problems.begin() + static_cast<std::ptrdiff_t>(before_clips),
                  [](const Problem& problem) { return problem.grade == Grade::kError; });
  if (!options_.base || refused_already || !clips.all) return out;
  try {
    const TokenizedSample tokens = to_tokens_->tokenize(chat, where);
    check_placeholders(tokens, options_.base->ids.audio_in, options_.base->ids.audio_out, where);
    check_length(tokens, clips.lengths, options_, out);
  } catch (const UserError& error) {
    refused("tokens", error);
  }
  return out;
}

}  // namespace higgs
