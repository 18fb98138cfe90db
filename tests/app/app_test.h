// The program as a process: what its tests share.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/process.h"

namespace higgs::test {

using Json = nlohmann::json;
using Arguments = std::vector<std::string>;

inline Arguments operator+(Arguments a, const Arguments& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

inline fs::path demo(const std::string& name) {
  return source_dir() / "demo" / name;
}

// The small random base that the goldens are made with; its clips are encoded.
inline Arguments golden_base() {
  return {"--base_ckpt", golden("hf/model")};
}

// The digit speaker of demo/: a base that speaks, and its codec.
inline Arguments demo_base() {
  return {"--base_ckpt", demo("base"), "--audio_tokenizer", demo("codec")};
}

// What voice/clips/val_0<i>.flac of it says.
inline std::string demo_text(std::size_t i) {
  return Json::parse(lines_of(text_of(demo("voice/val.jsonl"))).at(i)).at("messages").at(1).at("content");
}

// The launch line of README.md, paths aside: on the goldens' samples, two passes are one step.
inline Arguments launch_line(const fs::path& output) {
  return golden_base() + Arguments{"--train_manifest",
                                   golden("e2e/manifest.jsonl"),
                                   "--output_dir",
                                   output,
                                   "--batch_size",
                                   "2",
                                   "--lr",
                                   "2e-4",
                                   "--epochs",
                                   "2",
                                   "--grad_accum",
                                   "8",
                                   "--lora_r",
                                   "16",
                                   "--lora_alpha",
                                   "32",
                                   "--lora_dropout",
                                   "0.05"};
}

class AppTest : public ::testing::Test {
 protected:
  // One thread: the machine's cores are shared by tests, and sums don't depend on their number. The
  // instruction set of the codecs' goldens (see tests/codec/golden_case.h). Codes of clips are shared by the
  // whole test program.
  Environment environment() const {
    static const TemporaryFolder cache;
    return {{"OMP_NUM_THREADS", "1"},
            {"ONEDNN_MAX_CPU_ISA", "AVX2"},
            {"NO_COLOR", "1"},
            {"XDG_CACHE_HOME", cache.path()},
            {"HF_HUB_CACHE", scratch / "hub"}};
  }

  ProcessResult higgs(const Arguments& arguments) const {
    return run_process(Arguments{program()} + arguments, environment());
  }

  // For what must succeed.
  ProcessResult run(const Arguments& arguments) const {
    ProcessResult result = higgs(arguments);
    EXPECT_EQ(result.exit_code, 0) << "signal " << result.signal << "\n" << result.err;
    return result;
  }

  // The same where no codec is found: beside the golden one lies one.
  Arguments golden_base_without_codec() const {
    fs::create_directories(scratch / "alone");
    if (!fs::exists(scratch / "alone/base"))
      fs::create_directory_symlink(golden("hf/model"), scratch / "alone/base");
    return {"--base_ckpt", scratch / "alone/base"};
  }

  fs::path write(const std::string& name, const std::string& text) const {
    write_text(scratch / name, text);
    return scratch / name;
  }

  // One ChatML line in which the assistant speaks a clip.
  static std::string spoken(const std::string& text, const std::string& audio_url) {
    return Json{{"messages",
                 {{{"role", "system"}, {"content", "Generate audio following instruction."}},
                  {{"role", "user"}, {"content", text}},
                  {{"role", "assistant"}, {"content", {{"type", "audio"}, {"audio_url", audio_url}}}}}}}
               .dump() +
           "\n";
  }

  // The first lines of a manifest, with clip paths that hold from anywhere.
  std::string first_lines(const fs::path& manifest, std::size_t count) const {
    std::string text;
    const auto lines = lines_of(text_of(manifest));
    for (std::size_t i = 0; i < std::min(count, lines.size()); ++i) {
      Json line = Json::parse(lines[i]);
      make_absolute(line, manifest.parent_path());
      text += line.dump() + "\n";
    }
    return text;
  }

  TemporaryFolder scratch;

 private:
  static void make_absolute(Json& node, const fs::path& folder) {
    if (node.is_object() && node.contains("audio_url")) {
      node["audio_url"] = (folder / node["audio_url"].get<std::string>()).string();
    }
    if (node.is_structured()) {
      for (Json& child : node) make_absolute(child, folder);
    }
  }
};

// A user's mistake: exit code 2, one line that says what and where, and nothing written anywhere.
class RefusalTest : public AppTest {
 protected:
  // `parts` must stand in the line, in this order.
  void expect_refused(const Arguments& arguments, const std::vector<std::string>& parts) const {
    const auto before = snapshot(scratch.path());
    const ProcessResult result = higgs(arguments);
    EXPECT_EQ(result.exit_code, 2) << "signal " << result.signal << "\n" << result.err;
    EXPECT_EQ(result.out, "");
    const std::string start = "higgs_train: error: ";
    std::string message;
    int count = 0;
    for (const std::string& line : lines_of(result.err)) {
      if (line.rfind("higgs_train:", 0) == 0) ++count;
      if (line.rfind(start, 0) == 0) message = line;
    }
    EXPECT_EQ(count, 1) << result.err;
    EXPECT_EQ(result.err.substr(result.err.size() - std::min(result.err.size(), message.size() + 1)),
              message + "\n")
        << "the error is the last line: " << result.err;
    std::size_t at = 0;
    for (const std::string& part : parts) {
      at = message.find(part, at);
      ASSERT_NE(at, std::string::npos) << "'" << part << "' is missing (or not in its place) in: " << message;
      at += part.size();
    }
    EXPECT_EQ(snapshot(scratch.path()), before) << "something was written";
  }

  Arguments train(const fs::path& manifest) const {
    return {"train", "--train_manifest", manifest, "--output_dir", scratch / "run", "--max_steps",
            "2",     "--val_split",      "0"};
  }
};

}  // namespace higgs::test
