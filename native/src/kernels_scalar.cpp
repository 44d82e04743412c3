// The hot path in plain C++: what every processor can, and what the others' bits are held to.
#include "kernels.h"

namespace ep {
namespace {

// Eight bytes' kinds lie side by side in a word of the machine; one multiplication gathers a bit of each.
inline uint64_t gathered(uint64_t kinds, int bit) {
  return ((kinds >> bit & 0x0101010101010101) * 0x0102040810204080) >> 56;
}

inline void classify(const Model& m, const uint8_t* bytes, uint64_t& word, uint64_t& isolated, uint64_t& changed) {
  word = isolated = changed = 0;
  for (int begin = 0; begin < 64; begin += 8) {
    uint64_t kinds = 0;
    for (int k = 0; k < 8; k++) kinds |= uint64_t(m.kinds[bytes[begin + k]]) << (8 * k);
    word |= gathered(kinds, 0) << begin;
    isolated |= gathered(kinds, 1) << begin;
    changed |= gathered(kinds, 2) << begin;
  }
}

// Two rows at once: the sum of two products of weights and values fits int16 (2 * 127 * 128), of which a vector of a
// plain processor holds eight. Compilers find that in these loops.
inline void add_rows(const Rows& rows, const int32_t* tokens, int64_t count, int32_t* sums) {
  constexpr size_t COLUMNS = 64;
  const size_t dim = rows.width;
  for (size_t column = 0; column < dim; column += COLUMNS) {
    const size_t width = dim - column < COLUMNS ? dim - column : COLUMNS;
    int32_t* to = sums + column;
    for (size_t d = 0; d < width; d++) to[d] = 0;
    for (int64_t t = 0; t < count; t += 2) {
      const int64_t other = t + 1 < count ? t + 1 : t;
      const int8_t* one = rows.values + size_t(tokens[t]) * dim + column;
      const int8_t* two = rows.values + size_t(tokens[other]) * dim + column;
      const int16_t first = rows.weights[tokens[t]], second = t + 1 < count ? rows.weights[tokens[other]] : 0;
      if (width == COLUMNS) {
        for (size_t d = 0; d < COLUMNS; d++) to[d] += int16_t(int16_t(first * one[d]) + int16_t(second * two[d]));
      } else {
        for (size_t d = 0; d < width; d++) to[d] += int16_t(int16_t(first * one[d]) + int16_t(second * two[d]));
      }
    }
  }
}

// Each product fits int32, and so does the last sum; those before it may wrap.
template <size_t N>
inline void add_pairs(const int16_t* dense, size_t width, const int16_t* steps, size_t pairs, int32_t* sums) {
  uint32_t sum[16 * N] = {};
  for (size_t pair = 0; pair < pairs; pair++) {
    const int16_t* at = dense + 2 * width * pair;
    const int32_t first = steps[2 * pair], second = steps[2 * pair + 1];
    for (size_t label = 0; label < 16 * N; label++) sum[label] += uint32_t(first * at[2 * label] + second * at[2 * label + 1]);
  }
  memcpy(sums, sum, sizeof sum);
}

// Of some rows, each one's products with the query, summed.
EP_APART void dot_products(const int8_t* const* row, size_t width, const int16_t* query, int32_t* sums) {
  for (size_t k = 0; k < ROWS_TOGETHER; k++) {
    int32_t sum = 0;
    for (size_t d = 0; d < width; d++) sum += row[k][d] * load<int16_t>(query, d);
    sums[k] = sum;
  }
}

#include "tokenize.inl"

#include "phrases.inl"

#include "pool.inl"

#include "head.inl"

#include "scan.inl"

const Kernels SCALAR = {"scalar", tokenize, pairs, phrases, pool, grams, classify, scan};

}  // namespace

const Kernels& scalar_kernels() { return SCALAR; }

}  // namespace ep
