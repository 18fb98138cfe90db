// A tokenizer that needs no file: bytes are ids 0..255, each special token has an id from 1000 on. Remembers
// what it was asked to encode.
#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "higgs/base/error.h"
#include "higgs/text/tokenizer.h"

namespace higgs::test {

class FakeTokenizer : public Tokenizer {
 public:
  std::vector<std::int64_t> encode(std::string_view text) const override {
    {
      const std::lock_guard lock(mutex_);
      encoded.emplace_back(text);
    }
    if (text.find("<refuse>") != std::string_view::npos) throw UserError("refused by the tokenizer");
    std::vector<std::int64_t> ids;
    while (!text.empty()) {
      const auto special = std::find_if(specials_.begin(), specials_.end(),
                                        [&](const std::string& token) { return text.starts_with(token); });
      if (special != specials_.end()) {
        ids.push_back(1000 + (special - specials_.begin()));
        text.remove_prefix(special->size());
      } else {
        ids.push_back(static_cast<unsigned char>(text.front()));
        text.remove_prefix(1);
      }
    }
    return ids;
  }

  std::string decode(std::span<const std::int64_t> ids, bool skip_special) const override {
    std::string text;
    for (const std::int64_t id : ids) {
      if (id < 256) {
        text += static_cast<char>(id);
      } else if (!skip_special) {
        text += specials_.at(static_cast<std::size_t>(id - 1000));
      }
    }
    return text;
  }

  std::optional<std::int64_t> find(std::string_view token) const override {
    const auto special = std::find(specials_.begin(), specials_.end(), token);
    if (special == specials_.end()) return std::nullopt;
    return 1000 + (special - specials_.begin());
  }

  std::int64_t vocab_size() const override { return 1000 + static_cast<std::int64_t>(specials_.size()); }

  mutable std::vector<std::string> encoded;

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> specials_ = {"<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
                                        "<|eot_id|>",        "<|eom_id|>",          "<|audio_bos|>",
                                        "<|AUDIO|>",         "<|audio_eos|>",       "<|audio_out_bos|>",
                                        "<|AUDIO_OUT|>",     "<|recipient|>"};
};

}  // namespace higgs::test
