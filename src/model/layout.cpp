#include "higgs/model/layout.h"

#include <array>

namespace higgs {
namespace {

struct Row {
  const char* canonical;
  const char* hf;
  const char* boson;
};
// Everything outside layers.*
constexpr std::array<Row, 5> kNames = {{
    {"embed_tokens.weight", "model.embed_tokens.weight", "embed_tokens.weight"},
    {"audio_embed.weight", "model.embed_audio_tokens.embed_audio_tokens.weight",
     "audio_codebook_embeddings.weight"},
    {"norm.weight", "model.norm.weight", "norm.weight"},
    {"audio_lm_head.weight", "audio_lm_head.weight", "audio_decoder_proj.audio_lm_head.weight"},
    {"text_lm_head.weight", "text_lm_head.weight", "audio_decoder_proj.text_lm_head.weight"},
}};

}  // namespace

std::string stored_name(Layout layout, const std::string& canonical) {
  for (const Row& row : kNames) {
    if (canonical == row.canonical) return layout == Layout::kHf ? row.hf : row.boson;
  }
  return layout == Layout::kHf ? "model." + canonical : canonical;
}

std::vector<std::string> other_names(Layout layout, const std::string& canonical) {
  if (layout != Layout::kBoson) return {};
  if (canonical == "audio_lm_head.weight") return {"audio_lm_head.weight"};
  if (canonical == "text_lm_head.weight") return {"text_lm_head.weight", "lm_head.weight"};
  return {};
}

std::optional<std::pair<std::string, std::string>> split_names(Layout layout, const std::string& stored,
                                                               const std::string& kind) {
  const std::string end = ".weight";
  if (layout != Layout::kBoson || !stored.ends_with(end)) return std::nullopt;
  const std::string stem = stored.substr(0, stored.size() - end.size()) + "." + kind;
  return std::pair{stem + "_frozen" + end, stem + "_trainable" + end};
}

std::string canonical_name(Layout layout, const std::string& stored) {
  for (const Row& row : kNames) {
    if (stored == (layout == Layout::kHf ? row.hf : row.boson)) return row.canonical;
  }
  if (layout == Layout::kBoson) return stored;
  const std::string prefix = "model.";
  return stored.rfind(prefix, 0) == 0 ? stored.substr(prefix.size()) : "";
}

const char* name_of(Layout layout) {
  return layout == Layout::kHf ? "HF" : "boson";
}

bool is_ignored(Layout layout, const std::string& stored) {
  return layout == Layout::kBoson &&
         (stored == "audio_codebook_weights" || stored.find("rotary_emb.") != std::string::npos);
}

}  // namespace higgs
