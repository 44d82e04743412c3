// The hot path with vectors of 16 bytes: NEON of 64-bit ARM, and WebAssembly's SIMD. Both are there or not when this is
// compiled; nothing is asked at run time.
#include "kernels.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#define EP_128 "neon"
namespace {
using Bytes = uint8x16_t;
using Ints = int32x4_t;

inline Bytes bytes_at(const void* at) { return vld1q_u8(static_cast<const uint8_t*>(at)); }
// 0 where an index is 16 or more, which it is for bytes beyond ASCII.
inline Bytes looked_up(Bytes table, Bytes bytes) { return vqtbl1q_u8(table, vandq_u8(bytes, vdupq_n_u8(0x8F))); }
inline Bytes high_half(Bytes bytes) { return vshrq_n_u8(bytes, 4); }
inline uint64_t mask_of(const Bytes (&masks)[4]) {  // one bit a byte that is 0xFF
  const uint8x16_t weights = vcombine_u8(vcreate_u8(0x8040201008040201), vcreate_u8(0x8040201008040201));
  uint8x16_t part[4];
  for (int k = 0; k < 4; k++) part[k] = vandq_u8(masks[k], weights);
  const uint8x16_t pairs = vpaddq_u8(vpaddq_u8(part[0], part[1]), vpaddq_u8(part[2], part[3]));
  return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(pairs, pairs)), 0);
}
inline Bytes common(Bytes one, Bytes other) { return vtstq_u8(one, other); }
inline Bytes beyond_ascii(Bytes bytes) { return vcgeq_u8(bytes, vdupq_n_u8(0x80)); }
inline void add_products(Ints* sum, Bytes one, Bytes two, int8_t first, int8_t second) {
  const int8x16_t a = vreinterpretq_s8_u8(one), b = vreinterpretq_s8_u8(two);
  const int8x16_t w = vdupq_n_s8(first), v = vdupq_n_s8(second);
  const int16x8_t low = vmlal_s8(vmull_s8(vget_low_s8(a), vget_low_s8(w)), vget_low_s8(b), vget_low_s8(v));
  const int16x8_t high = vmlal_high_s8(vmull_high_s8(a, w), b, v);
  sum[0] = vaddw_s16(sum[0], vget_low_s16(low));
  sum[1] = vaddw_high_s16(sum[1], low);
  sum[2] = vaddw_s16(sum[2], vget_low_s16(high));
  sum[3] = vaddw_high_s16(sum[3], high);
}
// Adds to each of four numbers the product of a pair with its own.
inline Ints with_pairs(Ints sum, const int16_t* pairs, int16_t first, int16_t second) {
  const int16x4x2_t apart = vld2_s16(pairs);
  return vmlal_n_s16(vmlal_n_s16(sum, apart.val[0], first), apart.val[1], second);
}
// Adds to four numbers the products of sixteen values with as many of a query.
inline Ints with_products(Ints sum, Bytes values, const int16_t* query) {
  const int16x8_t first = vreinterpretq_s16_u8(bytes_at(query)), second = vreinterpretq_s16_u8(bytes_at(query + 8));
  const int16x8_t low = vmovl_s8(vget_low_s8(vreinterpretq_s8_u8(values))), high = vmovl_high_s8(vreinterpretq_s8_u8(values));
  sum = vmlal_high_s16(vmlal_s16(sum, vget_low_s16(low), vget_low_s16(first)), low, first);
  return vmlal_high_s16(vmlal_s16(sum, vget_low_s16(high), vget_low_s16(second)), high, second);
}
inline Ints zeros() { return vdupq_n_s32(0); }
inline void store(int32_t* to, Ints sum) { vst1q_s32(to, sum); }
}  // namespace

#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
#define EP_128 "wasm-simd"
namespace {
using Bytes = v128_t;
using Ints = v128_t;

inline Bytes bytes_at(const void* at) { return wasm_v128_load(at); }
// 0 where an index is 16 or more, which it is for bytes beyond ASCII.
inline Bytes looked_up(Bytes table, Bytes bytes) {
  return wasm_i8x16_swizzle(table, wasm_v128_and(bytes, wasm_i8x16_splat(int8_t(0x8F))));
}
inline Bytes high_half(Bytes bytes) { return wasm_u8x16_shr(bytes, 4); }
inline uint64_t mask_of(const Bytes (&masks)[4]) {
  uint64_t mask = 0;
  for (int k = 0; k < 4; k++) mask |= uint64_t(wasm_i8x16_bitmask(masks[k]) & 0xFFFF) << (16 * k);
  return mask;
}
inline Bytes common(Bytes one, Bytes other) { return wasm_i8x16_ne(wasm_v128_and(one, other), wasm_i8x16_splat(0)); }
inline Bytes beyond_ascii(Bytes bytes) { return bytes; }  // a bitmask takes the high bit
inline void add_products(Ints* sum, Bytes one, Bytes two, int8_t first, int8_t second) {
  const v128_t w = wasm_i8x16_splat(first), v = wasm_i8x16_splat(second);
  const v128_t low = wasm_i16x8_add(wasm_i16x8_extmul_low_i8x16(one, w), wasm_i16x8_extmul_low_i8x16(two, v));
  const v128_t high = wasm_i16x8_add(wasm_i16x8_extmul_high_i8x16(one, w), wasm_i16x8_extmul_high_i8x16(two, v));
  sum[0] = wasm_i32x4_add(sum[0], wasm_i32x4_extend_low_i16x8(low));
  sum[1] = wasm_i32x4_add(sum[1], wasm_i32x4_extend_high_i16x8(low));
  sum[2] = wasm_i32x4_add(sum[2], wasm_i32x4_extend_low_i16x8(high));
  sum[3] = wasm_i32x4_add(sum[3], wasm_i32x4_extend_high_i16x8(high));
}
// Adds to each of four numbers the product of a pair with its own.
inline Ints with_pairs(Ints sum, const int16_t* pairs, int16_t first, int16_t second) {
  const v128_t two = wasm_i32x4_splat(int32_t(uint32_t(uint16_t(second)) << 16 | uint16_t(first)));
  return wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(wasm_v128_load(pairs), two));
}
// Adds to four numbers the products of sixteen values with as many of a query.
inline Ints with_products(Ints sum, Bytes values, const int16_t* query) {
  sum = wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(wasm_i16x8_extend_low_i8x16(values), wasm_v128_load(query)));
  return wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(wasm_i16x8_extend_high_i8x16(values), wasm_v128_load(query + 8)));
}
inline Ints zeros() { return wasm_i32x4_splat(0); }
inline void store(int32_t* to, Ints sum) { wasm_v128_store(to, sum); }
}  // namespace
#endif

#if defined(EP_128)
namespace ep {
namespace {

// A table by the low half of a byte, a bit of it by the high half.
inline void classify(const Model& m, const uint8_t* bytes, uint64_t& word, uint64_t& isolated, uint64_t& changed) {
  static const uint8_t BIT_OF[16] = {1, 2, 4, 8, 16, 32, 64, 128};
  const Bytes bit_of = bytes_at(BIT_OF), words = bytes_at(m.word_set), apart = bytes_at(m.isolated_set),
              aside = bytes_at(m.changed_set);
  Bytes in_word[4], in_isolated[4], in_changed[4], high[4];
  for (int k = 0; k < 4; k++) {
    const Bytes some = bytes_at(bytes + 16 * k), bits = looked_up(bit_of, high_half(some));
    in_word[k] = common(looked_up(words, some), bits);
    in_isolated[k] = common(looked_up(apart, some), bits);
    in_changed[k] = common(looked_up(aside, some), bits);
    high[k] = beyond_ascii(some);
  }
  const uint64_t beyond = mask_of(high);
  word = mask_of(in_word) | beyond;
  isolated = mask_of(in_isolated);
  changed = mask_of(in_changed) | beyond;
}

// 64 columns at a time stay in registers over all tokens; two rows at once, as the sum of two products of weights and
// values fits int16 (2 * 127 * 128).
inline void add_columns(const Rows& rows, const int32_t* tokens, int64_t count, size_t column, int32_t* sums) {
  const int8_t* values = rows.values + column;
  Ints sum[16];
  for (Ints& part : sum) part = zeros();
  for (int64_t t = 0; t < count; t += 2) {
    const int64_t other = t + 1 < count ? t + 1 : t;
    const int8_t* one = values + size_t(tokens[t]) * rows.width;
    const int8_t* two = values + size_t(tokens[other]) * rows.width;
    const int8_t first = int8_t(rows.weights[tokens[t]]), second = t + 1 < count ? int8_t(rows.weights[tokens[other]]) : int8_t(0);
    for (int k = 0; k < 4; k++) add_products(sum + 4 * k, bytes_at(one + 16 * k), bytes_at(two + 16 * k), first, second);
  }
  for (size_t k = 0; k < 16; k++) store(sums + column + 4 * k, sum[k]);
}

// Four labels a vector.
template <size_t N>
inline void add_pairs(const int16_t* dense, size_t width, const int16_t* steps, size_t pairs, int32_t* sums) {
  Ints sum[4 * N];
  for (Ints& part : sum) part = zeros();
  for (size_t pair = 0; pair < pairs; pair++)
    for (size_t k = 0; k < 4 * N; k++)
      sum[k] = with_pairs(sum[k], dense + 2 * width * pair + 8 * k, steps[2 * pair], steps[2 * pair + 1]);
  for (size_t k = 0; k < 4 * N; k++) store(sums + 4 * k, sum[k]);
}

// Of some rows, each one's products with the query, summed: sixteen values at a time, the last of them beside zeros.
EP_APART void dot_products(const int8_t* const* row, size_t width, const int16_t* query, int32_t* sums) {
  Ints sum[ROWS_TOGETHER];
  for (Ints& part : sum) part = zeros();
  size_t d = 0;
  for (; d + 16 <= width; d += 16)
    for (size_t k = 0; k < ROWS_TOGETHER; k++) sum[k] = with_products(sum[k], bytes_at(row[k] + d), query + d);
  if (const size_t rest = width - d) {
    int16_t asked[16] = {};
    memcpy(asked, query + d, rest * sizeof asked[0]);
    for (size_t k = 0; k < ROWS_TOGETHER; k++) {
      int8_t values[16] = {};
      memcpy(values, row[k] + d, rest);
      sum[k] = with_products(sum[k], bytes_at(values), asked);
    }
  }
  for (size_t k = 0; k < ROWS_TOGETHER; k++) {
    int32_t four[4];
    store(four, sum[k]);
    sums[k] = four[0] + four[1] + four[2] + four[3];
  }
}

#include "columns.inl"

#include "tokenize.inl"

#include "phrases.inl"

#include "pool.inl"

#include "head.inl"

#include "scan.inl"

const Kernels BY_16_BYTES = {EP_128, tokenize, pairs, phrases, pool, grams, classify, scan};

}  // namespace

const Kernels* kernels_128() { return &BY_16_BYTES; }

}  // namespace ep

#else
namespace ep {
const Kernels* kernels_128() { return nullptr; }
}  // namespace ep
#endif
