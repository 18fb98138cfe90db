// Where the boson layout's tensors stand in the HF layout. Its DAC modules are numbered through as they
// follow one another; the HF layout names them by what they are.
#include <charconv>
#include <optional>
#include <string_view>

#include "layout.h"

namespace higgs::codec {
namespace {

// Takes `prefix`, a number and a dot from the front of `rest`; nothing is taken when it begins otherwise.
std::optional<std::size_t> take_index(std::string_view& rest, std::string_view prefix) {
  if (!rest.starts_with(prefix)) return std::nullopt;
  const std::string_view digits = rest.substr(prefix.size());
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
  const auto length = static_cast<std::size_t>(end - digits.data());
  if (error != std::errc() || length == digits.size() || *end != '.') return std::nullopt;
  rest = digits.substr(length + 1);
  return index;
}

std::string numbered(const char* name, std::size_t index) {
  return name + std::to_string(index) + ".";
}

// A residual unit's snakes and convolutions: block.0 to block.3.
std::optional<std::string> unit_part(std::string_view rest) {
  static constexpr const char* kParts[] = {"snake1.", "conv1.", "snake2.", "conv2."};
  const auto index = take_index(rest, "block.");
  if (!index || *index >= std::size(kParts)) return std::nullopt;
  return kParts[*index] + std::string(rest);
}

// A block of the encoder is three units, snake, convolution; of the decoder snake, convolution, three units.
std::optional<std::string> block_part(std::string_view rest, bool encoder) {
  const auto index = take_index(rest, "block.");
  if (!index || *index > 4) return std::nullopt;
  const std::size_t first_unit = encoder ? 0 : 2;
  if (*index >= first_unit && *index < first_unit + 3) {
    const auto part = unit_part(rest);
    if (!part) return std::nullopt;
    return numbered("res_unit", *index - first_unit + 1) + *part;
  }
  const bool snake = *index == (encoder ? 3u : 0u);
  return (snake ? "snake1." : encoder ? "conv1." : "conv_t1.") + std::string(rest);
}

// Convolution, blocks, snake, convolution.
std::optional<std::string> dac_part(std::string_view rest, std::string_view list, bool encoder,
                                    std::size_t num_blocks) {
  const auto index = take_index(rest, list);
  if (!index) return std::nullopt;
  if (*index == 0) return "conv1." + std::string(rest);
  if (*index == num_blocks + 1) return "snake1." + std::string(rest);
  if (*index == num_blocks + 2) return "conv2." + std::string(rest);
  const auto part = *index <= num_blocks ? block_part(rest, encoder) : std::nullopt;
  if (!part) return std::nullopt;
  return numbered("block.", *index - 1) + *part;
}

void replace(std::string& text, std::string_view from, std::string_view to) {
  const auto at = text.find(from);
  if (at != std::string::npos) text.replace(at, from.size(), to);
}

}  // namespace

std::string hf_name_of(const std::string& boson_name, std::size_t num_blocks) {
  const std::string_view name = boson_name;
  const auto after = [&](std::string_view prefix) { return name.substr(prefix.size()); };
  for (const bool encoder : {true, false}) {
    const std::string_view prefix = encoder ? "encoder." : "decoder_2.";
    if (!name.starts_with(prefix)) continue;
    const auto part = dac_part(after(prefix), encoder ? "block." : "model.", encoder, num_blocks);
    return part ? (encoder ? "acoustic_encoder." : "acoustic_decoder.") + *part : boson_name;
  }
  std::string renamed = boson_name;
  if (name.starts_with("encoder_semantic.")) {
    // A convolution there is a module that holds one named `conv`.
    replace(renamed, "conv.conv.", "conv.");
    replace(renamed, "conv1.conv.", "conv1.");
  } else if (name.starts_with("quantizer.vq.layers.")) {
    replace(renamed, "vq.layers.", "quantizers.");
    replace(renamed, "._codebook.", ".codebook.");
  } else if (name.starts_with("fc_prior.") || name.starts_with("fc_post2.")) {
    replace(renamed, "fc_prior.", "fc.");
    replace(renamed, "fc_post2.", "fc2.");
  }
  return renamed;
}

}  // namespace higgs::codec
