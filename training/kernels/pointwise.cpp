// 1x1 convolutions, and the weight gradient of dense 3x3 ones (PyTorch's own reaches half the speed of its forward pass).

#include "kernels.h"
#include "product.h"
#include "rows.h"

namespace elfin {
namespace {

constexpr int64_t kPixels = 96;  // rows at a time

// product() into storage of T: straight where it is floats in whole vectors
template <typename T> void product_to(T* out, int64_t cols, float* scratch, const float* a, int64_t depth, const Packed& b, int64_t rows,
                                      const float* start) {
  if constexpr (std::is_same_v<T, float>) {
    if (b.cols == cols) return product(out, cols, a, depth, b, rows, start);
  }
  product(scratch, b.cols, a, depth, b, rows, start);
  for (int64_t p = 0; p < rows; ++p) narrow(out + p * cols, scratch + p * b.cols, cols);
}

template <typename T> void forward(const Tensor& x, const Tensor& weight, const float* bias, Tensor& out) {
  const int64_t k = x.size(1), n = out.size(1), pixels = x.size(0);
  const float* wt = weight.data_ptr<float>();
  const Packed b(k, padded(n), [&](int64_t i, int64_t j) { return j < n ? wt[j * k + i] : 0.f; });
  std::vector<float> start(padded(n), 0.f);
  if (bias) std::copy(bias, bias + n, start.begin());
  at::parallel_for(0, (pixels + kPixels - 1) / kPixels, 4, [&](int64_t begin, int64_t end) {
    std::vector<float> a(kPixels * k), y(kPixels * padded(n));
    for (int64_t t = begin; t < end; ++t) {
      const int64_t rows = std::min(kPixels, pixels - t * kPixels);
      const float* from = floats(x.data_ptr<T>() + t * kPixels * k, rows * k, a.data());
      product_to(out.data_ptr<T>() + t * kPixels * n, n, y.data(), from, k, b, rows, bias ? start.data() : nullptr);
    }
  });
}

template <typename T> void backward(const Tensor& grad, const Tensor& x, const Tensor& weight, Tensor& dx, Tensor& dweight, Tensor* dbias) {
  const int64_t k = x.size(1), n = grad.size(1), pixels = x.size(0), blocks = (pixels + kPixels - 1) / kPixels, wide = padded(k);
  const int64_t parts = std::min<int64_t>(at::get_num_threads(), blocks), size = n * (wide + 1);
  const float* wt = weight.data_ptr<float>();
  const Packed b(n, wide, [&](int64_t i, int64_t j) { return j < k ? wt[i * k + j] : 0.f; });
  std::vector<float> sums(parts * size, 0.f);
  at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> a(kPixels * wide, 0.f), g(kPixels * n), y(kPixels * wide);
    for (int64_t part = begin; part < end; ++part) {
      float* acc = sums.data() + part * size;
      float* total = acc + n * wide;
      for (int64_t t = part; t < blocks; t += parts) {
        const int64_t rows = std::min(kPixels, pixels - t * kPixels);
        const T* at = x.data_ptr<T>() + t * kPixels * k;
        const float* in = a.data();
        if (wide == k) in = floats(at, rows * k, a.data());
        else for (int64_t p = 0; p < rows; ++p) widen(a.data() + p * wide, at + p * k, k);
        const float* d = floats(grad.data_ptr<T>() + t * kPixels * n, rows * n, g.data());
        outer(acc, d, n, n, in, wide, wide, rows);
        if (dbias)
          for (int64_t p = 0; p < rows; ++p)
            for (int64_t i = 0; i < n; ++i) total[i] += d[p * n + i];
        product_to<T>(dx.data_ptr<T>() + t * kPixels * k, k, y.data(), d, n, b, rows, nullptr);
      }
    }
  });
  float* dw = dweight.data_ptr<float>();
  for (int64_t part = 0; part < parts; ++part) {
    const float* acc = sums.data() + part * size;
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < k; ++j) dw[i * k + j] += acc[i * wide + j];
      if (dbias) dbias->data_ptr<float>()[i] += acc[n * wide + i];
    }
  }
}

template <typename T> void conv3_sums(const Tensor& grad, const Tensor& x, Tensor& dweight) {
  const int64_t h = x.size(1), w = x.size(2), c = x.size(3), n = grad.size(3);
  const Bands bands(x.size(0), h);
  std::vector<float> sums(bands.count() * 9 * n * c, 0.f);
  const T* in = x.data_ptr<T>();
  bands.run([&](int64_t t, int64_t i, int64_t y0, int64_t y1) {
    Ring ring(3, w, c);
    Source<T> grad_row(grad, i);
    auto fetch = [&](int64_t y) { ring.fetch(y, h, [&](float* row) { widen(row, in + (i * h + y) * w * c, w * c); }); };
    fetch(y0 - 1);
    fetch(y0);
    for (int64_t y = y0; y < y1; ++y) {
      fetch(y + 1);
      const float* d = grad_row(y);
      for (int64_t tap = 0; tap < 9; ++tap) outer(sums.data() + (t * 9 + tap) * n * c, d, n, n, ring.row(y + tap / 3 - 1) + tap % 3 * c, c, c, w);
    }
  });
  float* dw = dweight.data_ptr<float>();
  for (int64_t t = 0; t < bands.count(); ++t)
    for (int64_t tap = 0; tap < 9; ++tap)
      for (int64_t e = 0; e < n * c; ++e) dw[e * 9 + tap] += sums[(t * 9 + tap) * n * c + e];
}

}  // namespace

Tensor pointwise(const Tensor& x, const Tensor& weight, const Optional& bias) {
  TORCH_CHECK(x.is_contiguous() && weight.is_contiguous(), "contiguous [pixels, c] expected");
  Tensor out = at::empty({x.size(0), weight.size(0)}, x.options());
  DISPATCH(x, forward<T>(x, weight, bias ? bias->data_ptr<float>() : nullptr, out));
  return out;
}

Tensors pointwise_back(const Tensor& grad, const Tensor& x, const Tensor& weight, bool has_bias) {
  TORCH_CHECK(grad.is_contiguous() && grad.scalar_type() == x.scalar_type(), "gradient of the output's type expected");
  Tensor dx = at::empty_like(x), dw = at::zeros_like(weight);
  Tensor db = has_bias ? at::zeros({weight.size(0)}, weight.options()) : Tensor();
  DISPATCH(x, backward<T>(grad, x, weight, dx, dw, has_bias ? &db : nullptr));
  return {dx, dw, db};
}

Tensor conv3_weight(const Tensor& grad, const Tensor& x) {
  TORCH_CHECK(grad.is_contiguous() && x.is_contiguous() && grad.scalar_type() == x.scalar_type() && x.size(3) % kLane == 0,
              "contiguous [n, h, w, c] of one type, c in whole vectors, expected");
  Tensor dw = at::zeros({grad.size(3), x.size(3), 3, 3}, x.options().dtype(at::kFloat));
  DISPATCH(x, conv3_sums<T>(grad, x, dw));
  return dw;
}

}  // namespace elfin
