// How alike two texts are, from -1 to 1:  similar MODEL TEXT TEXT
#include <cmath>
#include <cstdio>
#include <exception>

#include "model.h"

int main(int count, char** words) {
  if (count != 4) return std::fprintf(stderr, "usage: similar MODEL TEXT TEXT\n"), 2;
  try {
    const Vectors vectors = Model(words[1]).embed(std::string(words[2]) + '\0' + words[3]);
    const float *one = vectors.row(0), *other = vectors.row(1);
    double dot = 0, ones = 0, others = 0;
    for (size_t i = 0; i < vectors.dim; i++) {
      dot += double(one[i]) * other[i];
      ones += double(one[i]) * one[i];
      others += double(other[i]) * other[i];
    }
    // A text without a word that the model knows has a vector of zeros, which is like no other.
    std::printf("%.3f\n", ones > 0 && others > 0 ? dot / std::sqrt(ones * others) : 0);
    return 0;
  } catch (const std::exception& failure) {
    return std::fprintf(stderr, "error: %s\n", failure.what()), 1;
  }
}
