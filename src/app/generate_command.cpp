// `generate`: text to WAV files.
#include <unistd.h>

#include <cstdio>
#include <map>
#include <optional>

#include "higgs/app/base_model.h"
#include "higgs/app/command_line.h"
#include "higgs/app/commands.h"
#include "higgs/app/prompt_file.h"
#include "higgs/app/speech.h"
#include "higgs/audio/waveform.h"
#include "higgs/base/error.h"
#include "higgs/base/log.h"
#include "higgs/data/manifest.h"
#include "higgs/data/prompt.h"
#include "higgs/model/adapter.h"
#include "higgs/text/chunks.h"
#include "narration.h"
#include "output_file.h"
#include "spoken_file.h"
#include "voices.h"

namespace higgs {
namespace {

// Frames decoded at a time while a WAV grows: a second. Each block is decoded with its context on both sides
// (11 frames each with the released codec), so shorter ones cost more.
constexpr std::int64_t kStreamBlock = 25;

struct GenerateOptions {
  BaseOptions base;
  std::string adapter, text, text_file, manifest, speakers, scene = kDefaultScene, out, out_codes, config;
  std::vector<std::string> ref_audio, ref_text;
  SamplingOptions sampling;
  std::int64_t seed = 0, batch_size = 8, chunk_chars = 300, chunk_context = 2;
  double max_seconds = 0.0;
  bool stream = false, print_config = false;

  FlagTable table() {
    FlagTable t;
    t.section("What to say");
    t.add("out", out, "WAV to write, - for stdout; with several prompts a number goes before its ending")
        .require();
    t.add("text", text, "what to say");
    t.add("text_file", text_file, "file with one text a line");
    t.add("manifest", manifest, "JSONL ChatML: each line's last assistant turn is spoken");
    t.section("Base, codec and device");
    base.describe(t);
    t.section("Voice");
    t.add("adapter", adapter, "PEFT folder; default: the base alone");
    t.add("ref_audio", ref_audio,
          "clip of the voice to follow; in a dialogue again for each speaker, from 0");
    t.add("ref_text", ref_text, "what is said in it; as often, in the same order");
    t.add("speakers", speakers, "voices of [SPEAKER0], [SPEAKER1], ... in words, a ';' between two");
    t.add("scene", scene,
          "scene in the system turn; '' leaves it out; default: as the adapter was trained, else this")
        .follow_checkpoint();
    t.section("Sampling and length");
    describe_sampling(t, sampling);
    t.add("seed", seed, "of sampling").range(0);
    t.add("max_seconds", max_seconds,
          "stop there at the latest, in every chunk; 0: 4 times the usual length, at least 10 s")
        .range(0.0);
    t.add("chunk_chars", chunk_chars,
          "a longer text is cut at sentence ends and spoken chunk by chunk; 0: never; not with --manifest")
        .range(0);
    t.add("chunk_context", chunk_context, "chunks spoken before that the next one follows").range(0, 100);
    t.add("batch_size", batch_size, "texts spoken together").range(1, 1024);
    t.section("More output");
    t.add("stream", stream, "the WAV grows while it is spoken, as it always does on stdout");
    t.add("out_codes", out_codes, "safetensors for the codes");
    t.section("Settings and help");
    t.add("config", config, "TOML file with these settings; flags beat it");
    t.add("print_config", print_config, "print the settings as TOML and end");
    return t;
  }
};

std::vector<std::string> texts_of(const GenerateOptions& options) {
  if (options.text_file.empty()) return {options.text};
  return read_texts(options.text_file, "--text_file");
}

std::vector<Narration> narrations_of_manifest(const GenerateOptions& options) {
  std::vector<Narration> narrations;
  for (Manifest manifest(options.manifest, options.base.confine_paths); manifest.next();) {
    const std::string where = manifest.where();
    narrations.push_back(
        {prompt_of_sample(parse_chatml(manifest.line(), where), where), {}, manifest.clips(), where});
  }
  return narrations;
}

std::vector<Narration> narrations_of_texts(const GenerateOptions& options, const std::string* trained) {
  const Voices voices{options.ref_audio, options.ref_text, voices_in_words(options.speakers), options.scene};
  const std::vector<std::string> texts = texts_of(options);
  std::vector<Narration> narrations;
  for (const std::string& text : texts) {
    const std::string where = texts.size() == 1 ? "prompt" : "text " + std::to_string(narrations.size() + 1);
    narrations.push_back({voiced_prompt(voices, text, trained, where),
                          text_chunks(text, static_cast<std::size_t>(options.chunk_chars)), fs::path(),
                          where});
  }
  return narrations;
}

// Before anything is read or computed.
void check_outputs(GenerateOptions& options) {
  if (options.out == kStdout) {
    if (::isatty(STDOUT_FILENO) != 0) {
      throw UserError("--out -: stdout is a terminal; send it to a player, as in: ... --out - | aplay");
    }
    options.stream = true;
  } else {
    check_output_file(options.out, "--out");
  }
  if (options.out_codes == kStdout) throw UserError("--out_codes -: codes can't go to stdout; name a file");
  if (!options.out_codes.empty()) check_output_file(options.out_codes, "--out_codes");
}

void make_folders(const GenerateOptions& options, std::size_t num_texts) {
  if (options.out == kStdout && num_texts > 1) {
    throw UserError("--out - takes one text, and there are " + std::to_string(num_texts) +
                    "; give --out NAME.wav, a number goes before its ending");
  }
  if (options.out != kStdout) make_folder_for(options.out);
  if (!options.out_codes.empty()) make_folder_for(options.out_codes);
}

fs::path numbered(const fs::path& path, std::size_t index, std::size_t count) {
  if (count == 1) return path;
  char number[24];
  std::snprintf(number, sizeof number, "_%03zu", index);
  return path.parent_path() / (path.stem().string() + number + path.extension().string());
}

std::int64_t max_frames(const GenerateOptions& options, std::size_t num_text_tokens,
                        const std::optional<PromptFile>& trained) {
  if (options.max_seconds <= 0.0)
    return usual_frame_limit(num_text_tokens, trained ? trained->seconds_per_text_token : 0.0);
  constexpr double kMost = 86400.0;  // a day
  return std::max<std::int64_t>(
      1, static_cast<std::int64_t>(std::min(options.max_seconds, kMost) * kFramesPerSecond));
}

// Speaks all into their files. RunError when there was nothing to write of some.
void speak_all(BaseModel& base, const GenerateOptions& options, const std::vector<Narration>& narrations,
               const NarrationOptions& how) {
  std::map<std::size_t, SpokenFile> files;
  std::vector<std::string> silent;
  const auto file_of = [&](std::size_t i) -> SpokenFile& {
    const auto found = files.find(i);
    if (found != files.end()) return found->second;
    SpokenFileOptions file;
    file.wav = numbered(options.out, i, narrations.size());
    if (!options.out_codes.empty()) file.codes = numbered(options.out_codes, i, narrations.size());
    file.stream = options.stream;
    file.num_chunks = std::max<std::size_t>(1, narrations[i].chunks.size());
    return files.emplace(i, SpokenFile(base.codes().codec(), std::move(file))).first->second;
  };
  narrate(base, narrations, how,
          {[&](std::size_t i, const Codes& frames) { file_of(i).add(frames); },
           [&](std::size_t i, const NarrationEnd& end) {
             if (end.num_frames == 0) {
               silent.push_back(narrations[i].where);
               return;
             }
             file_of(i).finish(end);
             files.erase(i);
           }});
  if (silent.empty()) return;
  throw RunError(silent.front() +
                 (silent.size() == 1 ? "" : " and " + std::to_string(silent.size() - 1) + " more") +
                 ": the model said nothing (no frame before its EOS)");
}

int generate_all(GenerateOptions& options, const FlagTable& table) {
  const int sources = !options.text.empty() + !options.text_file.empty() + !options.manifest.empty();
  if (sources != 1) throw UserError("give one of --text, --text_file and --manifest");
  check_voices({options.ref_audio, options.ref_text, voices_in_words(options.speakers), options.scene},
               !options.manifest.empty());
  check_outputs(options);
  BaseModel base(options.base);
  take_base_sampling(base.folder(), table, options.sampling);

  std::optional<Adapter> adapter;
  if (!options.adapter.empty()) adapter.emplace(base.model(), fs::path(options.adapter));
  // A merged checkpoint keeps its adapter's.
  const std::optional<PromptFile> trained =
      read_prompt_file(options.adapter.empty() ? base.folder() : fs::path(options.adapter));
  const bool as_trained =
      trained && !trained->system_text.empty() && !table.was_given("scene") && options.speakers.empty();
  const std::vector<Narration> narrations =
      options.manifest.empty() ? narrations_of_texts(options, as_trained ? &trained->system_text : nullptr)
                               : narrations_of_manifest(options);
  make_folders(options, narrations.size());
  NarrationOptions how;
  how.sampling = options.sampling;
  how.sampling.seed = static_cast<std::uint64_t>(options.seed);
  how.batch_size = static_cast<std::size_t>(options.batch_size);
  how.block_frames = options.stream ? kStreamBlock : 0;
  how.chunk_context = static_cast<std::size_t>(options.chunk_context);
  how.max_frames = [&](std::size_t num_text_tokens) { return max_frames(options, num_text_tokens, trained); };
  speak_all(base, options, narrations, how);
  return 0;
}

}  // namespace

int generate_command(const std::vector<std::string>& arguments) {
  GenerateOptions options;
  FlagTable table = options.table();
  const CommandText text{"generate",
                         "Speaks text with the base, or with base and adapter, and writes WAV files.",
                         "--base_ckpt BASE --adapter ADAPTER --text \"Hello.\" --out hello.wav"};
  if (!parse_command_line(text, arguments, table)) return 0;
  return generate_all(options, table);
}

}  // namespace higgs
