#include <gmock/gmock.h>
#include <sndfile.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <numbers>

#include "higgs/audio/waveform.h"
#include "higgs/formats/safetensors.h"
#include "support/paths.h"
#include "support/process.h"

namespace higgs {
namespace {

using test::golden;
using test::TemporaryFolder;
using test::user_error;

constexpr int kRate = 8000;

// Interleaved channels: channel c is a sine of (c + 1) * 100 Hz at half scale.
std::vector<float> sines(int frames, int channels, int rate = kRate) {
  std::vector<float> samples;
  for (int i = 0; i < frames; ++i) {
    for (int c = 0; c < channels; ++c) {
      samples.push_back(0.5f * static_cast<float>(std::sin(2 * std::numbers::pi * 100 * (c + 1) * i /
                                                           static_cast<double>(rate))));
    }
  }
  return samples;
}

void write_sound(const fs::path& path, int format, const std::vector<float>& samples, int channels = 1,
                 int rate = kRate) {
  SF_INFO info{};
  info.samplerate = rate;
  info.channels = channels;
  info.format = format;
  SNDFILE* file = sf_open(path.c_str(), SFM_WRITE, &info);
  ASSERT_NE(file, nullptr) << sf_strerror(nullptr);
  const auto frames = static_cast<sf_count_t>(samples.size()) / channels;
  EXPECT_EQ(sf_writef_float(file, samples.data(), frames), frames);
  sf_close(file);
}

// Root mean square of the difference over the samples both have.
double rms_difference(const std::vector<float>& a, const std::vector<float>& b) {
  const std::size_t n = std::min(a.size(), b.size());
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += std::pow(static_cast<double>(a[i]) - b[i], 2);
  return std::sqrt(sum / static_cast<double>(n));
}

// libsndfile would read these too.
TEST(ReadAudio, LeavesOtherKindsOfFilesAlone) {
  const TemporaryFolder folder;
  for (const int format : {SF_FORMAT_AIFF, SF_FORMAT_AU, SF_FORMAT_W64, SF_FORMAT_CAF, SF_FORMAT_MAT4}) {
    const fs::path path = folder / "clip.wav";
    write_sound(path, format | SF_FORMAT_PCM_16, sines(100, 1));
    const std::string what = "is not an audio file; wav, flac, ogg and mp3 are read";
    EXPECT_EQ(user_error([&] { read_audio_file(path); }), path.string() + ": " + what);
    EXPECT_EQ(user_error([&] { read_audio_bytes(read_file(path), "b"); }), "b: " + what);
  }
}

// A few KB of FLAC can hold an hour of silence at 655 kHz.
// libsndfile looks behind the tag, and would take any of its formats there.
TEST(ReadAudio, LooksBehindTags) {
  const test::TemporaryFolder folder;
  write_sound(folder / "plain.mp3", SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, sines(4000, 1, 44100), 1,
              44100);
  const std::string mp3 = test::text_of(folder / "plain.mp3");
  const std::string tag("ID3\x03\0\0\0\0\0\x02xx", 12);
  const auto read = [](const std::string& bytes) { return read_audio_bytes(bytes, "clip", {}, "m:1"); };
  const std::size_t samples = read(mp3).samples.size();
  EXPECT_EQ(read(tag + mp3).samples.size(), samples);
  EXPECT_EQ(read(tag + tag + mp3).samples.size(), samples);
  std::string au(".snd\0\0\0\x18\0\0\0\x40\0\0\0\x03\0\0\x3e\x80\0\0\0\x01", 24);
  au += std::string(64, '\0');
  const std::string refused = "m:1: clip: is not an audio file; wav, flac, ogg and mp3 are read";
  for (const std::string& other : {au, tag + au, tag})
    EXPECT_EQ(test::user_error([&] { read(other); }), refused);
  test::write_text(folder / "tagged.mp3", tag + mp3);
  test::write_text(folder / "other.mp3", tag + au);
  EXPECT_EQ(read_audio_file(folder / "tagged.mp3", {}, "").samples.size(), samples);
  const std::string said = test::user_error([&] { read_audio_file(folder / "other.mp3", {}, ""); });
  EXPECT_NE(said.find("is not an audio file"), std::string::npos) << said;
}

TEST(ReadAudio, RefusesMoreChannelsOrSamplesThanAClipHas) {
  const TemporaryFolder folder;
  write_sound(folder / "wide.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, std::vector<float>(2 * 65), 65);
  EXPECT_THAT(user_error([&] { read_audio_file(folder / "wide.wav"); }),
              testing::HasSubstr("65 channels; 1 to 64 are read"));
  const fs::path path = folder / "long.wav";
  write_sound(path, SF_FORMAT_WAV | SF_FORMAT_PCM_U8, std::vector<float>(100), 1, 768000);
  const auto size = static_cast<std::uint32_t>(kMaxClipSamples + 768);
  std::fstream(path, std::ios::in | std::ios::out | std::ios::binary)
      .seekp(40)
      .write(reinterpret_cast<const char*>(&size), sizeof size);
  fs::resize_file(path, 44 + size);  // a hole, as most of the file
  EXPECT_EQ(user_error([&] { read_audio_file(path); }),
            path.string() +
                ": 225.001 s long, at most 225.000 s are read; cut the clip, or give offset and duration");
  EXPECT_EQ(read_audio_file(path, {1.0, 1.0}).samples.size(), 768000u);
}

TEST(ReadAudio, GivesSixteenBitSamplesDividedBy32768) {
  const Waveform wave = read_audio_file(golden("hf/synthetic/sweep_24k.wav"));
  const SafetensorsFile expected(golden("hf/synthetic/codec_sweep_24k_none.safetensors"));
  EXPECT_EQ(wave.sample_rate, 24000);
  EXPECT_EQ(wave.samples, expected.floats("wav24k"));  // no arithmetic but an exact division
}

TEST(ReadAudio, MixesChannelsToTheirMean) {
  const TemporaryFolder folder;
  const std::vector<float> stereo = sines(100, 2);
  write_sound(folder / "a.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, stereo, 2);
  const Waveform wave = read_audio_file(folder / "a.wav");
  ASSERT_EQ(wave.samples.size(), 100u);
  EXPECT_EQ(wave.sample_rate, kRate);
  for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(wave.samples[i], (stereo[2 * i] + stereo[2 * i + 1]) / 2);
}

struct Coding {
  const char* name;
  int format;
  int rate;
  double tolerance;  // of the root mean square difference: lossy codings only come near
};

class ReadCoding : public testing::TestWithParam<Coding> {};

TEST_P(ReadCoding, GivesBackWhatWasWritten) {
  const TemporaryFolder folder;
  const Coding& coding = GetParam();
  const fs::path path = folder / ("clip." + std::string(coding.name));
  const std::vector<float> samples = sines(coding.rate, 1, coding.rate);
  write_sound(path, coding.format, samples, 1, coding.rate);
  const Waveform wave = read_audio_file(path);
  EXPECT_EQ(wave.sample_rate, coding.rate);
  EXPECT_NEAR(static_cast<double>(wave.samples.size()), coding.rate, 0.1 * coding.rate);
  EXPECT_LT(rms_difference(wave.samples, samples), coding.tolerance);
  EXPECT_EQ(read_audio_bytes(read_file(path), "clip").samples, wave.samples);
}

INSTANTIATE_TEST_SUITE_P(All, ReadCoding,
                         testing::Values(Coding{"wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 24000, 2e-5},
                                         Coding{"wav", SF_FORMAT_WAVEX | SF_FORMAT_PCM_24, 44100, 1e-6},
                                         Coding{"flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 16000, 2e-5},
                                         Coding{"ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS, 24000, 1e-2},
                                         Coding{"mp3", SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, 44100,
                                                1e-2}));

TEST(ReadAudio, CutsTheRangeAtWholeFramesRoundedDown) {
  const TemporaryFolder folder;
  const std::vector<float> samples = sines(kRate, 1);
  write_sound(folder / "a.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, samples);
  const ClipRange range{0.10009, 0.05009};  // 800.72 and 400.72 frames
  const std::vector<float> expected(samples.begin() + 800, samples.begin() + 1200);
  EXPECT_EQ(read_audio_file(folder / "a.wav", range).samples, expected);
  EXPECT_EQ(read_audio_bytes(read_file(folder / "a.wav"), "a", range).samples, expected);
  EXPECT_EQ(read_audio_file(folder / "a.wav", {0.75, std::nullopt}).samples.size(), 2000u);
}

TEST(ReadAudio, LetsARoundedRangeEndJustPastTheClip) {
  const TemporaryFolder folder;
  write_sound(folder / "a.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, sines(kRate, 1));
  EXPECT_EQ(read_audio_file(folder / "a.wav", {0.5, 0.55}).samples.size(), 4000u);
}

TEST(ReadAudio, RefusesARangeOutsideTheClip) {
  const TemporaryFolder folder;
  const fs::path path = folder / "a.wav";
  write_sound(path, SF_FORMAT_WAV | SF_FORMAT_FLOAT, sines(kRate, 1));
  const auto message = [&](ClipRange range) {
    return user_error([&] { read_audio_file(path, range, "m.jsonl:3"); });
  };
  const std::string begin = "m.jsonl:3: " + path.string() + ": ";
  EXPECT_EQ(message({1.0, std::nullopt}),
            begin + "the range begins at 1.000 s, the clip ends at 1.000 s; correct the offset");
  EXPECT_EQ(message({0.5, 0.7}),
            begin + "the range ends at 1.200 s, the clip at 1.000 s; correct offset or duration");
  EXPECT_EQ(message({-0.5, std::nullopt}), begin + "the offset -0.500 s is not a time in the clip");
  EXPECT_EQ(message({std::nan(""), std::nullopt}), begin + "the offset nan s is not a time in the clip");
  EXPECT_EQ(message({0.0, 0.0}), begin + "the duration 0.000 s is not above zero");
  EXPECT_EQ(message({0.0, std::numeric_limits<double>::infinity()}),
            begin + "the duration inf s is not above zero");
  EXPECT_EQ(message({0.0, 0.0001}), begin + "the duration 0.000 s holds no sample");
  EXPECT_THAT(message({1e300, std::nullopt}), testing::HasSubstr("the range begins at"));
}

TEST(ReadAudio, NamesAFileThatIsMissingOrNoFile) {
  const TemporaryFolder folder;
  const fs::path path = folder / "none.wav";
  EXPECT_EQ(user_error([&] { read_audio_file(path); }), path.string() + ": no such file");
  EXPECT_EQ(user_error([&] { read_audio_file(path, {}, "train.jsonl:7"); }),
            "train.jsonl:7: " + path.string() + ": no such file");
  EXPECT_EQ(user_error([&] { read_audio_file(folder.path()); }),
            folder.path().string() + ": is not a file that can be read");
}

TEST(ReadAudio, RefusesATextFileNamedWav) {
  const TemporaryFolder folder;
  const fs::path path = folder / "text.wav";
  test::write_text(path, "these are words, not sound\n");
  const std::string what = ": is not an audio file; wav, flac, ogg and mp3 are read";
  EXPECT_EQ(user_error([&] { read_audio_file(path); }), path.string() + what);
  EXPECT_EQ(user_error([&] { read_audio_bytes("words", "inline"); }), "inline" + what);
  test::write_text(path, "");
  EXPECT_EQ(user_error([&] { read_audio_file(path); }), path.string() + what);
}

TEST(ReadAudio, RefusesAClipOfNoSamples) {
  const TemporaryFolder folder;
  const fs::path path = folder / "empty.wav";
  write_sound(path, SF_FORMAT_WAV | SF_FORMAT_PCM_16, {});
  EXPECT_EQ(user_error([&] { read_audio_file(path); }),
            path.string() + ": no samples in it; remove or replace the clip");
}

TEST(ReadAudio, RefusesSamplesThatAreNotFinite) {
  const TemporaryFolder folder;
  const fs::path path = folder / "nan.wav";
  std::vector<float> samples = sines(kRate, 1);
  samples[4000] = std::nanf("");
  write_sound(path, SF_FORMAT_WAV | SF_FORMAT_FLOAT, samples);
  EXPECT_EQ(user_error([&] { read_audio_file(path); }),
            path.string() + ": sample 4000 (at 0.500 s) is not a finite number; replace the clip");
  EXPECT_EQ(read_audio_file(path, {0.0, 0.25}).samples.size(), 2000u);  // outside the range it does no harm
}

TEST(ReadAudio, RefusesMoreThanAnHour) {
  const TemporaryFolder folder;
  const fs::path path = folder / "long.wav";
  write_sound(path, SF_FORMAT_WAV | SF_FORMAT_PCM_U8, std::vector<float>(3601 * 1000), 1, 1000);
  EXPECT_EQ(user_error([&] { read_audio_file(path); }),
            path.string() +
                ": 3601.000 s long, at most 3600.000 s are read; cut the clip, or give offset and duration");
  EXPECT_EQ(read_audio_file(path, {3599.0, 1.0}).samples.size(), 1000u);
}

TEST(ReadAudio, RefusesASampleRateNobodyRecordsAt) {
  const TemporaryFolder folder;
  const fs::path path = folder / "slow.wav";
  write_sound(path, SF_FORMAT_WAV | SF_FORMAT_PCM_16, sines(100, 1), 1, 10);
  EXPECT_EQ(user_error([&] { read_audio_file(path); }),
            path.string() + ": a sample rate of 10 Hz; 1000 to 768000 are read");
}

TEST(ReadAudio, SaysThatAFlacFileIsCutShort) {
  const TemporaryFolder folder;
  const std::string bytes = read_file(golden("hf/synthetic/word_44k.flac"));
  EXPECT_THAT(user_error([&] { read_audio_bytes(bytes.substr(0, bytes.size() / 2), "half.flac"); }),
              testing::HasSubstr("half.flac: damaged or cut short after "));
}

// Not what is said, but that nothing worse than a UserError happens.
TEST(ReadAudio, SurvivesDamagedBytes) {
  const TemporaryFolder folder;
  write_sound(folder / "a.ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS, sines(4000, 1), 1, 24000);
  write_sound(folder / "a.mp3", SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, sines(4000, 1, 44100), 1, 44100);
  write_sound(folder / "a.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, sines(4000, 1));
  write_sound(folder / "a.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, sines(4000, 1));
  int refused = 0;
  for (const char* name : {"a.ogg", "a.mp3", "a.flac", "a.wav"}) {
    const std::string whole = read_file(folder / name);
    const auto attempt = [&](const std::string& bytes) {
      try {
        EXPECT_FALSE(read_audio_bytes(bytes, name).samples.empty());
      } catch (const UserError&) {
        ++refused;
      }
    };
    const std::size_t num_cuts = 64;
    for (std::size_t i = 0; i < num_cuts; ++i) {
      attempt(whole.substr(0, i * whole.size() / num_cuts));
      std::string flipped = whole;
      flipped[i * 7 % std::min<std::size_t>(whole.size(), 128)] ^= static_cast<char>(1 << (i % 8));
      attempt(flipped);
    }
  }
  EXPECT_GT(refused, 20);
}

}  // namespace
}  // namespace higgs
