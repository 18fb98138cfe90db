#include "higgs/report/html_report.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

namespace higgs {
namespace {

using Json = nlohmann::json;

struct Point {
  double x, y;
};
struct Curve {
  std::string name, colour;
  std::vector<Point> points;
  bool dots = false;
};

struct Range {
  double low = 1e300, high = -1e300;
  void include(double v) {
    low = std::min(low, v);
    high = std::max(high, v);
  }
};

std::string number(const char* format, double value) {
  char text[48];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

constexpr double kWidth = 720, kHeight = 280, kLeft = 56, kBottom = 30, kTop = 10, kRight = 10;

// One chart: axes with five marks, each curve a polyline.
std::string chart(const std::string& title, const std::vector<Curve>& curves) {
  Range x, y;
  for (const Curve& curve : curves) {
    for (const Point& point : curve.points) {
      x.include(point.x);
      y.include(point.y);
    }
  }
  if (x.low > x.high) return "";
  if (y.high - y.low < 1e-9) y.high = y.low + 1.0;
  if (x.high - x.low < 1e-9) x.high = x.low + 1.0;
  const auto px = [&](double v) {
    return kLeft + (v - x.low) / (x.high - x.low) * (kWidth - kLeft - kRight);
  };
  const auto py = [&](double v) {
    return kHeight - kBottom - (v - y.low) / (y.high - y.low) * (kHeight - kBottom - kTop);
  };
  std::string svg = "<h2>" + title + "</h2><svg viewBox='0 0 720 280' width='720' height='280'>";
  for (int i = 0; i <= 4; ++i) {
    const double yv = y.low + (y.high - y.low) * i / 4.0, xv = x.low + (x.high - x.low) * i / 4.0;
    svg += "<line x1='56' x2='710' y1='" + number("%.1f", py(yv)) + "' y2='" + number("%.1f", py(yv)) +
           "' class='grid'/><text x='50' y='" + number("%.1f", py(yv) + 4) + "' class='left'>" +
           number("%.3g", yv) + "</text><text x='" + number("%.1f", px(xv)) + "' y='272' class='below'>" +
           number("%.0f", xv) + "</text>";
  }
  for (const Curve& curve : curves) {
    svg += "<polyline fill='none' stroke='" + curve.colour + "' points='";
    for (const Point& p : curve.points) svg += number("%.1f,", px(p.x)) + number("%.1f ", py(p.y));
    svg += "'/>";
    if (!curve.dots) continue;
    for (const Point& p : curve.points) {
      svg += "<circle r='3' fill='" + curve.colour + "' cx='" + number("%.1f", px(p.x)) + "' cy='" +
             number("%.1f", py(p.y)) + "'/>";
    }
  }
  svg += "</svg><p>";
  for (const Curve& curve : curves)
    svg += "<span style='color:" + curve.colour + "'>&#9632;</span> " + curve.name + " ";
  return svg + "</p>";
}

Curve curve_of(const std::vector<Json>& lines, const std::string& kind, const std::string& key,
               const std::string& name, const std::string& colour) {
  Curve curve{name, colour, {}, kind == "eval"};
  for (const Json& line : lines) {
    if (line.value("kind", "") != kind || !line.contains(key) || !line[key].is_number()) continue;
    curve.points.push_back({line.value("step", 0.0), line[key].get<double>()});
  }
  return curve;
}

// Validation loss of each codebook, first evaluation beside the last.
std::string codebook_table(const std::vector<Json>& lines) {
  const Json *first = nullptr, *last = nullptr;
  for (const Json& line : lines) {
    if (line.value("kind", "") != "eval" || !line.contains("loss_codebooks")) continue;
    if (first == nullptr) first = &line;
    last = &line;
  }
  if (first == nullptr) return "";
  std::string table = "<h2>Validation loss per codebook</h2><table><tr><th>codebook</th><th>step " +
                      std::to_string(first->value("step", 0)) + "</th><th>step " +
                      std::to_string(last->value("step", 0)) + "</th></tr>";
  const Json &a = (*first)["loss_codebooks"], &b = (*last)["loss_codebooks"];
  const auto cell = [](const Json& loss) {  // JSON has no NaN: what isn't finite is null there
    return "<td>" + (loss.is_number() ? number("%.4f", loss.get<double>()) : "not finite") + "</td>";
  };
  for (std::size_t k = 0; k < std::min(a.size(), b.size()); ++k) {
    table += "<tr><td>" + std::to_string(k) + "</td>" + cell(a[k]) + cell(b[k]) + "</tr>";
  }
  return table + "</table>";
}

}  // namespace

std::string html_report(const std::string& metrics) {
  std::vector<Json> lines;
  std::istringstream stream(metrics);
  for (std::string line; std::getline(stream, line);) {
    Json entry = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (entry.is_object()) lines.push_back(std::move(entry));
  }
  std::string page =
      "<!doctype html><html lang='en'><meta charset='utf-8'><title>higgs_train run</title><style>"
      "body{font:15px sans-serif;max-width:760px;margin:2em auto}polyline{stroke-width:1.5}.grid{stroke:#ddd}"
      "text{font-size:11px;fill:#555}.left{text-anchor:end}.below{text-anchor:middle}"
      "td,th{padding:2px 12px;text-align:right}</style><h1>Training run</h1>";
  page += chart("Audio loss (nats, mean over codebooks)",
                {curve_of(lines, "train", "loss_audio", "training", "#4c78a8"),
                 curve_of(lines, "eval", "loss_audio", "validation", "#e45756")});
  page += chart("Text loss (nats)", {curve_of(lines, "train", "loss_text", "training", "#4c78a8"),
                                     curve_of(lines, "eval", "loss_text", "validation", "#e45756")});
  page += chart("Learning rate", {curve_of(lines, "train", "learning_rate", "learning rate", "#54a24b")});
  page += chart("Gradient norm before clipping",
                {curve_of(lines, "train", "grad_norm", "gradient norm", "#b279a2")});
  page += chart("Tokens per second", {curve_of(lines, "train", "tokens_per_second", "tokens/s", "#f58518")});
  return page + codebook_table(lines) + "</html>\n";
}

}  // namespace higgs
