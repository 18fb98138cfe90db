// Long texts in chunks that a voice can speak one after the other.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace higgs {

// `text` in chunks of at most `max_chars` characters, white space around each taken off; 0, or a text that is
// no longer, gives the text as it is. Each chunk ends at the last end of a sentence or paragraph that fits,
// else at the last comma, semicolon or colon, else at the last space; without any it is longer. No cut is
// made inside a word or a character, after an abbreviation ("Dr."), an initial, a small number ("3.") or
// inside a decimal ("3.5"). A byte that is no UTF-8 counts as a character.
//
// In a dialogue each turn begins with its tag, "[SPEAKER0]": whole turns stand together while they fit, and
// the pieces of a longer one repeat its tag.
std::vector<std::string> text_chunks(std::string_view text, std::size_t max_chars);

// Speakers of a dialogue: the largest number of a tag [SPEAKERn] and one, 0 without tags. Numbers above 99
// are no tags.
std::size_t num_speakers(std::string_view text);

}  // namespace higgs
