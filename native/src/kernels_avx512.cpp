// The hot path with AVX-512 and its dot products of bytes (VNNI): compiled for them, and taken where the processor has
// both.
#include "kernels.h"

#if defined(__AVX512VNNI__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#include <immintrin.h>

namespace ep {
namespace {

inline __mmask64 in_set(__m512i bytes, __m512i bits, const uint8_t* set) {
  const __m512i table = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(set)));
  return _mm512_test_epi8_mask(_mm512_shuffle_epi8(table, bytes), bits);
}

// A table by the low half of a byte, a bit of it by the high half; a byte that is not ASCII is in a word, and changed.
inline void classify(const Model& m, const uint8_t* bytes, uint64_t& word, uint64_t& isolated, uint64_t& changed) {
  const __m512i bit_of = _mm512_broadcast_i32x4(_mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0));
  const __m512i some = _mm512_loadu_si512(bytes);
  const __m512i bits = _mm512_shuffle_epi8(bit_of, _mm512_and_si512(_mm512_srli_epi16(some, 4), _mm512_set1_epi8(15)));
  const __mmask64 high = _mm512_movepi8_mask(some);
  word = in_set(some, bits, m.word_set) | high;
  isolated = in_set(some, bits, m.isolated_set);
  changed = in_set(some, bits, m.changed_set) | high;
}

// 64 columns at a time stay in registers over all tokens; four rows at once, whose bytes are interleaved by twos and
// fours, so that a dot product of four bytes is one column's.
inline void add_columns(const Rows& rows, const int32_t* tokens, int64_t count, size_t column, int32_t* sums) {
  const int8_t* values = rows.values + column;
  __m512i sum[4] = {};
  for (int64_t t = 0; t < count; t += 4) {
    __m512i row[4];
    uint32_t four = 0;
    for (int k = 0; k < 4; k++) {
      const bool is_there = t + k < count;
      const size_t id = size_t(tokens[is_there ? t + k : t]);
      row[k] = _mm512_loadu_si512(values + id * rows.width);
      four |= is_there ? uint32_t(rows.weights[id]) << (8 * k) : 0;
    }
    const __m512i weight = _mm512_set1_epi32(int32_t(four));
    const __m512i low01 = _mm512_unpacklo_epi8(row[0], row[1]), high01 = _mm512_unpackhi_epi8(row[0], row[1]);
    const __m512i low23 = _mm512_unpacklo_epi8(row[2], row[3]), high23 = _mm512_unpackhi_epi8(row[2], row[3]);
    sum[0] = _mm512_dpbusd_epi32(sum[0], weight, _mm512_unpacklo_epi16(low01, low23));
    sum[1] = _mm512_dpbusd_epi32(sum[1], weight, _mm512_unpackhi_epi16(low01, low23));
    sum[2] = _mm512_dpbusd_epi32(sum[2], weight, _mm512_unpacklo_epi16(high01, high23));
    sum[3] = _mm512_dpbusd_epi32(sum[3], weight, _mm512_unpackhi_epi16(high01, high23));
  }
  for (int quarter = 0; quarter < 4; quarter++) {  // columns 16 * lane + 4 * quarter + 0..3 of each lane
    alignas(64) int32_t part[16];
    _mm512_store_si512(part, sum[quarter]);
    for (size_t lane = 0; lane < 4; lane++) memcpy(sums + column + 16 * lane + 4 * size_t(quarter), part + 4 * lane, 16);
  }
}

// Sixteen labels a vector: to a sum are added the products of two steps and what two dimensions have for a label. Two sums of
// each, so that one need not wait for the other.
template <size_t N>
inline void add_pairs(const int16_t* dense, size_t width, const int16_t* steps, size_t pairs, int32_t* sums) {
  __m512i sum[2][N] = {};
  for (size_t pair = 0; pair < pairs; pair += 2) {
    for (size_t other = 0; other < 2; other++) {
      const __m512i two = _mm512_set1_epi32(load<int32_t>(steps, pair + other));
      const int16_t* at = dense + 2 * width * (pair + other);
      for (size_t k = 0; k < N; k++) sum[other][k] = _mm512_dpwssd_epi32(sum[other][k], _mm512_loadu_si512(at + 32 * k), two);
    }
  }
  for (size_t k = 0; k < N; k++) _mm512_storeu_si512(sums + 16 * k, _mm512_add_epi32(sum[0][k], sum[1][k]));
}

// Of some rows, each one's products with the query, summed: 32 values at a time; a mask leaves out those behind the last.
EP_APART void dot_products(const int8_t* const* row, size_t width, const int16_t* query, int32_t* sums) {
  __m512i sum[ROWS_TOGETHER] = {};
  size_t d = 0;
  for (; d + 32 <= width; d += 32) {
    const __m512i asked = _mm512_loadu_si512(query + d);
    for (size_t k = 0; k < ROWS_TOGETHER; k++) {
      const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row[k] + d));
      sum[k] = _mm512_dpwssd_epi32(sum[k], _mm512_cvtepi8_epi16(bytes), asked);
    }
  }
  if (const __mmask32 rest = (1u << (width - d)) - 1) {
    const __m512i asked = _mm512_maskz_loadu_epi16(rest, query + d);
    for (size_t k = 0; k < ROWS_TOGETHER; k++) {
      const __m256i bytes = _mm256_maskz_loadu_epi8(rest, row[k] + d);
      sum[k] = _mm512_dpwssd_epi32(sum[k], _mm512_cvtepi8_epi16(bytes), asked);
    }
  }
  for (size_t k = 0; k < ROWS_TOGETHER; k++) sums[k] = _mm512_reduce_add_epi32(sum[k]);
}

#include "columns.inl"

#include "tokenize.inl"

#include "phrases.inl"

#include "pool.inl"

#include "head.inl"

#include "scan.inl"

const Kernels AVX512 = {"avx512-vnni", tokenize, pairs, phrases, pool, grams, classify, scan};

}  // namespace

const Kernels* avx512_kernels() { return has_avx512() ? &AVX512 : nullptr; }

}  // namespace ep

#else
namespace ep {
const Kernels* avx512_kernels() { return nullptr; }
}  // namespace ep
#endif
