#include "higgs/corpus/delimited.h"

#include <gtest/gtest.h>

#include "found.h"
#include "support/paths.h"

namespace higgs {
namespace {

using test::repeated;
using test::user_error;
using Fields = std::vector<std::string>;
using Quotes = DelimitedText::Quotes;

std::vector<TableRow> rows_of(std::string_view text, char delimiter = ',', Quotes quotes = Quotes::kRfc4180) {
  DelimitedText table(text, delimiter, quotes, "t.csv");
  std::vector<TableRow> rows;
  for (TableRow row; table.next(row);) rows.push_back(row);
  return rows;
}

TEST(Delimited, ReadsQuotesWithDelimitersLineEndsAndQuotesInside) {
  const auto rows = rows_of("a,\"b, \"\"c\"\"\nd\",e\r\nf,,\n\n\"\",g,h");
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].fields, (Fields{"a", "b, \"c\"\nd", "e"}));
  EXPECT_EQ(rows[1].fields, (Fields{"f", "", ""}));
  EXPECT_EQ(rows[2].fields, (Fields{"", "g", "h"}));
  EXPECT_EQ(rows[0].line, 1u);
  EXPECT_EQ(rows[1].line, 3u) << "the first row takes two lines";
  EXPECT_EQ(rows[2].line, 5u);
}

TEST(Delimited, AQuoteInsideAFieldIsAQuote) {
  EXPECT_EQ(rows_of("5\" disk,b")[0].fields, (Fields{"5\" disk", "b"}));
}

TEST(Delimited, WithoutQuotesTheyAreCharacters) {
  EXPECT_EQ(rows_of("LJ1|\"Yes|\"no\"", '|', Quotes::kNone)[0].fields, (Fields{"LJ1", "\"Yes", "\"no\""}));
}

TEST(Delimited, OfATsvsQuotesOnlyThoseAroundAFieldGoAway) {
  const auto rows = rows_of("\"a\tb\n\"c \"\"d\"\"\"\te\n\"f\" \"g\"\th", '\t', Quotes::kOneLine);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].fields, (Fields{"\"a", "b"}));
  EXPECT_EQ(rows[1].fields, (Fields{"c \"d\"", "e"}));
  EXPECT_EQ(rows[2].fields, (Fields{"\"f\" \"g\"", "h"}));
}

TEST(Delimited, NamesTheRowOfAFaultAndGoesOnBehindIt) {
  const std::string text = "a,b\nc,\"d\" e,f\ng,h\ni,\"j\nk,l\n";
  DelimitedText table(text, ',', Quotes::kRfc4180, "t.csv");
  TableRow row;
  EXPECT_TRUE(table.next(row));
  EXPECT_EQ(user_error([&] { table.next(row); }).rfind("t.csv:2: text stands behind a closing quote", 0), 0u);
  EXPECT_TRUE(table.next(row));
  EXPECT_EQ(row.fields, (Fields{"g", "h"}));
  EXPECT_EQ(row.line, 3u);
  EXPECT_EQ(user_error([&] { table.next(row); }).rfind("t.csv:4: a quote (\") is opened and not closed", 0),
            0u);
  EXPECT_TRUE(table.next(row));
  EXPECT_EQ(row.fields, (Fields{"k", "l"}));
  EXPECT_FALSE(table.next(row));
}

TEST(Delimited, RefusesAMillionColumnsAndReadsOn) {
  const std::string text = repeated("a,", 1000000) + "\nb,c\n";
  DelimitedText table(text, ',', Quotes::kRfc4180, "t.csv");
  TableRow row;
  EXPECT_EQ(user_error([&] { table.next(row); }).rfind("t.csv:1: more than 1000 columns", 0), 0u);
  EXPECT_TRUE(table.next(row));
  EXPECT_EQ(row.fields, (Fields{"b", "c"}));
}

TEST(NamedTable, FindsItsDelimiter) {
  for (const char* text : {"a,b\n1,2", "a;b\n1;2", "a\tb\n1\t2", "a|b\n1|2"}) {
    NamedTable table(text, "t.csv");
    EXPECT_EQ(table.columns(), (Fields{"a", "b"})) << text;
    TableRow row;
    EXPECT_TRUE(table.next(row));
    EXPECT_EQ(row.fields, (Fields{"1", "2"})) << text;
    EXPECT_EQ(table.where(row), "t.csv:2");
  }
  EXPECT_EQ(NamedTable("a, b\tc", "t.TSV").columns(), (Fields{"a, b", "c"}));
  EXPECT_NE(user_error([] {
              NamedTable("\n\n", "t.csv");
            }).find("t.csv: is empty; its first row must name the columns"),
            std::string::npos);
}

}  // namespace
}  // namespace higgs
