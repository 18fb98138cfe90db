#include "higgs/text/byte_alphabet.h"

#include <array>

#include "higgs/text/unicode.h"

namespace higgs {
namespace {

constexpr std::size_t kAlphabetEnd = 0x100 + 68;  // 68 bytes are not printable and move up to U+0100

constexpr bool is_printable(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

// Printable Latin-1 stands for itself; the other bytes, in order, are U+0100, U+0101, ...
constexpr std::array<char32_t, 256> make_codes() {
  std::array<char32_t, 256> codes{};
  char32_t next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) codes[byte] = is_printable(byte) ? byte : next++;
  return codes;
}
constexpr std::array<char32_t, 256> kCodes = make_codes();

constexpr std::array<std::int16_t, kAlphabetEnd> make_bytes() {
  std::array<std::int16_t, kAlphabetEnd> bytes{};
  for (auto& byte : bytes) byte = -1;
  for (unsigned byte = 0; byte < 256; ++byte) bytes[kCodes[byte]] = static_cast<std::int16_t>(byte);
  return bytes;
}
constexpr std::array<std::int16_t, kAlphabetEnd> kBytes = make_bytes();

}  // namespace

std::string symbol_of_byte(unsigned char byte) {
  std::string symbol;
  append_utf8(symbol, kCodes[byte]);
  return symbol;
}

std::optional<std::string> bytes_of_symbols(std::string_view symbols) {
  std::string bytes;
  bytes.reserve(symbols.size());
  while (!symbols.empty()) {
    const Utf8Character character = first_character(symbols);
    if (!character.valid || character.code >= kAlphabetEnd || kBytes[character.code] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(kBytes[character.code]));
    symbols.remove_prefix(character.size);
  }
  return bytes;
}

}  // namespace higgs
