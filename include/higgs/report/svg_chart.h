// Curves as SVG inside a page.
#pragma once

#include <string>
#include <vector>

namespace higgs {

struct Point {
  double x, y;
};
struct Curve {
  std::string name, colour;
  std::vector<Point> points;
  bool dots = false;
};

// A heading, axes with five marks, each curve a polyline, a legend. "" when no curve has a point.
std::string svg_chart(const std::string& title, const std::vector<Curve>& curves);

}  // namespace higgs
