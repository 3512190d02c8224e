// Small matrix products, few columns and many rows: the shape that general libraries do worst.

#pragma once

#include "vec.h"

namespace elfin {

constexpr int64_t kWide = 2 * kLane;

// b [depth][cols] in panels of kWide columns (the last may be kLane wide), so that a product reads it in order.
struct Packed {
  int64_t depth, cols;
  std::vector<float> data;
  template <typename F> Packed(int64_t depth_, int64_t cols_, F at) : depth(depth_), cols(cols_), data(depth_ * cols_) {
    float* to = data.data();
    for (int64_t j = 0; j < cols; j += kWide)
      for (int64_t i = 0, width = std::min(kWide, cols - j); i < depth; ++i)
        for (int64_t k = 0; k < width; ++k) *to++ = at(i, j + k);
  }
};

// f<R>() for R = n, 1 <= n <= R
template <int R, typename F> inline void with_rows(int64_t n, F&& f) {
  if constexpr (R > 1) {
    if (n < R) return with_rows<R - 1>(n, f);
  }
  f.template operator()<R>();
}

// Not inlined: among a caller's variables the addresses of its rows would not stay in registers.
template <int R, int V> [[gnu::noinline]] void tile_product(float* out, int64_t out_stride, const float* a, int64_t a_stride, const float* b,
                                                            const float* start, int64_t depth) {
  vec s[R][V];
  UNROLLED for (int t = 0; t < R; ++t)
    UNROLLED for (int v = 0; v < V; ++v) s[t][v] = start ? load(start + v * kLane) : vec{};
  for (int64_t i = 0; i < depth; ++i) {
    vec bv[V];
    UNROLLED for (int v = 0; v < V; ++v) bv[v] = load(b + i * V * kLane + v * kLane);
    UNROLLED for (int t = 0; t < R; ++t) {
      const float x = a[t * a_stride + i];
      UNROLLED for (int v = 0; v < V; ++v) s[t][v] += x * bv[v];
    }
  }
  UNROLLED for (int t = 0; t < R; ++t)
    UNROLLED for (int v = 0; v < V; ++v) store(out + t * out_stride + v * kLane, s[t][v]);
}

// out[p][j] = start[j] + sum_i a[p][i] b[i][j]
inline void product(float* out, int64_t out_stride, const float* a, int64_t a_stride, const Packed& b, int64_t rows, const float* start = nullptr) {
  for (int64_t j = 0; j < b.cols; j += kWide) {
    const float* panel = b.data.data() + j * b.depth;
    const float* from = start ? start + j : nullptr;
    const bool whole = b.cols - j >= kWide;
    for (int64_t p = 0; p < rows; p += kTile)
      with_rows<kTile>(std::min(kTile, rows - p), [&]<int R>() {
        if (whole) tile_product<R, 2>(out + p * out_stride + j, out_stride, a + p * a_stride, a_stride, panel, from, b.depth);
        else tile_product<R, 1>(out + p * out_stride + j, out_stride, a + p * a_stride, a_stride, panel, from, b.depth);
      });
  }
}

template <int R, int V> [[gnu::noinline]] void tile_outer(float* acc, int64_t acc_stride, const float* a, int64_t a_stride, const float* b,
                                                          int64_t b_stride, int64_t rows) {
  vec s[R][V];
  UNROLLED for (int t = 0; t < R; ++t)
    UNROLLED for (int v = 0; v < V; ++v) s[t][v] = load(acc + t * acc_stride + v * kLane);
  for (int64_t p = 0; p < rows; ++p) {
    vec bv[V];
    UNROLLED for (int v = 0; v < V; ++v) bv[v] = load(b + p * b_stride + v * kLane);
    UNROLLED for (int t = 0; t < R; ++t) {
      const float x = a[p * a_stride + t];
      UNROLLED for (int v = 0; v < V; ++v) s[t][v] += x * bv[v];
    }
  }
  UNROLLED for (int t = 0; t < R; ++t)
    UNROLLED for (int v = 0; v < V; ++v) store(acc + t * acc_stride + v * kLane, s[t][v]);
}

// acc [a_cols][b_cols] += sum over rows of a[p][i] b[p][j]; b_cols is a multiple of kLane
inline void outer(float* acc, const float* a, int64_t a_stride, int64_t a_cols, const float* b, int64_t b_stride, int64_t b_cols, int64_t rows) {
  for (int64_t i = 0; i < a_cols; i += kTile)
    with_rows<kTile>(std::min(kTile, a_cols - i), [&]<int R>() {
      for (int64_t j = 0; j < b_cols; j += kWide) {
        float* to = acc + i * b_cols + j;
        if (b_cols - j >= kWide) tile_outer<R, 2>(to, b_cols, a + i, a_stride, b + j, b_stride, rows);
        else tile_outer<R, 1>(to, b_cols, a + i, a_stride, b + j, b_stride, rows);
      }
    });
}

}  // namespace elfin
