// Text files as people's tools write them, brought to UTF-8, and texts brought to one line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "higgs/base/file.h"

namespace higgs {

// Longest transcript or table.
inline constexpr std::size_t kMaxTextFile = std::size_t{1} << 30;

// UTF-8 without its byte order mark, from UTF-8 or, with a mark, UTF-16. UserError `name:line: ...` for
// anything else, and for NUL characters.
std::string decode_text(std::string_view bytes, const std::string& name);

// read_file(), decoded.
std::string read_text_file(const fs::path& path, std::size_t max_bytes = kMaxTextFile);

// Trimmed, with one space for each run of white space. The letters stay as they are.
std::string one_line(std::string_view text);

// Views of the lines, whether they end in LF, CRLF or CR.
std::vector<std::string_view> split_lines(std::string_view text);

// Two texts one after the other: a space between them, unless both sides are of a script without spaces.
std::string join_texts(std::string left, std::string_view right);

// Whether a text ends as a sentence does, quotes and brackets aside.
bool ends_sentence(std::string_view text);

// What two texts have in common that are the same sentence: letters and digits, ASCII in lower case.
std::string sentence_key(std::string_view text);

// ASCII in lower case.
std::string lower(std::string_view text);

}  // namespace higgs
