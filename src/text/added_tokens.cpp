#include "higgs/text/added_tokens.h"

#include <algorithm>

#include "higgs/base/error.h"
#include "higgs/text/unicode.h"

namespace higgs {

void AddedTokens::add(const AddedToken& token) {
  HIGGS_ASSERT(token.id >= 0 && !token.content.empty());
  const auto [place, is_new] = by_content_.try_emplace(token.content, tokens_.size());
  if (is_new) {
    tokens_.push_back(token);
  } else {
    tokens_[place->second] = token;
  }
  by_id_[token.id] = place->second;
  max_id_ = std::max(max_id_, token.id);
  Pass& pass = passes_[token.normalized];
  pass.first_byte[static_cast<unsigned char>(token.content[0])] = true;
  pass.lengths.insert(token.content.size());
}

const AddedToken* AddedTokens::find(std::string_view content) const {
  const auto found = by_content_.find(content);
  return found == by_content_.end() ? nullptr : &tokens_[found->second];
}

const AddedToken* AddedTokens::by_id(std::int64_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &tokens_[found->second];
}

const AddedToken* AddedTokens::longest_at(std::string_view text, std::size_t at, bool normalized) const {
  const Pass& pass = passes_[normalized];
  if (!pass.first_byte[static_cast<unsigned char>(text[at])]) return nullptr;
  for (const std::size_t length : pass.lengths) {
    if (length > text.size() - at) continue;
    const AddedToken* token = find(text.substr(at, length));
    if (token != nullptr && token->normalized == normalized) return token;
  }
  return nullptr;
}

void AddedTokens::split_section(std::string_view text, bool normalized,
                                std::vector<Section>& sections) const {
  std::size_t done = 0;  // text before this is in `sections`
  for (std::size_t at = 0; at < text.size();) {
    const AddedToken* token = longest_at(text, at, normalized);
    if (token == nullptr) {
      ++at;
      continue;
    }
    std::size_t begin = at, end = at + token->content.size();
    at = end;  // a match that is discarded still hides those that overlap it
    if (token->single_word && (ends_with_word(text.substr(0, begin)) || starts_with_word(text.substr(end)))) {
      continue;
    }
    if (token->lstrip) begin -= trailing_space(text.substr(0, begin));
    if (token->rstrip) end += leading_space(text.substr(end));
    if (begin > done) sections.push_back({text.substr(done, begin - done)});
    sections.push_back({{}, token->id});
    done = std::max(done, end);
  }
  if (done < text.size()) sections.push_back({text.substr(done)});
}

std::vector<AddedTokens::Section> AddedTokens::split(std::string_view text) const {
  std::vector<Section> sections;
  split_section(text, false, sections);
  if (passes_[true].empty()) return sections;
  std::vector<Section> result;
  for (const Section& section : sections) {
    if (section.id >= 0) {
      result.push_back(section);
    } else {
      split_section(section.text, true, result);
    }
  }
  return result;
}

}  // namespace higgs
