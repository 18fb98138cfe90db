#include "higgs/data/base64.h"

#include <cstdint>

#include "higgs/base/error.h"

namespace higgs {
namespace {

int digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return -1;
}

}  // namespace

std::string encode_base64(std::string_view bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](std::size_t k) {
      return i + k < bytes.size() ? static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i + k])) : 0u;
    };
    const std::uint32_t group = byte(0) << 16 | byte(1) << 8 | byte(2);
    for (std::size_t k = 0; k < 4; ++k)
      text += i + k <= bytes.size() ? kDigits[group >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

std::string decode_base64(std::string_view text, const std::string& where) {
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  std::uint32_t group = 0;
  int digits = 0, padding = 0;
  for (const char c : text) {
    if (c == ' ' || c == '\n' || c == '\r' || c == '\t') continue;
    if (c == '=') {
      ++padding;
      continue;
    }
    const int value = digit(c);
    if (value < 0 || padding > 0) throw UserError(where + ": raw_audio is not valid base64");
    group = group << 6 | static_cast<std::uint32_t>(value);
    if (++digits == 4) {
      for (const int shift : {16, 8, 0}) bytes += static_cast<char>(group >> shift & 0xFFu);
      group = 0;
      digits = 0;
    }
  }
  if (digits == 1 || padding > 2 || (digits + padding) % 4 != 0) {
    throw UserError(where + ": raw_audio is not valid base64 (cut short?)");
  }
  if (digits >= 2) bytes += static_cast<char>(group >> (digits == 2 ? 4 : 10) & 0xFFu);
  if (digits == 3) bytes += static_cast<char>(group >> 2 & 0xFFu);
  return bytes;
}

}  // namespace higgs
