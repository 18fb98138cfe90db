// CSV, TSV and LJSpeech's table with bars, row after row.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace higgs {

struct TableRow {
  std::vector<std::string> fields;
  std::size_t line = 0;  // where it begins, from 1
};

class DelimitedText {
 public:
  enum class Quotes {
    kNone,     // a quote is a character like others (LJSpeech)
    kOneLine,  // "..." around a whole field of one line; else a character like others (TSV)
    kRfc4180,  // "..." with "" for a quote, over several lines too (CSV)
  };
  static constexpr std::size_t kMostColumns = 1000;

  // `text` is UTF-8 and outlives this; `name` begins each UserError.
  DelimitedText(std::string_view text, char delimiter, Quotes quotes, std::string name)
      : text_(text), delimiter_(delimiter), quotes_(quotes), name_(std::move(name)) {}

  // Reads the next row that isn't blank; false at the end. UserError `name:line: ...` for a row with a quote
  // that isn't closed, text behind a closing quote, or too many columns; the call after that reads the row
  // behind it.
  bool next(TableRow& row);
  std::string where(const TableRow& row) const { return name_ + ":" + std::to_string(row.line); }

 private:
  [[noreturn]] void refuse(std::size_t line, const std::string& what);
  std::string quoted_field(std::size_t row_line);
  std::string_view plain_field();
  bool begins_quoted() const;
  void skip_line();
  bool at_line_end() const { return text_.empty() || text_[0] == '\n' || text_[0] == '\r'; }
  void end_line();

  std::string_view text_;  // what is left
  char delimiter_;
  Quotes quotes_;
  std::string name_;
  std::size_t line_ = 1;
};

// A table whose first row names its columns.
class NamedTable {
 public:
  // Tabs for a .tsv file; else the first of , ; tab and | that the first row holds. UserError when there is
  // no such row.
  NamedTable(std::string_view text, const std::string& name);

  bool next(TableRow& row) { return rows_.next(row); }
  std::string where(const TableRow& row) const { return rows_.where(row); }
  const std::vector<std::string>& columns() const { return columns_; }

 private:
  DelimitedText rows_;
  std::vector<std::string> columns_;
};

}  // namespace higgs
