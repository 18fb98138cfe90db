// report.html: one page that needs nothing else, whatever metrics.jsonl holds.
#include "higgs/report/html_report.h"

#include <gtest/gtest.h>

namespace higgs {
namespace {

std::string line(const std::string& kind, int step, double loss) {
  const std::string value = std::to_string(loss);
  return "{\"kind\":\"" + kind + "\",\"step\":" + std::to_string(step) + ",\"loss_audio\":" + value +
         ",\"learning_rate\":0.001,\"loss_codebooks\":[" + value +
         ",2.5],\"accuracy_codebooks\":[0.25,0.5]}\n";
}

std::string report(const std::string& metrics) {
  return html_report(metrics, "out/my_voice");
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

TEST(HtmlReport, DrawsACurveForEachSeries) {
  const std::string page =
      report(line("eval", 0, 4) + line("train", 1, 4) + line("train", 2, 3) + line("eval", 2, 3.25));
  EXPECT_EQ(page.rfind("<!doctype html>", 0), 0u);
  EXPECT_EQ(count(page, "<svg"), 2u) << "audio loss and learning rate; nothing is known of the others";
  EXPECT_EQ(count(page, "<circle"), 2u) << "a dot for each evaluation";
  EXPECT_EQ(count(page, "</html>"), 1u);
}

TEST(HtmlReport, ComparesTheFirstEvaluationWithTheLast) {
  const std::string page = report(line("eval", 0, 4) + line("eval", 5, 3.5) + line("eval", 10, 3.25));
  EXPECT_NE(page.find("<th>step 0</th><th>step 10</th>"), std::string::npos);
  EXPECT_NE(page.find("<td>0</td><td>4.0000</td><td>3.2500</td><td>25.0 %</td><td>25.0 %</td>"),
            std::string::npos)
      << page;
  EXPECT_EQ(page.find("3.5000"), std::string::npos);
}

TEST(HtmlReport, SaysInAFewFiguresWhatTheRunWas) {
  const std::string page = report(
      "{\"kind\":\"train\",\"step\":10,\"epoch\":2.5,\"tokens\":4000,\"seconds\":90,\"memory_bytes\":2e9}\n" +
      line("eval", 0, 4) + line("eval", 5, 3.25) + line("eval", 10, 3.5));
  EXPECT_NE(page.find("<h1>Training run my_voice</h1>"), std::string::npos);
  EXPECT_NE(
      page.find("10 steps, 2.5 passes over the data, 4000 tokens, 1.5 minutes, at most 2.0 GB of memory. "
                "Lowest validation loss (audio): 3.2500 at step 5; it began with 4.0000."),
      std::string::npos)
      << page;
}

TEST(HtmlReport, DrawsATextLossWhereThereIsOne) {
  const auto step = [](const char* loss) {
    return std::string("{\"kind\":\"train\",\"step\":1,\"loss_text\":") + loss + "}\n";
  };
  EXPECT_EQ(count(report(step("0.5")), "<svg"), 1u);
  EXPECT_EQ(count(report(step("0.0")), "<svg"), 0u);
}

TEST(HtmlReport, LowerLossIsDrawnLower) {
  const std::string page = report(line("train", 1, 4) + line("train", 2, 3));
  // The drawing is 280 high with y downward: the first point at the top, the second at the bottom.
  EXPECT_NE(page.find("points='70.0,10.0 710.0,250.0 '"), std::string::npos) << page;
}

TEST(HtmlReport, NeedsNothingFromElsewhere) {
  const std::string page = report(line("train", 1, 4));
  for (const char* part : {"http://", "https://", "<script", "src=", "<link"}) {
    EXPECT_EQ(page.find(part), std::string::npos) << part;
  }
}

TEST(HtmlReport, PassesOverWhatItDoesNotUnderstand) {
  const std::string page = report("not json\n[1]\n{\"kind\":\"train\",\"step\":1,\"loss_audio\":null}\n" +
                                  line("train", 1, 4) + "{\"kind\":\"tr");
  EXPECT_EQ(count(page, "<svg"), 2u);
  EXPECT_EQ(report("").rfind("<!doctype html>", 0), 0u);
}

}  // namespace
}  // namespace higgs
