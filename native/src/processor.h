// What compilers spell differently, and what is asked of a processor.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>

#if defined(_MSC_VER) && !defined(__clang__)
#if defined(_M_X64)
#include <immintrin.h>
#endif
#include <intrin.h>
// Kernels are compiled for processors of which this one may be none: what they share with other files must not be made
// a function of its own, as the linker keeps only one of each name.
#define EP_INLINE __forceinline
#define EP_APART __declspec(noinline) inline
#else
#define EP_INLINE inline __attribute__((always_inline))
#define EP_APART __attribute__((noinline)) inline  // much code that two functions call
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "an .onnx file is little-endian, and its tables are used where they lie: this takes a little-endian processor"
#endif

namespace ep {

#if defined(_MSC_VER) && !defined(__clang__)

EP_INLINE void prefetch(const void* at) {
#if defined(_M_X64)
  _mm_prefetch(static_cast<const char*>(at), _MM_HINT_T0);
#else
  __prefetch(at);
#endif
}

EP_INLINE int lowest_bit(uint64_t bits) {  // of what is not 0
  unsigned long place;
  _BitScanForward64(&place, bits);
  return int(place);
}

EP_INLINE double square_root(double value) { return sqrt(value); }

#if defined(_M_X64)
static inline bool has_bits(int leaf, int which, uint32_t bits) {
  int answer[4];
  __cpuidex(answer, leaf, 0);
  return (uint32_t(answer[which]) & bits) == bits;
}

// Whether the system keeps these registers between threads.
static inline bool keeps(uint64_t registers) {
  constexpr uint32_t OSXSAVE = 1u << 27;
  return has_bits(1, 2, OSXSAVE) && (_xgetbv(0) & registers) == registers;
}

static inline bool has_avx2() { return keeps(0x6) && has_bits(7, 1, 1u << 3 | 1u << 5 | 1u << 8); }  // BMI1, AVX2, BMI2
static inline bool has_avx512() {  // F, DQ, BW, VL; VNNI
  return has_avx2() && keeps(0xE6) && has_bits(7, 1, 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31) && has_bits(7, 2, 1u << 11);
}
#endif

#else

EP_INLINE void prefetch(const void* at) { __builtin_prefetch(at); }
EP_INLINE int lowest_bit(uint64_t bits) { return __builtin_ctzll(bits); }  // of what is not 0

EP_INLINE double square_root(double value) { return __builtin_sqrt(value); }

#if defined(__x86_64__)
static inline bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}
static inline bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}
#endif

#endif

}  // namespace ep
