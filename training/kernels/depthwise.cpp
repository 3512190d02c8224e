// Depthwise 3x3 with zero padding, one pass forward and one back.

#include "kernels.h"
#include "rows.h"

namespace elfin {
namespace {

template <typename T> void forward(const Tensor& x, const Tensor& weight, const float* bias, Tensor& out) {
  const int64_t h = x.size(1), w = x.size(2);
  const Layout l(x.size(3), 1);
  const auto k = spread_weight(weight, l);
  std::vector<float> b(l.wide(), 0.f);
  if (bias) std::copy(bias, bias + l.tight(), b.begin());
  const T* in = x.data_ptr<T>();
  T* to = out.data_ptr<T>();
  Bands(x.size(0), h).run([&](int64_t, int64_t i, int64_t y0, int64_t y1) {
    Ring ring(3, w, l.wide());
    std::vector<float> row(w * l.wide());
    auto fetch = [&](int64_t y) { ring.fetch(y, h, [&](float* row) { read_row(row, in + (i * h + y) * w * l.tight(), w, l); }); };
    fetch(y0 - 1);
    fetch(y0);
    for (int64_t y = y0; y < y1; ++y) {
      fetch(y + 1);
      convolve_row<false>(row.data(), ring.row(y - 1), ring.row(y), ring.row(y + 1), k.data(), bias ? b.data() : nullptr, w, l.wide());
      write_row(to + (i * h + y) * w * l.tight(), row.data(), w, l);
    }
  });
}

template <typename T> void backward(const Tensor& grad, const Tensor& x, const Tensor& weight, Tensor& dx, Tensor& dweight, Tensor* dbias) {
  const int64_t h = x.size(1), w = x.size(2);
  const Layout l(x.size(3), 1);
  const int64_t c = l.wide();
  const Bands bands(x.size(0), h);
  const auto k = spread_weight(weight, l);
  std::vector<float> sums(bands.count() * 10 * c, 0.f);
  const T* in = x.data_ptr<T>();
  const T* g = grad.data_ptr<T>();
  T* out = dx.data_ptr<T>();
  bands.run([&](int64_t t, int64_t i, int64_t y0, int64_t y1) {
    Ring ring(3, w, c), dys(3, w, c);
    std::vector<float> row(w * c);
    float* sum = sums.data() + t * 10 * c;
    auto fetch = [&](Ring& to, const T* from, int64_t y) {
      to.fetch(y, h, [&](float* row) { read_row(row, from + (i * h + y) * w * l.tight(), w, l); });
    };
    for (int64_t y : {y0 - 1, y0}) {
      fetch(ring, in, y);
      fetch(dys, g, y);
    }
    for (int64_t y = y0; y < y1; ++y) {
      fetch(ring, in, y + 1);
      fetch(dys, g, y + 1);
      const float* d = dys.inner(y);
      accumulate_weight(sum, d, ring.row(y - 1), ring.row(y), ring.row(y + 1), w, c);
      if (dbias) add_rows(sum + 9 * c, d, w, c);
      convolve_row<true>(row.data(), dys.row(y - 1), dys.row(y), dys.row(y + 1), k.data(), nullptr, w, c);
      write_row(out + (i * h + y) * w * l.tight(), row.data(), w, l);
    }
  });
  gather_weight(dweight, sums.data(), 10 * c, bands.count(), l);
  if (dbias)
    for (int64_t t = 0; t < bands.count(); ++t)
      for (int64_t e = 0; e < l.each; ++e) dbias->data_ptr<float>()[e] += sums[t * 10 * c + 9 * c + e];
}

}  // namespace

Tensor depthwise(const Tensor& x, const Tensor& weight, const c10::optional<Tensor>& bias) {
  TORCH_CHECK(x.is_contiguous() && weight.is_contiguous(), "contiguous [n, h, w, c] expected");
  Tensor out = at::empty_like(x);
  DISPATCH(x, forward<T>(x, weight, bias ? bias->data_ptr<float>() : nullptr, out));
  return out;
}

std::vector<Tensor> depthwise_back(const Tensor& grad, const Tensor& x, const Tensor& weight, bool has_bias) {
  TORCH_CHECK(grad.is_contiguous() && grad.scalar_type() == x.scalar_type(), "gradient of the output's type expected");
  Tensor dx = at::empty_like(x), dw = at::zeros_like(weight);
  Tensor db = has_bias ? at::zeros({weight.size(0)}, weight.options()) : Tensor();
  DISPATCH(x, backward<T>(grad, x, weight, dx, dw, has_bias ? &db : nullptr));
  return {dx, dw, db};
}

}  // namespace elfin
