// What every kernel is written in: one register of floats, storage in float32 or bfloat16, and exp.

#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <vector>

// before a loop of constant bounds: GCC leaves an array of vectors in memory unless the loops over it are unrolled early
#define UNROLLED _Pragma("GCC unroll 16")

namespace elfin {

using at::Tensor;
// A vector is one register. kTile rows of two are an accumulator block that, with its operands, fills the registers:
// on AVX2, vectors of two registers spilled everywhere and took 1.8 times as long as PyTorch's own kernels.
#ifdef __AVX512F__
constexpr int64_t kLane = 16, kTile = 8;
#else
constexpr int64_t kLane = 8, kTile = 6;
#endif

typedef float vec __attribute__((vector_size(kLane * sizeof(float))));
typedef int32_t ivec __attribute__((vector_size(kLane * sizeof(float))));

typedef float loose __attribute__((vector_size(kLane * sizeof(float)), aligned(4), may_alias));  // a register's worth anywhere in memory
inline vec load(const float* p) { return *reinterpret_cast<const loose*>(p); }
inline void store(float* p, vec v) { *reinterpret_cast<loose*>(p) = v; }
// the sum of a register's floats, by halves
inline float total(vec v) {
#ifdef __AVX512F__
  v += __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
  v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
  v += __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
#else
  v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3);
  v += __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5);
#endif
  return v[0] + v[1];
}
// for the compiler: read it once and leave it in a register, rather than read it again at each use
inline vec keep(vec v) {
#ifdef __x86_64__
  asm("" : "+v"(v));
#endif
  return v;
}
inline int64_t padded(int64_t c) { return (c + kLane - 1) / kLane * kLane; }

inline float to_float(float x) { return x; }
inline float to_float(at::BFloat16 x) {
  uint32_t u = static_cast<uint32_t>(x.x) << 16;
  float f;
  std::memcpy(&f, &u, 4);
  return f;
}
template <typename T> inline T from_float(float x);
template <> inline float from_float<float>(float x) { return x; }
template <> inline at::BFloat16 from_float<at::BFloat16>(float x) {  // round to nearest even, without a NaN branch
  uint32_t u;
  std::memcpy(&u, &x, 4);
  u += 0x7fff + ((u >> 16) & 1);
  return at::BFloat16(static_cast<uint16_t>(u >> 16), at::BFloat16::from_bits());
}
template <typename T> inline void widen(float* to, const T* from, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = to_float(from[i]);
}
template <typename T> inline void narrow(T* to, const float* from, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = from_float<T>(from[i]);
}

// exp for x <= 0, to 2 ulp: 2^k * p(r)
inline vec exp_neg(vec x) {
  x = x < -87.0f ? vec{} - 87.0f : x;
  vec k = x * 1.44269504f - 0.5f;
  ivec ki = __builtin_convertvector(k, ivec);  // toward zero of a negative number: rounds to nearest
  vec kf = __builtin_convertvector(ki, vec);
  vec r = x - kf * 0.693359375f + kf * 2.12194440e-4f;
  vec p = 1.9875691500e-4f * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  ivec bits = (ki + 127) << 23;
  vec scale;
  std::memcpy(&scale, &bits, sizeof scale);
  return p * scale;
}

// Phi(a), the normal distribution: a rational function fitted to it on [-5.2, 5.2] (by least squares, reweighted towards the
// least maximum; absolute error below 2.5e-7 in float32), which it stays at beyond
inline vec normal_cdf(vec a) {
  constexpr float kEnd = 5.2f;
  a = a < -kEnd ? vec{} - kEnd : a;
  a = a > kEnd ? vec{} + kEnd : a;
  const vec t = a * a;
  const vec p = (((5.8403708e-06f * t + 0.00031424901f) * t + 0.0055186451f) * t + 0.049592242f) * t + 0.39894192f;
  const vec q = ((((5.0188098e-07f * t + 0.00011273535f) * t + 0.0027036678f) * t + 0.0373391f) * t + 0.29097008f) * t + 1.0f;
  return a * (p / q) + 0.5f;
}

// `n` values as floats: where they lie if they are floats, else widened into `scratch`.
template <typename T> inline const float* floats(const T* from, int64_t n, float* scratch) {
  if constexpr (std::is_same_v<T, float>) return from;
  widen(scratch, from, n);
  return scratch;
}

#define DISPATCH(tensor, ...)                                                       \
  if ((tensor).scalar_type() == at::kBFloat16) { using T = at::BFloat16; __VA_ARGS__; } \
  else if ((tensor).scalar_type() == at::kFloat) { using T = float; __VA_ARGS__; }  \
  else TORCH_CHECK(false, "float32 or bfloat16 expected")

}  // namespace elfin
