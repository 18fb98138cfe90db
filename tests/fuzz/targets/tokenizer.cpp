// tokenizer.json, and behind a 0x1e tokenizer_config.json.
#include "higgs/text/tokenizer.h"

#include "../fuzz_target.h"
#include "higgs/base/log.h"

namespace higgs::fuzz {

void fuzz_tokenizer(std::string_view bytes) {
  log::set_quiet(true);  // it warns of each byte without a token
  const auto [main, companion] = cut(bytes);
  scratch_file("tokenizer.json", main);
  const auto config = scratch_file("tokenizer_config.json", companion);
  if (companion.empty()) std::filesystem::remove(config);
  refused([&] {
    const auto tokenizer = load_tokenizer(scratch_folder());
    keep(tokenizer->vocab_size());
    for (const std::string_view text :
         {std::string_view("Hello  world, it's 2024!\n\n  <|eot_id|>"),
          std::string_view("\xff caf\xc3\xa9 \xe4\xbd\xa0"), bytes.substr(0, 256)}) {
      refused([&] {
        const auto ids = tokenizer->encode(text);
        for (const std::int64_t id : ids)
          require(id >= 0 && id < tokenizer->vocab_size(), "an id out of range");
        keep(tokenizer->decode(ids, false));
        keep(tokenizer->decode(ids, true));
      });
    }
    keep(tokenizer->find("<|eot_id|>"));
    keep(tokenizer->decode(std::initializer_list<std::int64_t>{-1, 0, 1, std::int64_t{1} << 40}, false));
  });
}

}  // namespace higgs::fuzz
