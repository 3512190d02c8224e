// CPU kernels for the parts of ELF that are not matrix products: depthwise 3x3, the gated FFN's middle, channel
// attention. Channels-last, one pass forward and one or two back, float arithmetic whatever the storage.
//
// Work is cut into (image, band of rows); a band keeps the few rows it needs as floats in a ring, channels padded
// to whole vectors with zeros, so that inner loops are whole vectors. At 4x128^2 these passes took 60 % of a training step.

#include <torch/extension.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace {

using at::Tensor;
// A vector is one register, and kRows of them an accumulator block that leaves registers for its operands: on AVX2,
// vectors of two registers spilled everywhere and took 1.8 times as long as PyTorch's own kernels.
#ifdef __AVX512F__
constexpr int64_t kLane = 16, kRows = 4;
#else
constexpr int64_t kLane = 8, kRows = 2;
#endif
constexpr int64_t kBand = 32;

typedef float vec __attribute__((vector_size(kLane * sizeof(float))));
typedef int32_t ivec __attribute__((vector_size(kLane * sizeof(float))));

inline vec load(const float* p) { vec v; std::memcpy(&v, p, sizeof v); return v; }
inline void store(float* p, vec v) { std::memcpy(p, &v, sizeof v); }
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

// Phi(a) by Abramowitz & Stegun 7.1.26 (absolute error below 1.5e-7); also exp(-a^2/2)
inline vec normal_cdf(vec a, vec& bell) {
  vec z = a < 0.0f ? -a : a;
  bell = exp_neg(z * z * -0.5f);
  vec t = 1.0f / (1.0f + 0.3275911f * 0.70710678f * z);
  vec q = ((((1.061405429f * t - 1.453152027f) * t + 1.421413741f) * t - 0.284496736f) * t + 0.254829592f) * t;
  vec tail = 0.5f * q * bell;
  return a < 0.0f ? tail : 1.0f - tail;
}

// A buffer of rows [w + 2][c], found by row number modulo its length; the two edge columns stay zero.
struct Ring {
  int64_t rows, w, c;
  std::vector<float> data;
  Ring(int64_t rows_, int64_t w_, int64_t c_) : rows(rows_), w(w_), c(c_), data(rows_ * (w_ + 2) * c_, 0.f) {}
  float* row(int64_t y) { return data.data() + ((y % rows + rows) % rows) * (w + 2) * c; }
  float* inner(int64_t y) { return row(y) + c; }
  void clear(int64_t y) { std::memset(inner(y), 0, sizeof(float) * w * c); }
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
std::vector<float> spread_weight(const Tensor& weight, const Layout& l) {
  const float* p = weight.data_ptr<float>();
  std::vector<float> out(9 * l.wide(), 0.f);
  for (int64_t g = 0; g < l.groups; ++g)
    for (int64_t i = 0; i < l.each; ++i)
      for (int64_t k = 0; k < 9; ++k) out[k * l.wide() + g * l.pad + i] = p[(g * l.each + i) * 9 + k];
  return out;
}

// out[x] = bias + sum of the nine taps; `flip` reads the taps backwards, which is the transposed convolution
template <bool flip> void convolve_row(float* out, const float* up, const float* mid, const float* low, const float* weight,
                                       const float* bias, int64_t w, int64_t c) {
  const float* rows[3] = {up, mid, low};
  for (int64_t v = 0; v < c; v += kLane) {
    vec k[9];
    for (int i = 0; i < 9; ++i) k[i] = load(weight + (flip ? 8 - i : i) * c + v);
    const vec start = bias ? load(bias + v) : vec{};
    for (int64_t x = 0; x < w; ++x) {
      vec acc = start;
      for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j) acc += k[3 * i + j] * load(rows[i] + (x + j) * c + v);
      store(out + x * c + v, acc);
    }
  }
}
// grad[9][c] += sum over x of dy[x] * input[x + tap]
void accumulate_weight(float* grad, const float* dy, const float* up, const float* mid, const float* low, int64_t w, int64_t c) {
  const float* rows[3] = {up, mid, low};
  for (int64_t v = 0; v < c; v += kLane) {
    vec acc[9];
    for (int i = 0; i < 9; ++i) acc[i] = load(grad + i * c + v);
    for (int64_t x = 0; x < w; ++x) {
      const vec d = load(dy + x * c + v);
      for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j) acc[3 * i + j] += d * load(rows[i] + (x + j) * c + v);
    }
    for (int i = 0; i < 9; ++i) store(grad + i * c + v, acc[i]);
  }
}

template <typename F> void for_bands(int64_t n, int64_t h, F f) {
  const int64_t bands = (h + kBand - 1) / kBand;
  at::parallel_for(0, n * bands, 1, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) f(t, t / bands, (t % bands) * kBand, std::min(h, (t % bands + 1) * kBand));
  });
}

// gelu(a) * b of one row held as [w][2][pad] → [w][each]
template <typename T> void gate_row(T* out, const float* y, int64_t w, const Layout& l) {
  std::vector<float> g(l.pad);
  for (int64_t x = 0; x < w; ++x, y += l.wide()) {
    for (int64_t v = 0; v < l.pad; v += kLane) {
      const vec a = load(y + v);
      vec bell;
      store(g.data() + v, a * normal_cdf(a, bell) * load(y + l.pad + v));
    }
    narrow(out + x * l.each, g.data(), l.each);
  }
}
// y becomes d(loss)/dy, given d(loss)/d(gelu(a) b)
template <typename T> void gate_row_back(float* y, const T* grad, int64_t w, const Layout& l) {
  std::vector<float> g(l.pad, 0.f);
  for (int64_t x = 0; x < w; ++x, y += l.wide()) {
    widen(g.data(), grad + x * l.each, l.each);
    for (int64_t v = 0; v < l.pad; v += kLane) {
      const vec a = load(y + v), b = load(y + l.pad + v), d = load(g.data() + v);
      vec bell;
      const vec cdf = normal_cdf(a, bell);
      store(y + v, d * b * (cdf + a * bell * 0.39894228f));
      store(y + l.pad + v, d * a * cdf);
    }
  }
}

// x [n, h, w, c] → depthwise(x) + bias, or its gate (then [n, h, w, c/2])
template <typename T> void forward_bands(const Tensor& x, const Tensor& weight, const float* bias, Tensor& out, bool gate) {
  const int64_t n = x.size(0), h = x.size(1), w = x.size(2);
  const Layout l(x.size(3), gate ? 2 : 1);
  const auto k = spread_weight(weight, l);
  std::vector<float> b(l.wide(), 0.f);
  if (bias) std::copy(bias, bias + l.tight(), b.begin());
  const T* in = x.data_ptr<T>();
  T* to = out.data_ptr<T>();
  const int64_t step_out = w * out.size(3);
  for_bands(n, h, [&](int64_t, int64_t i, int64_t y0, int64_t y1) {
    Ring ring(3, w, l.wide());
    std::vector<float> row(w * l.wide());
    auto fetch = [&](int64_t y) {
      if (y < 0 || y >= h) ring.clear(y);
      else read_row(ring.inner(y), in + (i * h + y) * w * l.tight(), w, l);
    };
    fetch(y0 - 1);
    fetch(y0);
    for (int64_t y = y0; y < y1; ++y) {
      fetch(y + 1);
      convolve_row<false>(row.data(), ring.row(y - 1), ring.row(y), ring.row(y + 1), k.data(), bias ? b.data() : nullptr, w, l.wide());
      T* o = to + (i * h + y) * step_out;
      if (gate) gate_row(o, row.data(), w, l);
      else write_row(o, row.data(), w, l);
    }
  });
}

template <typename T> void backward_bands(const Tensor& grad, const Tensor& x, const Tensor& weight, Tensor& dx, Tensor& dweight,
                                          Tensor* dbias, bool gate) {
  const int64_t n = x.size(0), h = x.size(1), w = x.size(2);
  const Layout l(x.size(3), gate ? 2 : 1);
  const int64_t c = l.wide(), bands = n * ((h + kBand - 1) / kBand);
  const auto k = spread_weight(weight, l);
  std::vector<float> sums(bands * 10 * c, 0.f);
  const T* in = x.data_ptr<T>();
  const T* g = grad.data_ptr<T>();
  T* out = dx.data_ptr<T>();
  for_bands(n, h, [&](int64_t t, int64_t i, int64_t y0, int64_t y1) {
    Ring ring(3, w, c), dys(3, w, c);
    std::vector<float> row(w * c);
    float* sum = sums.data() + t * 10 * c;
    auto fetch = [&](int64_t y) {
      if (y < 0 || y >= h) ring.clear(y);
      else read_row(ring.inner(y), in + (i * h + y) * w * l.tight(), w, l);
    };
    auto derive = [&](int64_t y) {  // row y of d(loss)/d(convolution); needs rows y−1 to y+1 of x
      float* d = dys.inner(y);
      if (y < 0 || y >= h) return dys.clear(y);
      const T* from = g + (i * h + y) * w * (gate ? l.each : l.tight());
      if (gate) {
        convolve_row<false>(d, ring.row(y - 1), ring.row(y), ring.row(y + 1), k.data(), nullptr, w, c);
        gate_row_back(d, from, w, l);
      } else {
        read_row(d, from, w, l);
      }
      if (y < y0 || y >= y1) return;  // a halo row: its own band counts it
      accumulate_weight(sum, d, ring.row(y - 1), ring.row(y), ring.row(y + 1), w, c);
      if (dbias)
        for (int64_t p = 0; p < w; ++p)
          for (int64_t v = 0; v < c; v += kLane) store(sum + 9 * c + v, load(sum + 9 * c + v) + load(d + p * c + v));
    };
    fetch(y0 - 2);
    fetch(y0 - 1);
    fetch(y0);
    derive(y0 - 1);
    fetch(y0 + 1);
    derive(y0);
    for (int64_t y = y0; y < y1; ++y) {
      fetch(y + 2);
      derive(y + 1);
      convolve_row<true>(row.data(), dys.row(y - 1), dys.row(y), dys.row(y + 1), k.data(), nullptr, w, c);
      write_row(out + (i * h + y) * w * l.tight(), row.data(), w, l);
    }
  });
  float* dw = dweight.data_ptr<float>();
  for (int64_t t = 0; t < bands; ++t)
    for (int64_t gr = 0; gr < l.groups; ++gr)
      for (int64_t e = 0; e < l.each; ++e) {
        const float* s = sums.data() + t * 10 * c + gr * l.pad + e;
        for (int64_t q = 0; q < 9; ++q) dw[(gr * l.each + e) * 9 + q] += s[q * c];
        if (dbias) dbias->data_ptr<float>()[gr * l.each + e] += s[9 * c];
      }
}

#define DISPATCH(tensor, ...)                                                       \
  if ((tensor).scalar_type() == at::kBFloat16) { using T = at::BFloat16; __VA_ARGS__; } \
  else if ((tensor).scalar_type() == at::kFloat) { using T = float; __VA_ARGS__; }  \
  else TORCH_CHECK(false, "float32 or bfloat16 expected")

Tensor depthwise(const Tensor& x, const Tensor& weight, const c10::optional<Tensor>& bias, bool gate) {
  TORCH_CHECK(x.is_contiguous() && weight.is_contiguous(), "contiguous [n, h, w, c] expected");
  auto sizes = x.sizes().vec();
  if (gate) sizes[3] /= 2;
  Tensor out = at::empty(sizes, x.options());
  const float* b = bias ? bias->data_ptr<float>() : nullptr;
  DISPATCH(x, forward_bands<T>(x, weight, b, out, gate));
  return out;
}

std::vector<Tensor> depthwise_back(const Tensor& grad, const Tensor& x, const Tensor& weight, bool has_bias, bool gate) {
  TORCH_CHECK(grad.is_contiguous() && grad.scalar_type() == x.scalar_type(), "gradient of the output's type expected");
  Tensor dx = at::empty_like(x), dw = at::zeros_like(weight);
  Tensor db = has_bias ? at::zeros({weight.size(0)}, weight.options()) : Tensor();
  DISPATCH(x, backward_bands<T>(grad, x, weight, dx, dw, has_bias ? &db : nullptr, gate));
  return {dx, dw, db};
}

// ---- pointwise: a 1x1 convolution is Y = X Wᵀ with few columns and many rows, the shape that general matrix products
// do worst; on AVX2 this equals PyTorch's convolution (which copies to columns first) and beats its MKL product on a Zen core

constexpr int64_t kPixels = 96;             // rows of X held as floats, a multiple of every block below
constexpr int64_t kTile = kRows == 4 ? 8 : 6;  // rows of an accumulator block of two vectors; with its operands it fills the registers
constexpr int64_t kWide = 2 * kLane;

inline int64_t panels(int64_t c) { return (c + kWide - 1) / kWide * kWide; }

// matrix [rows][cols], or its transpose, → [panel][rows][kWide], zeros beyond cols
std::vector<float> pack(const float* m, int64_t rows, int64_t cols, bool transposed) {
  std::vector<float> out(panels(cols) * rows, 0.f);
  for (int64_t j = 0; j < cols; ++j)
    for (int64_t i = 0; i < rows; ++i) out[(j / kWide * rows + i) * kWide + j % kWide] = transposed ? m[j * rows + i] : m[i * cols + j];
  return out;
}

// out[p][j] = start[j] + sum_i a[p][i] b[i][j] for kTile rows and one panel of b
inline void tile_product(float* out, int64_t out_stride, const float* a, int64_t a_stride, const float* b, const float* start, int64_t depth) {
  vec s[kTile][2];
  for (int t = 0; t < kTile; ++t)
    for (int v = 0; v < 2; ++v) s[t][v] = start ? load(start + v * kLane) : vec{};
  for (int64_t i = 0; i < depth; ++i) {
    const vec b0 = load(b + i * kWide), b1 = load(b + i * kWide + kLane);
    for (int t = 0; t < kTile; ++t) {
      const float x = a[t * a_stride + i];
      s[t][0] += x * b0;
      s[t][1] += x * b1;
    }
  }
  for (int t = 0; t < kTile; ++t)
    for (int v = 0; v < 2; ++v) store(out + t * out_stride + v * kLane, s[t][v]);
}

// acc[i][j] += sum over rows of a[p][i] b[p][j], a block of kTile × one panel
inline void tile_outer(float* acc, int64_t acc_stride, const float* a, int64_t a_stride, const float* b, int64_t b_stride, int64_t rows) {
  vec s[kTile][2];
  for (int t = 0; t < kTile; ++t)
    for (int v = 0; v < 2; ++v) s[t][v] = load(acc + t * acc_stride + v * kLane);
  for (int64_t p = 0; p < rows; ++p) {
    const vec b0 = load(b + p * b_stride), b1 = load(b + p * b_stride + kLane);
    for (int t = 0; t < kTile; ++t) {
      const float x = a[p * a_stride + t];
      s[t][0] += x * b0;
      s[t][1] += x * b1;
    }
  }
  for (int t = 0; t < kTile; ++t)
    for (int v = 0; v < 2; ++v) store(acc + t * acc_stride + v * kLane, s[t][v]);
}

// rows [rows][c] → floats [kPixels][stride], zeros beyond
template <typename T> void read_block(float* to, const T* from, int64_t rows, int64_t c, int64_t stride) {
  for (int64_t p = 0; p < rows; ++p) widen(to + p * stride, from + p * c, c);
  if (rows < kPixels) std::memset(to + rows * stride, 0, sizeof(float) * (kPixels - rows) * stride);
}
template <typename T> void multiply_block(T* out, float* scratch, const float* a, int64_t a_stride, const std::vector<float>& packed,
                                          const float* start, int64_t depth, int64_t cols, int64_t rows) {
  const int64_t wide = panels(cols);
  for (int64_t j = 0; j < wide; j += kWide)
    for (int64_t p = 0; p < rows; p += kTile)
      tile_product(scratch + p * wide + j, wide, a + p * a_stride, a_stride, packed.data() + j * depth, start ? start + j : nullptr, depth);
  for (int64_t p = 0; p < rows; ++p) narrow(out + p * cols, scratch + p * wide, cols);
}

template <typename T> void pointwise_forward(const Tensor& x, const Tensor& weight, const float* bias, Tensor& out) {
  const int64_t k = x.size(1), n = out.size(1), pixels = x.size(0);
  const auto packed = pack(weight.data_ptr<float>(), k, n, true);
  std::vector<float> start(panels(n), 0.f);
  if (bias) std::copy(bias, bias + n, start.begin());
  at::parallel_for(0, (pixels + kPixels - 1) / kPixels, 4, [&](int64_t begin, int64_t end) {
    std::vector<float> a(kPixels * k), y(kPixels * panels(n));
    for (int64_t t = begin; t < end; ++t) {
      const int64_t rows = std::min(kPixels, pixels - t * kPixels);
      read_block(a.data(), x.data_ptr<T>() + t * kPixels * k, rows, k, k);
      multiply_block(out.data_ptr<T>() + t * kPixels * n, y.data(), a.data(), k, packed, start.data(), k, n, rows);
    }
  });
}

template <typename T> void pointwise_backward(const Tensor& grad, const Tensor& x, const Tensor& weight, Tensor& dx, Tensor& dweight, Tensor* dbias) {
  const int64_t k = x.size(1), n = grad.size(1), pixels = x.size(0), blocks = (pixels + kPixels - 1) / kPixels;
  const int64_t k_wide = panels(k), n_high = (n + kTile - 1) / kTile * kTile, parts = std::min<int64_t>(at::get_num_threads(), blocks);
  const auto packed = pack(weight.data_ptr<float>(), n, k, false);
  std::vector<float> sums(parts * n_high * (k_wide + 1), 0.f);
  at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> a(kPixels * k_wide), g(kPixels * n_high), y(kPixels * k_wide);
    for (int64_t part = begin; part < end; ++part) {
      float* acc = sums.data() + part * n_high * (k_wide + 1);
      float* total = acc + n_high * k_wide;
      for (int64_t t = part; t < blocks; t += parts) {
        const int64_t rows = std::min(kPixels, pixels - t * kPixels);
        read_block(a.data(), x.data_ptr<T>() + t * kPixels * k, rows, k, k_wide);
        read_block(g.data(), grad.data_ptr<T>() + t * kPixels * n, rows, n, n_high);
        for (int64_t j = 0; j < k_wide; j += kWide)
          for (int64_t i = 0; i < n_high; i += kTile)
            tile_outer(acc + i * k_wide + j, k_wide, g.data() + i, n_high, a.data() + j, k_wide, rows);
        if (dbias)
          for (int64_t p = 0; p < rows; ++p)
            for (int64_t i = 0; i < n; ++i) total[i] += g[p * n_high + i];
        multiply_block(dx.data_ptr<T>() + t * kPixels * k, y.data(), g.data(), n_high, packed, nullptr, n, k, rows);
      }
    }
  });
  float* dw = dweight.data_ptr<float>();
  for (int64_t part = 0; part < parts; ++part) {
    const float* acc = sums.data() + part * n_high * (k_wide + 1);
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < k; ++j) dw[i * k + j] += acc[i * k_wide + j];
      if (dbias) dbias->data_ptr<float>()[i] += acc[n_high * k_wide + i];
    }
  }
}

// x [pixels, cin], weight [cout, cin, 1, 1] → [pixels, cout]
Tensor pointwise(const Tensor& x, const Tensor& weight, const c10::optional<Tensor>& bias) {
  TORCH_CHECK(x.is_contiguous() && weight.is_contiguous(), "contiguous [pixels, c] expected");
  Tensor out = at::empty({x.size(0), weight.size(0)}, x.options());
  DISPATCH(x, pointwise_forward<T>(x, weight, bias ? bias->data_ptr<float>() : nullptr, out));
  return out;
}

std::vector<Tensor> pointwise_back(const Tensor& grad, const Tensor& x, const Tensor& weight, bool has_bias) {
  TORCH_CHECK(grad.is_contiguous() && grad.scalar_type() == x.scalar_type(), "gradient of the output's type expected");
  Tensor dx = at::empty_like(x), dw = at::zeros_like(weight);
  Tensor db = has_bias ? at::zeros({weight.size(0)}, weight.options()) : Tensor();
  DISPATCH(x, pointwise_backward<T>(grad, x, weight, dx, dw, has_bias ? &db : nullptr));
  return {dx, dw, db};
}

// ---- channel attention: y = residual + v M, M[j][o] = sum_i project[o][i] A[i][j], A = softmax(t * cosine(q_i, k_j))

constexpr int64_t kBlock = 64;  // pixels widened at a time

// acc[i][j] += sum over `rows` pixels of a[p][i] b[p][j]
template <int V> void outer_sum(float* acc, const float* a, const float* b, int64_t rows, int64_t c) {
  for (int64_t i = 0; i < c; i += kRows) {
    vec s[kRows][V];
    for (int t = 0; t < kRows; ++t)
      for (int v = 0; v < V; ++v) s[t][v] = load(acc + (i + t) * c + v * kLane);
    for (int64_t p = 0; p < rows; ++p) {
      vec bv[V];
      for (int v = 0; v < V; ++v) bv[v] = load(b + p * c + v * kLane);
      for (int t = 0; t < kRows; ++t) {
        const float at_i = a[p * c + i + t];
        for (int v = 0; v < V; ++v) s[t][v] += at_i * bv[v];
      }
    }
    for (int t = 0; t < kRows; ++t)
      for (int v = 0; v < V; ++v) store(acc + (i + t) * c + v * kLane, s[t][v]);
  }
}
// out[p][o] = base[p][o] + sum_j a[p][j] m[j][o]
template <int V> void times_matrix(float* out, const float* base, const float* a, const float* m, int64_t rows, int64_t c) {
  for (int64_t p = 0; p < rows; p += kRows) {
    vec s[kRows][V];
    for (int t = 0; t < kRows; ++t)
      for (int v = 0; v < V; ++v) s[t][v] = base ? load(base + (p + t) * c + v * kLane) : vec{};
    for (int64_t j = 0; j < c; ++j)
      for (int t = 0; t < kRows; ++t) {
        const float w = a[(p + t) * c + j];
        for (int v = 0; v < V; ++v) s[t][v] += w * load(m + j * c + v * kLane);
      }
    for (int t = 0; t < kRows; ++t)
      for (int v = 0; v < V; ++v) store(out + (p + t) * c + v * kLane, s[t][v]);
  }
}

// One image's small matrices. c×c each, zero outside the heads' blocks.
struct Heads {
  int64_t c, heads, d;
  std::vector<float> cosine, prob, m, rq, rk;
  Heads(int64_t c_, int64_t heads_) : c(c_), heads(heads_), d(c_ / heads_), cosine(c_ * c_), prob(c_ * c_), m(c_ * c_), rq(c_), rk(c_) {}
  void build(const float* gram, const float* qq, const float* kk, const float* temperature, const float* project) {
    for (int64_t i = 0; i < c; ++i) {  // as F.normalize: the norm is at least 1e-12
      rq[i] = 1.f / std::sqrt(std::max(qq[i], 1e-24f));
      rk[i] = 1.f / std::sqrt(std::max(kk[i], 1e-24f));
    }
    for (int64_t i = 0; i < c; ++i) {
      const int64_t b = i / d * d;
      const float t = temperature[i / d];
      float top = -INFINITY, sum = 0;
      for (int64_t j = b; j < b + d; ++j) {
        cosine[i * c + j] = gram[i * c + j] * rq[i] * rk[j];
        top = std::max(top, t * cosine[i * c + j]);
      }
      for (int64_t j = b; j < b + d; ++j) sum += prob[i * c + j] = std::exp(t * cosine[i * c + j] - top);
      for (int64_t j = b; j < b + d; ++j) prob[i * c + j] /= sum;
    }
    for (int64_t i = 0; i < c; ++i)
      for (int64_t j = i / d * d; j < (i / d + 1) * d; ++j)
        for (int64_t o = 0; o < c; ++o) m[j * c + o] += project[o * c + i] * prob[i * c + j];
  }
};

template <typename T, int V> void attention_forward(const Tensor& qkv, const Tensor& residual, const Tensor& temperature,
                                                    const Tensor& project, Tensor& out, Tensor& saved) {
  const int64_t n = qkv.size(0), pixels = qkv.size(1), c = V * kLane, blocks = pixels / kBlock;
  const T* in = qkv.data_ptr<T>();
  const T* res = residual.data_ptr<T>();
  T* to = out.data_ptr<T>();
  const int64_t parts = std::min<int64_t>(blocks, 8);
  const int64_t size = c * c + 2 * c;  // gram, |q|², |k|²
  std::vector<float> partial(n * parts * size, 0.f);
  at::parallel_for(0, n * parts, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> q(kBlock * c), k(kBlock * c);
    for (int64_t t = begin; t < end; ++t) {
      float* acc = partial.data() + t * size;
      for (int64_t b = t % parts; b < blocks; b += parts) {
        const T* from = in + (t / parts * pixels + b * kBlock) * 3 * c;
        for (int64_t p = 0; p < kBlock; ++p) {
          widen(q.data() + p * c, from + p * 3 * c, c);
          widen(k.data() + p * c, from + p * 3 * c + c, c);
          for (int64_t v = 0; v < c; v += kLane) {
            const vec a = load(q.data() + p * c + v), e = load(k.data() + p * c + v);
            store(acc + c * c + v, load(acc + c * c + v) + a * a);
            store(acc + c * c + c + v, load(acc + c * c + c + v) + e * e);
          }
        }
        outer_sum<V>(acc, q.data(), k.data(), kBlock, c);
      }
    }
  });
  float* save = saved.data_ptr<float>();
  std::vector<Heads> heads(n, Heads(c, temperature.numel()));
  for (int64_t i = 0; i < n; ++i) {
    float* s = save + i * size;
    std::memset(s, 0, sizeof(float) * size);
    for (int64_t t = 0; t < parts; ++t)
      for (int64_t e = 0; e < size; ++e) s[e] += partial[(i * parts + t) * size + e];
    heads[i].build(s, s + c * c, s + c * c + c, temperature.data_ptr<float>(), project.data_ptr<float>());
  }
  at::parallel_for(0, n * blocks, 4, [&](int64_t begin, int64_t end) {
    std::vector<float> v(kBlock * c), r(kBlock * c);
    for (int64_t t = begin; t < end; ++t) {
      const T* from = in + t * kBlock * 3 * c + 2 * c;
      for (int64_t p = 0; p < kBlock; ++p) widen(v.data() + p * c, from + p * 3 * c, c);
      widen(r.data(), res + t * kBlock * c, kBlock * c);
      times_matrix<V>(r.data(), r.data(), v.data(), heads[t / blocks].m.data(), kBlock, c);
      narrow(to + t * kBlock * c, r.data(), kBlock * c);
    }
  });
}

template <typename T, int V> void attention_backward(const Tensor& grad, const Tensor& qkv, const Tensor& saved, const Tensor& temperature,
                                                     const Tensor& project, Tensor& dqkv, Tensor& dtemperature, Tensor& dproject) {
  const int64_t n = qkv.size(0), pixels = qkv.size(1), c = V * kLane, blocks = pixels / kBlock, heads_n = temperature.numel();
  const int64_t size = c * c + 2 * c, parts = std::min<int64_t>(blocks, 8);
  const T* in = qkv.data_ptr<T>();
  const T* g = grad.data_ptr<T>();
  T* to = dqkv.data_ptr<T>();
  std::vector<float> partial(n * parts * c * c, 0.f);
  at::parallel_for(0, n * parts, 1, [&](int64_t begin, int64_t end) {  // dM = sum_p v[p]ᵀ dy[p]
    std::vector<float> v(kBlock * c), dy(kBlock * c);
    for (int64_t t = begin; t < end; ++t)
      for (int64_t b = t % parts; b < blocks; b += parts) {
        const int64_t at = t / parts * pixels + b * kBlock;
        for (int64_t p = 0; p < kBlock; ++p) widen(v.data() + p * c, in + (at + p) * 3 * c + 2 * c, c);
        widen(dy.data(), g + at * c, kBlock * c);
        outer_sum<V>(partial.data() + t * c * c, v.data(), dy.data(), kBlock, c);
      }
  });
  // per image: Mᵀ for dv, dGram and its transpose for dq and dk, 2·d|q|² and 2·d|k|²
  struct Small { std::vector<float> mt, dg, dgt, dqq, dkk; };
  std::vector<Small> small(n);
  const float* temp = temperature.data_ptr<float>();
  const float* proj = project.data_ptr<float>();
  float* dt = dtemperature.data_ptr<float>();
  float* dp = dproject.data_ptr<float>();
  const int64_t d = c / heads_n;
  for (int64_t i = 0; i < n; ++i) {
    const float* gram = saved.data_ptr<float>() + i * size;
    Heads h(c, heads_n);
    h.build(gram, gram + c * c, gram + c * c + c, temp, proj);
    std::vector<float> dm(c * c, 0.f);
    for (int64_t t = 0; t < parts; ++t)
      for (int64_t e = 0; e < c * c; ++e) dm[e] += partial[(i * parts + t) * c * c + e];
    Small s{std::vector<float>(c * c), std::vector<float>(c * c, 0.f), std::vector<float>(c * c, 0.f), std::vector<float>(c, 0.f),
            std::vector<float>(c, 0.f)};
    for (int64_t j = 0; j < c; ++j)
      for (int64_t o = 0; o < c; ++o) s.mt[o * c + j] = h.m[j * c + o];
    std::vector<float> da(d);
    for (int64_t a = 0; a < c; ++a) {
      const int64_t b = a / d * d;
      float dot = 0;
      for (int64_t j = b; j < b + d; ++j) {
        float sum = 0;
        for (int64_t o = 0; o < c; ++o) {
          sum += proj[o * c + a] * dm[j * c + o];
          dp[o * c + a] += h.prob[a * c + j] * dm[j * c + o];
        }
        da[j - b] = sum;
        dot += sum * h.prob[a * c + j];
      }
      for (int64_t j = b; j < b + d; ++j) {
        const float dl = h.prob[a * c + j] * (da[j - b] - dot);
        dt[a / d] += dl * h.cosine[a * c + j];
        const float ds = dl * temp[a / d];
        s.dg[a * c + j] = s.dgt[j * c + a] = ds * h.rq[a] * h.rk[j];
        // d(1/|q|) = −|q|⁻³ q dq: twice d|q|², so that dq += q · dqq
        s.dqq[a] -= ds * h.cosine[a * c + j] * h.rq[a] * h.rq[a];
        s.dkk[j] -= ds * h.cosine[a * c + j] * h.rk[j] * h.rk[j];
      }
    }
    small[i] = std::move(s);
  }
  at::parallel_for(0, n * blocks, 4, [&](int64_t begin, int64_t end) {
    std::vector<float> q(kBlock * c), k(kBlock * c), dy(kBlock * c), base(kBlock * c), o(kBlock * c);
    for (int64_t t = begin; t < end; ++t) {
      const Small& s = small[t / blocks];
      const T* from = in + t * kBlock * 3 * c;
      T* back = to + t * kBlock * 3 * c;
      for (int64_t p = 0; p < kBlock; ++p) {
        widen(q.data() + p * c, from + p * 3 * c, c);
        widen(k.data() + p * c, from + p * 3 * c + c, c);
      }
      widen(dy.data(), g + t * kBlock * c, kBlock * c);
      for (int64_t p = 0; p < kBlock; ++p)
        for (int64_t v = 0; v < c; ++v) base[p * c + v] = q[p * c + v] * s.dqq[v];
      times_matrix<V>(o.data(), base.data(), k.data(), s.dgt.data(), kBlock, c);
      for (int64_t p = 0; p < kBlock; ++p) narrow(back + p * 3 * c, o.data() + p * c, c);
      for (int64_t p = 0; p < kBlock; ++p)
        for (int64_t v = 0; v < c; ++v) base[p * c + v] = k[p * c + v] * s.dkk[v];
      times_matrix<V>(o.data(), base.data(), q.data(), s.dg.data(), kBlock, c);
      for (int64_t p = 0; p < kBlock; ++p) narrow(back + p * 3 * c + c, o.data() + p * c, c);
      times_matrix<V>(o.data(), nullptr, dy.data(), s.mt.data(), kBlock, c);
      for (int64_t p = 0; p < kBlock; ++p) narrow(back + p * 3 * c + 2 * c, o.data() + p * c, c);
    }
  });
}

#define BY_WIDTH(c, ...)                                              \
  if ((c) == 16) { constexpr int V = 16 / kLane; __VA_ARGS__; }                \
  else if ((c) == 32) { constexpr int V = 32 / kLane; __VA_ARGS__; }           \
  else if ((c) == 48) { constexpr int V = 48 / kLane; __VA_ARGS__; }           \
  else TORCH_CHECK(false, "16, 32 or 48 channels expected")

std::vector<Tensor> attention(const Tensor& qkv, const Tensor& residual, const Tensor& temperature, const Tensor& project) {
  const int64_t n = qkv.size(0), c = qkv.size(2) / 3;
  TORCH_CHECK(qkv.is_contiguous() && residual.is_contiguous() && project.is_contiguous() && qkv.size(1) % kBlock == 0 &&
              residual.scalar_type() == qkv.scalar_type(), "contiguous [n, pixels, c] of one type, pixels in 64s, expected");
  Tensor out = at::empty_like(residual), saved = at::empty({n, c * c + 2 * c}, temperature.options());
  DISPATCH(qkv, BY_WIDTH(c, attention_forward<T, V>(qkv, residual, temperature, project, out, saved)));
  return {out, saved};
}

std::vector<Tensor> attention_back(const Tensor& grad, const Tensor& qkv, const Tensor& saved, const Tensor& temperature, const Tensor& project) {
  TORCH_CHECK(grad.is_contiguous() && grad.scalar_type() == qkv.scalar_type(), "gradient of the output's type expected");
  const int64_t c = qkv.size(2) / 3;
  Tensor dqkv = at::empty_like(qkv), dt = at::zeros_like(temperature), dp = at::zeros_like(project);
  DISPATCH(qkv, BY_WIDTH(c, attention_backward<T, V>(grad, qkv, saved, temperature, project, dqkv, dt, dp)));
  return {dqkv, dt, dp};
}

}  // namespace

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("depthwise", &depthwise);
  m.def("depthwise_back", &depthwise_back);
  m.def("pointwise", &pointwise);
  m.def("pointwise_back", &pointwise_back);
  m.def("attention", &attention);
  m.def("attention_back", &attention_back);
}
