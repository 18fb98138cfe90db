// Damages clips of every format, lets `higgs_train encode --skip_bad_samples` and the reading functions
// themselves loose on them, and checks that each clip was decoded into finite samples or refused by manifest
// line and path: `mutated_clips [COUNT]`. The last line of its output is a JSON object with the counts.
#include <sndfile.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <set>

#include "../data/fake_tokenizer.h"
#include "fuzz_target.h"
#include "higgs/base/json.h"
#include "higgs/data/clip_file.h"
#include "higgs/data/manifest.h"
#include "mutate.h"
#include "support/process.h"

namespace higgs::fuzz {
namespace {

struct Source {
  std::string ending, bytes;
};

struct Format {
  const char* ending;
  int format;
};

// 0.6 s of a rising tone, mono or stereo.
std::string sound(const fs::path& path, int format, int channels) {
  SF_INFO info{};
  info.samplerate = 24000;
  info.channels = channels;
  info.format = format;
  std::vector<float> samples;
  for (int i = 0; i < 14400; ++i) {
    const double seconds = i / 24000.0;
    for (int c = 0; c < channels; ++c) {
      samples.push_back(static_cast<float>(0.3 * std::sin(2000.0 * (c + 1 + seconds) * seconds)));
    }
  }
  SNDFILE* file = sf_open(path.c_str(), SFM_WRITE, &info);
  require(file != nullptr, "libsndfile cannot write", path.string());
  sf_writef_float(file, samples.data(), 14400);
  sf_close(file);
  return read_file(path);
}

std::vector<Source> sources(const fs::path& scratch) {
  const Format formats[] = {
      {"wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16},         {"wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT},
      {"wav", SF_FORMAT_WAV | SF_FORMAT_IMA_ADPCM},      {"flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16},
      {"ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS},         {"ogg", SF_FORMAT_OGG | SF_FORMAT_OPUS},
      {"mp3", SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III}};
  std::vector<Source> all;
  for (const Format& format : formats) {
    for (const int channels : {1, 2}) {
      all.push_back({format.ending, sound(scratch / "source", format.format, channels)});
    }
  }
  for (const char* name : {"val_07", "train_17", "train_24", "train_30"}) {
    all.push_back(
        {"flac", read_file(test::source_dir() / "demo/voice/clips" / (std::string(name) + ".flac"))});
  }
  return all;
}

// Writes damaged clips and their manifest, which also has a few that are whole.
fs::path write_clips(const fs::path& folder, std::size_t count) {
  const std::vector<Source> all = sources(folder);
  Mutator mutator(20250608);
  std::string lines;
  for (std::size_t i = 0; i < count; ++i) {
    const Source& source = all[i % all.size()];
    const bool whole = i % 97 == 0;
    char name[32];
    std::snprintf(name, sizeof name, "c%05zu.%s", i, source.ending.c_str());
    test::write_text(folder / name, whole ? source.bytes : mutator.damaged(source.bytes));
    const Json content = {{"type", "audio"}, {"audio_url", name}};
    lines += Json{{"messages",
                   {{{"role", "user"}, {"content", "one"}}, {{"role", "assistant"}, {"content", content}}}}}
                 .dump() +
             "\n";
  }
  test::write_text(folder / "m.jsonl", lines);
  return folder / "m.jsonl";
}

// The clip of the manifest's line: its samples are finite (true), or it is refused by line and path (false).
bool is_decoded(const Manifest& manifest, const Tokenizer& tokenizer) {
  const std::string where = manifest.where();
  const TokenizedSample tokens = tokenize(parse_chatml(manifest.line(), where), tokenizer, where);
  const AudioContent& clip = tokens.audios.at(0);
  try {
    const HeardClip heard = heard_clip(clip, manifest.clips(), where);
    const std::vector<float> samples = heard.read();
    require(!samples.empty(), "a clip without samples", where);
    for (const float value : samples) require(std::isfinite(value), "a sample that is no number", where);
    return true;
  } catch (const UserError& error) {
    const std::string start = where + ": " + (manifest.clips().path / clip.audio_url).string() + ": ";
    require(std::string(error.what()).starts_with(start), "a refusal without line and path", error.what());
    return false;
  }
}

// Lines that the program refused; the rest it has encoded.
std::set<std::size_t> refused_by_program(const fs::path& manifest, std::size_t count) {
  const fs::path demo = test::source_dir() / "demo";
  const test::ProcessResult result = test::run_process(
      {test::program().string(), "encode", "--manifest", manifest.string(), "--base_ckpt",
       (demo / "base").string(), "--audio_tokenizer", (demo / "codec").string(), "--cache_dir",
       (manifest.parent_path() / "codes").string(), "--skip_bad_samples", "--confine_paths"});
  require(result.exit_code == 0, "higgs_train encode failed", result.err);
  std::set<std::size_t> lines;
  for (const std::string& line : test::lines_of(result.err)) {
    const std::string start = manifest.string() + ":";
    const auto at = line.find(start);
    if (at == std::string::npos) continue;
    const std::size_t number = std::stoul(line.substr(at + start.size()));
    require(line.find(": " + manifest.parent_path().string() + "/c", at) != std::string::npos,
            "a refusal without the clip's path", line);
    require(lines.insert(number).second, "a line refused twice", line);
  }
  const std::string summary = std::to_string(count - lines.size()) + " samples: ";
  require(result.err.find(summary) != std::string::npos, "a clip neither encoded nor refused", result.err);
  return lines;
}

int run(std::size_t count) {
  const auto begin = std::chrono::steady_clock::now();
  const test::TemporaryFolder folder;
  const fs::path path = write_clips(folder.path(), count);
  const std::set<std::size_t> refused_lines = refused_by_program(path, count);
  Manifest manifest(path, true);
  const test::FakeTokenizer tokenizer;
  std::size_t decoded = 0, too_short = 0;
  for (std::size_t i = 0; manifest.next(); ++i) {
    const bool here = is_decoded(manifest, tokenizer);
    const bool there = refused_lines.count(i + 1) == 0;
    require(here || !there, "encoded, though it can't be decoded", manifest.where());
    require(i % 97 != 0 || there, "a whole clip was refused", manifest.where());
    decoded += here ? 1 : 0;
    too_short += here && !there ? 1 : 0;  // for the codec
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  std::printf(
      "{\"target\":\"mutated_clips\",\"seconds\":%.0f,\"executions\":%zu,\"crashes\":0,\"decoded\":%zu,"
      "\"refused\":%zu,\"decoded_but_too_short\":%zu}\n",
      seconds.count(), count, decoded, count - decoded, too_short);
  return 0;
}

}  // namespace
}  // namespace higgs::fuzz

int main(int argc, char** argv) {
  return higgs::fuzz::run(argc > 1 ? std::stoul(argv[1]) : 200);
}
