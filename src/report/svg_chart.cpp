#include "higgs/report/svg_chart.h"

#include <algorithm>

#include "higgs/base/format.h"

namespace higgs {
namespace {

struct Range {
  double low = 1e300, high = -1e300;
  void include(double v) {
    low = std::min(low, v);
    high = std::max(high, v);
  }
};

constexpr double kWidth = 720, kHeight = 280, kLeft = 70, kBottom = 30, kTop = 10, kRight = 10;

}  // namespace

std::string svg_chart(const std::string& title, const std::vector<Curve>& curves) {
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
    svg += "<line x1='70' x2='710' y1='" + formatted("%.1f", py(yv)) + "' y2='" + formatted("%.1f", py(yv)) +
           "' class='grid'/><text x='64' y='" + formatted("%.1f", py(yv) + 4) + "' class='left'>" +
           formatted("%.3g", yv) + "</text><text x='" + formatted("%.1f", px(xv)) +
           "' y='272' class='below'>" + formatted("%.0f", xv) + "</text>";
  }
  for (const Curve& curve : curves) {
    svg += "<polyline fill='none' stroke='" + curve.colour + "' points='";
    for (const Point& p : curve.points) svg += formatted("%.1f,", px(p.x)) + formatted("%.1f ", py(p.y));
    svg += "'/>";
    if (!curve.dots) continue;
    for (const Point& p : curve.points) {
      svg += "<circle r='3' fill='" + curve.colour + "' cx='" + formatted("%.1f", px(p.x)) + "' cy='" +
             formatted("%.1f", py(p.y)) + "'/>";
    }
  }
  svg += "</svg><p>";
  for (const Curve& curve : curves)
    svg += "<span style='color:" + curve.colour + "'>&#9632;</span> " + curve.name + " ";
  return svg + "</p>";
}

}  // namespace higgs
