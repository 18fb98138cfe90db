// `generate`: text to WAV files.
#include <cstdio>
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
#include "higgs/kernels/philox.h"
#include "higgs/model/adapter.h"
#include "output_file.h"

namespace higgs {
namespace {

struct GenerateOptions {
  BaseOptions base;
  std::string adapter, text, text_file, manifest, ref_audio, ref_text, scene = kDefaultScene, out, out_codes,
                                                                       config;
  SamplingOptions sampling;
  std::int64_t seed = 0;
  double max_seconds = 0.0;
  bool print_config = false;

  FlagTable table() {
    FlagTable t;
    t.section("What to say");
    t.add("out", out, "WAV to write; with several prompts a number goes before its ending").require();
    t.add("text", text, "what to say");
    t.add("text_file", text_file, "file with one text a line");
    t.add("manifest", manifest, "JSONL ChatML: each line's last assistant turn is spoken");
    t.section("Base, codec and device");
    base.describe(t);
    t.section("Voice");
    t.add("adapter", adapter, "PEFT folder; default: the base alone");
    t.add("ref_audio", ref_audio, "clip of the voice to follow");
    t.add("ref_text", ref_text, "what is said in it");
    t.add("scene", scene,
          "scene in the system turn; '' leaves it out; default: as the adapter was trained, else this")
        .follow_checkpoint();
    t.section("Sampling and length");
    describe_sampling(t, sampling);
    t.add("seed", seed, "of sampling").range(0);
    t.add("max_seconds", max_seconds, "stop there at the latest; 0: 4 times the usual length, at least 10 s")
        .range(0.0);
    t.section("More output");
    t.add("out_codes", out_codes, "safetensors for the codes");
    t.section("Settings and help");
    t.add("config", config, "TOML file with these settings; flags beat it");
    t.add("print_config", print_config, "print the settings as TOML and end");
    return t;
  }
};

struct Prompt {
  ChatMLSample chat;
  ClipFolder folder;
  std::string where;
  std::size_t text_tokens = 0;
};

std::vector<std::string> texts_of(const GenerateOptions& options) {
  if (options.text_file.empty()) return {options.text};
  return read_texts(options.text_file, "--text_file");
}

std::vector<Prompt> make_prompts(const GenerateOptions& options, const std::string& system,
                                 const Tokenizer& tokenizer) {
  std::vector<Prompt> prompts;
  if (!options.manifest.empty()) {
    for (Manifest manifest(options.manifest, options.base.confine_paths); manifest.next();) {
      const std::string where = manifest.where();
      const ChatMLSample chat = prompt_of_sample(parse_chatml(manifest.line(), where), where);
      prompts.push_back({chat, manifest.clips(), where, num_text_tokens(chat, tokenizer)});
    }
    return prompts;
  }
  std::optional<Reference> reference;
  if (!options.ref_audio.empty()) {
    reference.emplace();
    reference->audio.audio_url = options.ref_audio;
    reference->text = options.ref_text;
  }
  for (const std::string& text : texts_of(options)) {
    const ChatMLSample chat = generation_prompt(system, text, reference);
    prompts.push_back({chat, fs::path(), "prompt", num_text_tokens(chat, tokenizer)});
  }
  return prompts;
}

fs::path numbered(const fs::path& path, std::size_t index, std::size_t count) {
  if (count == 1) return path;
  char number[24];
  std::snprintf(number, sizeof number, "_%03zu", index);
  return path.parent_path() / (path.stem().string() + number + path.extension().string());
}

std::int64_t max_frames(const GenerateOptions& options, const Prompt& prompt,
                        const std::optional<PromptFile>& trained) {
  if (options.max_seconds <= 0.0)
    return usual_frame_limit(prompt.text_tokens, trained ? trained->seconds_per_text_token : 0.0);
  constexpr double kMost = 86400.0;  // a day
  return std::max<std::int64_t>(
      1, static_cast<std::int64_t>(std::min(options.max_seconds, kMost) * kFramesPerSecond));
}

void write_spoken(const SpokenClip& clip, const fs::path& wav, const fs::path& codes_file) {
  write_wav(wav, clip.sound);
  if (!codes_file.empty()) write_codes(codes_file, clip.generated.codes);
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%.2f", clip.seconds());
  log::info(wav.string() + ": " + seconds + " s, " +
            (clip.generated.stopped ? "stopped by itself" : "did not stop"));
}

int generate_all(GenerateOptions& options, const FlagTable& table) {
  const int sources = !options.text.empty() + !options.text_file.empty() + !options.manifest.empty();
  if (sources != 1) throw UserError("give one of --text, --text_file and --manifest");
  if (!options.ref_audio.empty() && options.ref_text.empty()) {
    throw UserError("--ref_audio needs --ref_text: what is said in the clip");
  }
  check_output_file(options.out, "--out");
  if (!options.out_codes.empty()) check_output_file(options.out_codes, "--out_codes");
  BaseModel base(options.base);
  take_base_sampling(base.folder(), table, options.sampling);

  std::optional<Adapter> adapter;
  if (!options.adapter.empty()) adapter.emplace(base.model(), fs::path(options.adapter));
  // A merged checkpoint keeps its adapter's.
  const std::optional<PromptFile> trained =
      read_prompt_file(options.adapter.empty() ? base.folder() : fs::path(options.adapter));
  const bool as_trained = trained && !trained->system_text.empty() && !table.was_given("scene");
  const std::vector<Prompt> prompts =
      make_prompts(options, as_trained ? trained->system_text : system_text(options.scene), base.tokenizer());
  make_folder_for(options.out);
  if (!options.out_codes.empty()) make_folder_for(options.out_codes);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    options.sampling.seed = mix_key(static_cast<std::uint64_t>(options.seed), i);
    const fs::path codes =
        options.out_codes.empty() ? fs::path() : numbered(options.out_codes, i, prompts.size());
    const SpokenClip clip = speak(base, prompts[i].chat, prompts[i].folder, prompts[i].where,
                                  options.sampling, max_frames(options, prompts[i], trained));
    if (clip.generated.codes.num_frames == 0)
      throw RunError(prompts[i].where + ": the model said nothing (no frame before its EOS)");
    write_spoken(clip, numbered(options.out, i, prompts.size()), codes);
  }
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
