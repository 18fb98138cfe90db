// Byte-level BPE writes each byte as one printable character, so that any bytes make a JSON string.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace higgs {

// The character (in UTF-8) that stands for `byte`.
std::string symbol_of_byte(unsigned char byte);
// The bytes that `symbols` stand for; nothing if one of its characters stands for no byte.
std::optional<std::string> bytes_of_symbols(std::string_view symbols);

}  // namespace higgs
