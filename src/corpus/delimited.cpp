#include "higgs/corpus/delimited.h"

#include <algorithm>

#include "higgs/base/error.h"
#include "higgs/corpus/plain_text.h"

namespace higgs {

void DelimitedText::end_line() {
  if (text_.empty()) return;
  text_.remove_prefix(text_.starts_with("\r\n") ? 2 : 1);
  ++line_;
}

void DelimitedText::skip_line() {
  text_.remove_prefix(std::min(text_.find_first_of("\r\n"), text_.size()));
  end_line();
}

void DelimitedText::refuse(std::size_t line, const std::string& what) {
  throw UserError(name_ + ":" + std::to_string(line) + ": " + what);
}

std::string_view DelimitedText::plain_field() {
  const char ends[] = {delimiter_, '\r', '\n'};
  const std::string_view field =
      text_.substr(0, std::min(text_.find_first_of(std::string_view(ends, 3)), text_.size()));
  text_.remove_prefix(field.size());
  return field;
}

// A TSV's field may begin with a quote that belongs to what is said.
bool DelimitedText::begins_quoted() const {
  if (quotes_ == Quotes::kNone || text_.empty() || text_[0] != '"') return false;
  if (quotes_ == Quotes::kRfc4180) return true;
  const char ends[] = {delimiter_, '\r', '\n'};
  const std::string_view field =
      text_.substr(0, std::min(text_.find_first_of(std::string_view(ends, 3)), text_.size()));
  if (field.size() < 2 || field.back() != '"') return false;
  // A writer that quotes doubles the quotes inside.
  const std::string_view inside = field.substr(1, field.size() - 2);
  for (std::size_t i = 0; i < inside.size(); ++i) {
    if (inside[i] == '"' && (++i == inside.size() || inside[i] != '"')) return false;
  }
  return true;
}

std::string DelimitedText::quoted_field(std::size_t row_line) {
  const std::string_view rest = text_;
  std::string field;
  std::size_t num_line_ends = 0;
  text_.remove_prefix(1);
  for (;;) {
    const std::size_t end = text_.find('"');
    if (end == std::string_view::npos) {
      text_ = rest;  // the next row is looked for in the next line
      skip_line();
      refuse(row_line, "a quote (\") is opened and not closed; close it, or double it inside a field");
    }
    field += text_.substr(0, end);
    text_.remove_prefix(end + 1);
    if (!text_.starts_with('"')) break;
    field += '"';
    text_.remove_prefix(1);
  }
  num_line_ends = split_lines(field + "x").size() - 1;
  if (!at_line_end() && text_[0] != delimiter_) {
    line_ += num_line_ends;
    skip_line();
    refuse(row_line, "text stands behind a closing quote (\"); double the quotes inside a field");
  }
  line_ += num_line_ends;
  return field;
}

bool DelimitedText::next(TableRow& row) {
  while (at_line_end() && !text_.empty()) end_line();
  row.fields.clear();
  row.line = line_;
  if (text_.empty()) return false;
  for (;;) {
    if (row.fields.size() == kMostColumns) {
      skip_line();
      refuse(row.line, "more than " + std::to_string(kMostColumns) + " columns; is this a table?");
    }
    if (begins_quoted()) {
      row.fields.push_back(quoted_field(row.line));
    } else {
      row.fields.emplace_back(plain_field());
    }
    if (at_line_end()) break;
    text_.remove_prefix(1);  // the delimiter
  }
  end_line();
  return true;
}

namespace {

char delimiter_of(std::string_view text, const std::string& name) {
  if (lower(name).ends_with(".tsv")) return '\t';
  const std::string_view first = text.substr(0, std::min(text.find_first_of("\r\n"), text.size()));
  for (const char delimiter : {',', ';', '\t', '|'}) {
    if (first.find(delimiter) != std::string_view::npos) return delimiter;
  }
  return ',';
}

DelimitedText::Quotes quotes_of(char delimiter) {
  return delimiter == '\t' ? DelimitedText::Quotes::kOneLine : DelimitedText::Quotes::kRfc4180;
}

}  // namespace

NamedTable::NamedTable(std::string_view text, const std::string& name)
    : rows_(text, delimiter_of(text, name), quotes_of(delimiter_of(text, name)), name) {
  TableRow row;
  if (!rows_.next(row)) throw UserError(name + ": is empty; its first row must name the columns");
  for (const std::string& field : row.fields) columns_.push_back(one_line(field));
}

}  // namespace higgs
