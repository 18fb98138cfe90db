// Manifests with tiny clips for `check`, and what it says of them.
#pragma once

#include <cmath>
#include <numbers>

#include "app_test.h"
#include "higgs/audio/waveform.h"

namespace higgs::test {

class CheckTest : public RefusalTest {
 protected:
  struct Sound {
    double seconds = 3.0, amplitude = 0.3, hertz = 440.0;
    double before = 0.1, after = 0.1;  // silence around the tone
    int rate = 24000;
  };

  static Sound tone(double hertz) {
    Sound sound;
    sound.hertz = hertz;
    return sound;
  }

  // A tone, cut off at full scale.
  std::string wav(const std::string& name, const Sound& sound) const {
    const auto count = [&](double seconds) { return static_cast<std::size_t>(seconds * sound.rate); };
    Waveform wave{std::vector<float>(count(sound.before)), sound.rate};
    for (std::size_t i = 0; i < count(sound.seconds); ++i) {
      const double phase = 2 * std::numbers::pi * sound.hertz * static_cast<double>(i) / sound.rate;
      wave.samples.push_back(static_cast<float>(sound.amplitude * std::sin(phase)));
    }
    wave.samples.resize(wave.samples.size() + count(sound.after));
    write_wav(scratch / name, wave);
    return name;
  }

  static Json text(const std::string& role, const std::string& content) {
    return {{"role", role}, {"content", content}};
  }
  static Json clip(const std::string& role, const std::string& url) {
    return {{"role", role}, {"content", {{"type", "audio"}, {"audio_url", url}}}};
  }
  static std::string line(const Json& messages, const Json& start_index = nullptr) {
    Json sample = {{"messages", messages}};
    if (!start_index.is_null()) sample["start_index"] = start_index;
    return sample.dump() + "\n";
  }

  // One sample without a fault beside the lines given; it is the last line.
  fs::path manifest(const std::string& lines) const {
    return write("m.jsonl",
                 lines + spoken("This one has nothing that is wrong.", wav("good.wav", tone(311))));
  }

  // `check` ends with the code; its lines about line `number` hold the parts, one line for each.
  void expect_problems(const std::string& lines, int exit_code, const std::vector<std::string>& parts,
                       const Arguments& more = {}, int number = 1) const {
    const fs::path path = manifest(lines);
    const ProcessResult result = higgs(Arguments{"check", path} + more);
    EXPECT_EQ(result.exit_code, exit_code) << result.out << result.err;
    std::vector<std::string> found;
    const std::string start = path.string() + ":" + std::to_string(number) + ": ";
    for (const std::string& said : lines_of(result.out)) {
      if (said.rfind(start, 0) == 0) found.push_back(said.substr(start.size()));
    }
    for (const std::string& part : parts) {
      EXPECT_TRUE(std::any_of(found.begin(), found.end(),
                              [&](const std::string& said) { return said.rfind(part, 0) == 0; }))
          << part << " is missing in\n"
          << result.out << result.err;
    }
    EXPECT_EQ(found.size(), parts.size()) << result.out;
    EXPECT_EQ(result.err.find("higgs_train: error: " + path.string() + ": ") != std::string::npos,
              exit_code == 2)
        << result.err;
  }
};

}  // namespace higgs::test
