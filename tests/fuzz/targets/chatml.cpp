// A JSONL manifest: each line parsed, tokenised, and its clips looked for.
#include "higgs/data/chatml.h"
#include "../../data/fake_tokenizer.h"
#include "../fuzz_target.h"
#include "higgs/data/clip_file.h"
#include "higgs/data/manifest.h"

namespace higgs::fuzz {
namespace {

void read_line(const Manifest& manifest, const Tokenizer& tokenizer) {
  const std::string where = manifest.where();
  const ChatMLSample chat = parse_chatml(manifest.line(), where);
  const TokenizedSample tokens = tokenize(chat, tokenizer, where);
  require(tokens.input_ids.size() == tokens.label_ids.size(), "ids and labels differ in number");
  refused([&] {
    check_placeholders(tokens, tokenizer.id_of("<|AUDIO|>"), tokenizer.id_of("<|AUDIO_OUT|>"), where);
  });
  for (const AudioContent& clip : tokens.audios) {
    refused([&] {
      const ClipFile file(clip, {scratch_folder(), true}, where);
      touch(file.bytes());
    });
  }
}

}  // namespace

void fuzz_chatml(std::string_view bytes) {
  const test::FakeTokenizer tokenizer;
  const auto path = scratch_file("m.jsonl", bytes);
  refused([&] {
    for (Manifest manifest(path); manifest.next();) {
      refused([&] { read_line(manifest, tokenizer); });
    }
  });
}

}  // namespace higgs::fuzz
