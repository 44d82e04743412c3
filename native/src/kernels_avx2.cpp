// The hot path with AVX2: compiled for it, and taken where the processor has it.
#include "kernels.h"

#if defined(__AVX2__)
#include <immintrin.h>

namespace ep {
namespace {

// Whether each of 32 bytes is in a set of bytes below 128: a table by the low half, a bit of it by the high half.
inline uint32_t in_set(__m256i bytes, __m256i bits, const uint8_t* set) {
  const __m256i table = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(set)));
  const __m256i inside = _mm256_and_si256(_mm256_shuffle_epi8(table, bytes), bits);
  return ~uint32_t(_mm256_movemask_epi8(_mm256_cmpeq_epi8(inside, _mm256_setzero_si256())));
}

inline void classify(const Model& m, const uint8_t* bytes, uint64_t& word, uint64_t& isolated, uint64_t& changed) {
  const __m256i bit_of = _mm256_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0,  //
                                          1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0);
  word = isolated = changed = 0;
  for (int half = 0; half < 2; half++) {
    const __m256i some = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes + 32 * half));
    const __m256i bits = _mm256_shuffle_epi8(bit_of, _mm256_and_si256(_mm256_srli_epi16(some, 4), _mm256_set1_epi8(15)));
    const uint32_t high = uint32_t(_mm256_movemask_epi8(some));  // not ASCII: in a word, and changed
    word |= uint64_t(in_set(some, bits, m.word_set) | high) << (32 * half);
    isolated |= uint64_t(in_set(some, bits, m.isolated_set)) << (32 * half);
    changed |= uint64_t(in_set(some, bits, m.changed_set) | high) << (32 * half);
  }
}

// 64 columns at a time stay in registers over all tokens. Four rows at once: pairs of products of u8 weights and s8
// values fit int16 (127 * 128 * 2), and pairs of these int32.
inline void add_columns(const Rows& rows, const int32_t* tokens, int64_t count, size_t column, int32_t* sums) {
  const int8_t* values = rows.values + column;
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i sum[2][4] = {};
  for (int64_t t = 0; t < count; t += 4) {
    const int8_t* row[4];
    uint32_t weight[4];
    for (int k = 0; k < 4; k++) {
      const bool is_there = t + k < count;
      const size_t id = size_t(tokens[is_there ? t + k : t]);
      row[k] = values + id * rows.width;
      weight[k] = is_there ? rows.weights[id] : 0;
    }
    const __m256i first = _mm256_set1_epi16(int16_t(weight[0] | weight[1] << 8));
    const __m256i second = _mm256_set1_epi16(int16_t(weight[2] | weight[3] << 8));
    for (int half = 0; half < 2; half++) {
      __m256i r[4];
      for (int k = 0; k < 4; k++) r[k] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row[k] + 32 * half));
      const __m256i low01 = _mm256_maddubs_epi16(first, _mm256_unpacklo_epi8(r[0], r[1]));
      const __m256i high01 = _mm256_maddubs_epi16(first, _mm256_unpackhi_epi8(r[0], r[1]));
      const __m256i low23 = _mm256_maddubs_epi16(second, _mm256_unpacklo_epi8(r[2], r[3]));
      const __m256i high23 = _mm256_maddubs_epi16(second, _mm256_unpackhi_epi8(r[2], r[3]));
      __m256i* s = sum[half];
      s[0] = _mm256_add_epi32(s[0], _mm256_madd_epi16(_mm256_unpacklo_epi16(low01, low23), ones));
      s[1] = _mm256_add_epi32(s[1], _mm256_madd_epi16(_mm256_unpackhi_epi16(low01, low23), ones));
      s[2] = _mm256_add_epi32(s[2], _mm256_madd_epi16(_mm256_unpacklo_epi16(high01, high23), ones));
      s[3] = _mm256_add_epi32(s[3], _mm256_madd_epi16(_mm256_unpackhi_epi16(high01, high23), ones));
    }
  }
  for (int half = 0; half < 2; half++) {  // the unpacking left lanes of four columns in this order
    const __m256i* s = sum[half];
    __m256i* to = reinterpret_cast<__m256i*>(sums + column + 32 * size_t(half));
    _mm256_storeu_si256(to, _mm256_permute2x128_si256(s[0], s[1], 0x20));
    _mm256_storeu_si256(to + 1, _mm256_permute2x128_si256(s[2], s[3], 0x20));
    _mm256_storeu_si256(to + 2, _mm256_permute2x128_si256(s[0], s[1], 0x31));
    _mm256_storeu_si256(to + 3, _mm256_permute2x128_si256(s[2], s[3], 0x31));
  }
}

// Eight labels a vector: a product of two steps and what two dimensions have for a label, and their sum. Two sums of each, so
// that one need not wait for the other.
template <size_t N>
inline void add_pairs(const int16_t* dense, size_t width, const int16_t* steps, size_t pairs, int32_t* sums) {
  __m256i sum[2][2 * N] = {};
  for (size_t pair = 0; pair < pairs; pair += 2) {
    for (size_t other = 0; other < 2; other++) {
      const __m256i two = _mm256_set1_epi32(load<int32_t>(steps, pair + other));
      const __m256i* at = reinterpret_cast<const __m256i*>(dense + 2 * width * (pair + other));
      for (size_t k = 0; k < 2 * N; k++)
        sum[other][k] = _mm256_add_epi32(sum[other][k], _mm256_madd_epi16(_mm256_loadu_si256(at + k), two));
    }
  }
  for (size_t k = 0; k < 2 * N; k++)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums) + k, _mm256_add_epi32(sum[0][k], sum[1][k]));
}

inline int32_t total(__m256i sum) {
  const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
  const __m128i two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
  return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 1)));
}

// Of some rows, each one's products with the query, summed: sixteen values at a time, the last of them beside zeros.
EP_APART void dot_products(const int8_t* const* row, size_t width, const int16_t* query, int32_t* sums) {
  __m256i sum[ROWS_TOGETHER] = {};
  const auto add = [&sum](size_t k, const int8_t* values, __m256i asked) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(values));
    sum[k] = _mm256_add_epi32(sum[k], _mm256_madd_epi16(_mm256_cvtepi8_epi16(bytes), asked));
  };
  size_t d = 0;
  for (; d + 16 <= width; d += 16) {
    const __m256i asked = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(query + d));
    for (size_t k = 0; k < ROWS_TOGETHER; k++) add(k, row[k] + d, asked);
  }
  if (const size_t rest = width - d) {
    int16_t asked[16] = {};
    memcpy(asked, query + d, rest * sizeof asked[0]);
    for (size_t k = 0; k < ROWS_TOGETHER; k++) {
      int8_t values[16] = {};
      memcpy(values, row[k] + d, rest);
      add(k, values, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(asked)));
    }
  }
  for (size_t k = 0; k < ROWS_TOGETHER; k++) sums[k] = total(sum[k]);
}

#include "columns.inl"

#include "tokenize.inl"

#include "phrases.inl"

#include "pool.inl"

#include "head.inl"

#include "scan.inl"

const Kernels AVX2 = {"avx2", tokenize, pairs, phrases, pool, grams, classify, scan};

}  // namespace

const Kernels* avx2_kernels() { return has_avx2() ? &AVX2 : nullptr; }

}  // namespace ep

#else
namespace ep {
const Kernels* avx2_kernels() { return nullptr; }
}  // namespace ep
#endif
