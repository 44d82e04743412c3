// Does this device compute what the model's makers computed?  check MODEL golden.bin
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>

#include "golden.h"
#include "model.h"

namespace {

// A vector beside the one that it should be.
struct Pair {
  double cosine, length, wanted_length, difference, largest;
};

Pair compare(const Vectors& found, const Golden& golden, size_t text) {
  double dot = 0, aa = 0, bb = 0, difference = 0, largest = 0;
  for (size_t column = 0; column < found.dim; column++) {
    const double a = found.row(text)[column], b = golden.value(text, column);
    dot += a * b, aa += a * a, bb += b * b;
    difference = std::max(difference, std::fabs(a - b));
    largest = std::max(largest, std::fabs(b));
  }
  double cosine = aa * bb > 0 ? dot / std::sqrt(aa * bb) : aa == bb;  // zeros agree with zeros alone
  if (std::isnan(cosine)) cosine = 0;                                 // of inf, whose length is wrong too
  return {cosine, std::sqrt(aa), std::sqrt(bb), difference, largest};
}

int check(const Golden& golden, const Vectors& found, const Bounds& bounds) {
  if (found.texts != golden.texts() || found.dim != golden.dim())
    throw std::runtime_error("golden.bin is of another model");
  std::vector<Pair> pairs;
  std::vector<double> cosines;
  double longest = 0, largest = 0;
  for (size_t text = 0; text < found.texts; text++) {
    pairs.push_back(compare(found, golden, text));
    cosines.push_back(pairs[text].cosine);
    longest = std::max(longest, pairs[text].wanted_length);
    largest = std::max(largest, pairs[text].largest);
  }

  size_t stray = 0;
  for (size_t text = 0; text < found.texts; text++) {
    const Pair& pair = pairs[text];
    const double off = std::fabs(pair.length - pair.wanted_length);
    const double may_be_off = golden.has_unit_length()
                                  ? golden.unit_length()
                                  : bounds.length * std::max(pair.wanted_length, longest * golden.length_share());
    const double scale = golden.has_unit_length() ? 1 : largest;
    const bool is_right = pair.cosine >= (golden.is_short(text) ? bounds.short_cosine : bounds.cosine) &&
                          off <= may_be_off &&
                          pair.difference <= bounds.max_difference * scale * golden.growth(text);
    stray += !is_right;
  }
  std::sort(cosines.begin(), cosines.end());
  const double median = (cosines[(cosines.size() - 1) / 2] + cosines[cosines.size() / 2]) / 2;
  const bool passed = stray == 0 && median >= bounds.median_cosine;
  std::printf("%s: %zu of %zu texts stray, median cosine %.6f\n", passed ? "ok" : "FAILED", stray, found.texts, median);
  return passed ? 0 : 1;
}

}  // namespace

int main(int count, char** words) {
  if (count != 3) return std::fprintf(stderr, "usage: check MODEL golden.bin\n"), 2;
  try {
    const Golden golden(words[2]);
    Model model(words[1]);
    return check(golden, model.embed(golden.joined()), golden.bounds(model.precision()));
  } catch (const std::exception& failure) {
    return std::fprintf(stderr, "error: %s\n", failure.what()), 1;
  }
}
