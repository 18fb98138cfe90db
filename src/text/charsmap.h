// The character map of a sentencepiece model, which the library follows without looking where it leads.
#pragma once

#include <string>
#include <string_view>

namespace higgs {

// UserError, `where` in front, unless every step that a text can take through the maps of this serialized
// model (double-array trie and texts, as sentencepiece's normalizer reads them) stays inside them.
void check_charsmaps(std::string_view model, const std::string& where);

}  // namespace higgs
