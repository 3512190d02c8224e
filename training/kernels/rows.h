// Rows of pixels, channels-last: a ring of the few rows that a 3x3 needs, and the depthwise 3x3 itself.
//
// Work is cut into (image, band of rows). Channels are padded to whole vectors with zeros, so that inner loops are whole vectors.

#pragma once

#include "product.h"

namespace elfin {

// A buffer of rows [w + 2][c], found by row number modulo its length; the two edge columns stay zero.
struct Ring {
  int64_t rows, w, c;
  std::vector<float> data;
  Ring(int64_t rows_, int64_t w_, int64_t c_) : rows(rows_), w(w_), c(c_), data(rows_ * (w_ + 2) * c_, 0.f) {}
  float* row(int64_t y) { return data.data() + ((y % rows + rows) % rows) * (w + 2) * c; }
  float* inner(int64_t y) { return row(y) + c; }
  // row y of an image of h rows by fill(to), or zeros where there is none
  template <typename F> void fetch(int64_t y, int64_t h, F fill) {
    if (y < 0 || y >= h) std::memset(inner(y), 0, sizeof(float) * w * c);
    else fill(inner(y));
  }
};

// One image's rows [w][c] as floats, wherever and however they are stored; a row is good until the next is asked for.
template <typename T> struct Source {
  const T* data;
  int64_t size;
  std::vector<float> scratch;
  Source(const Tensor& x, int64_t image)
      : data(x.data_ptr<T>() + image * x.size(1) * x.size(2) * x.size(3)), size(x.size(2) * x.size(3)), scratch(size) {}
  const float* operator()(int64_t y) { return floats(data + y * size, size, scratch.data()); }
};

// Channels of a pixel come in `groups` of `each`, every group padded to whole vectors: the gate reads two aligned halves.
struct Layout {
  int64_t groups, each, pad;
  Layout(int64_t c, int64_t groups_) : groups(groups_), each(c / groups_), pad(padded(c / groups_)) {}
  int64_t wide() const { return groups * pad; }
  int64_t tight() const { return groups * each; }
};

template <typename T> void read_row(float* to, const T* from, int64_t w, const Layout& l) {
  for (int64_t x = 0; x < w; ++x)
    for (int64_t g = 0; g < l.groups; ++g) widen(to + x * l.wide() + g * l.pad, from + x * l.tight() + g * l.each, l.each);
}
template <typename T> void write_row(T* to, const float* from, int64_t w, const Layout& l) {
  for (int64_t x = 0; x < w; ++x)
    for (int64_t g = 0; g < l.groups; ++g) narrow(to + x * l.tight() + g * l.each, from + x * l.wide() + g * l.pad, l.each);
}
// weight [c, 1, 3, 3] → [9][wide]
inline std::vector<float> spread_weight(const Tensor& weight, const Layout& l) {
  const float* p = weight.data_ptr<float>();
  std::vector<float> out(9 * l.wide(), 0.f);
  for (int64_t g = 0; g < l.groups; ++g)
    for (int64_t i = 0; i < l.each; ++i)
      for (int64_t k = 0; k < 9; ++k) out[k * l.wide() + g * l.pad + i] = p[(g * l.each + i) * 9 + k];
  return out;
}

// R pixels of out[x] = bias + sum of the nine taps: neighbours share the taps and most of what is read
template <bool flip, int R> inline void convolve_pixels(float* out, const float* const rows[3], const float* weight, const float* bias, int64_t c) {
  for (int64_t v = 0; v < c; v += kLane) {
    vec acc[R];
    UNROLLED for (int r = 0; r < R; ++r) acc[r] = bias ? load(bias + v) : vec{};
    UNROLLED for (int i = 0; i < 3; ++i) {
      vec k[3];
      UNROLLED for (int j = 0; j < 3; ++j) k[j] = keep(load(weight + (flip ? 8 - 3 * i - j : 3 * i + j) * c + v));
      UNROLLED for (int p = 0; p < R + 2; ++p) {
        const vec d = keep(load(rows[i] + p * c + v));
        UNROLLED for (int j = 0; j < 3; ++j)
          if (p >= j && p - j < R) acc[p - j] += k[j] * d;
      }
    }
    UNROLLED for (int r = 0; r < R; ++r) store(out + r * c + v, acc[r]);
  }
}
// `flip` reads the taps backwards, which is the transposed convolution
template <bool flip> void convolve_row(float* out, const float* up, const float* mid, const float* low, const float* weight,
                                       const float* bias, int64_t w, int64_t c) {
  constexpr int64_t kTogether = 4;
  for (int64_t x = 0; x < w; x += kTogether) {
    const float* rows[3] = {up + x * c, mid + x * c, low + x * c};
    with_rows<kTogether>(std::min(kTogether, w - x), [&]<int R>() { convolve_pixels<flip, R>(out + x * c, rows, weight, bias, c); });
  }
}
// R pixels' share of grad[9][c]
template <int R> inline void accumulate_pixels(float* grad, const float* dy, const float* const rows[3], int64_t c) {
  for (int64_t v = 0; v < c; v += kLane) {
    vec d[R];
    UNROLLED for (int r = 0; r < R; ++r) d[r] = keep(load(dy + r * c + v));
    UNROLLED for (int i = 0; i < 3; ++i) {
      float* to = grad + 3 * i * c + v;
      vec acc[3];
      UNROLLED for (int j = 0; j < 3; ++j) acc[j] = load(to + j * c);
      UNROLLED for (int p = 0; p < R + 2; ++p) {
        const vec in = keep(load(rows[i] + p * c + v));
        UNROLLED for (int j = 0; j < 3; ++j)
          if (p >= j && p - j < R) acc[j] += d[p - j] * in;
      }
      UNROLLED for (int j = 0; j < 3; ++j) store(to + j * c, acc[j]);
    }
  }
}
// grad[9][c] += sum over x of dy[x] * input[x + tap]
inline void accumulate_weight(float* grad, const float* dy, const float* up, const float* mid, const float* low, int64_t w, int64_t c) {
  constexpr int64_t kTogether = 8;
  for (int64_t x = 0; x < w; x += kTogether) {
    const float* rows[3] = {up + x * c, mid + x * c, low + x * c};
    with_rows<kTogether>(std::min(kTogether, w - x), [&]<int R>() { accumulate_pixels<R>(grad, dy + x * c, rows, c); });
  }
}

// to[i] += from[i], whole vectors
inline void add_to(float* to, const float* from, int64_t n) {
  for (int64_t v = 0; v < n; v += kLane) store(to + v, load(to + v) + load(from + v));
}

// sum[c] += sum over rows of x
inline void add_rows(float* sum, const float* x, int64_t rows, int64_t c) {
  for (int64_t p = 0; p < rows; ++p)
    for (int64_t v = 0; v < c; v += kLane) store(sum + v, load(sum + v) + load(x + p * c + v));
}

// dweight [c, 1, 3, 3] from `count` bands' sums [9][wide], `stride` floats apart
inline void gather_weight(Tensor& dweight, const float* sums, int64_t stride, int64_t count, const Layout& l) {
  float* dw = dweight.data_ptr<float>();
  for (int64_t t = 0; t < count; ++t)
    for (int64_t g = 0; g < l.groups; ++g)
      for (int64_t e = 0; e < l.each; ++e)
        for (int64_t q = 0; q < 9; ++q) dw[(g * l.each + e) * 9 + q] += sums[t * stride + q * l.wide() + g * l.pad + e];
}

// f(task, image, first row, end row) over bands: whole images if they keep every thread busy, since a band's edges cost
// rows that its neighbours compute too.
struct Bands {
  int64_t n, h, each, per_image;
  Bands(int64_t n_, int64_t h_) : n(n_), h(h_) {
    const int64_t wanted = (at::get_num_threads() + n - 1) / n;
    each = std::max<int64_t>((h + wanted - 1) / wanted, 8);
    per_image = (h + each - 1) / each;
  }
  int64_t count() const { return n * per_image; }
  template <typename F> void run(F f) const {
    at::parallel_for(0, count(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) f(t, t / per_image, t % per_image * each, std::min(h, (t % per_image + 1) * each));
    });
  }
};

}  // namespace elfin
