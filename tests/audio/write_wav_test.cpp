#include <cmath>

#include "higgs/audio/waveform.h"
#include "support/paths.h"

namespace higgs {
namespace {

using test::golden;
using test::TemporaryFolder;

TEST(WriteWav, GivesBackA16BitClipByteForByte) {
  const TemporaryFolder folder;
  const Waveform wave = read_audio_file(golden("hf/synthetic/digits_24k.wav"));
  write_wav(folder / "copy.wav", wave);
  const Waveform copy = read_audio_file(folder / "copy.wav");
  EXPECT_EQ(copy.sample_rate, wave.sample_rate);
  EXPECT_EQ(copy.samples, wave.samples);
  EXPECT_EQ(fs::file_size(folder / "copy.wav"), 44 + 2 * wave.samples.size());
}

TEST(WriteWav, ClipsWhatIsTooLoud) {
  const TemporaryFolder folder;
  write_wav(folder / "a.wav", {{2.0f, -2.0f, 1e30f, -1e30f, 1.0f, -1.0f, 0.0f, 0.5f}, 16000});
  const float top = 32767.0f / 32768.0f;
  EXPECT_EQ(read_audio_file(folder / "a.wav").samples,
            (std::vector<float>{top, -1.0f, top, -1.0f, top, -1.0f, 0.0f, 0.5f}));
}

TEST(WriteWav, RefusesSamplesThatAreNotFiniteAndKeepsTheOldFile) {
  const TemporaryFolder folder;
  const fs::path path = folder / "a.wav";
  write_wav(path, {{0.25f}, 16000});
  EXPECT_THROW(write_wav(path, {{0.5f, std::nanf("")}, 16000}), RunError);
  EXPECT_EQ(read_audio_file(path).samples, (std::vector<float>{0.25f}));
}

TEST(WriteWav, NamesAFolderThatCannotBeWritten) {
  const TemporaryFolder folder;
  try {
    write_wav(folder / "none" / "a.wav", {{0.25f}, 16000});
    FAIL() << "nothing was thrown";
  } catch (const RunError& error) {
    EXPECT_NE(std::string(error.what()).find("none/a.wav"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace higgs
