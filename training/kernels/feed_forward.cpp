// The gated feed-forward half of a transformer block in one pass over rows: what lies between its input and output, five
// times as wide as they are, never reaches memory. The backward pass computes it again.

#include "entry.h"
#include "kernels.h"

namespace elfin {
namespace {

// gelu(a)·b of rows [w][2][pad] → [w][pad]
void gate_row(float* g, const float* z, int64_t w, int64_t pad) {
  for (int64_t x = 0; x < w; ++x, z += 2 * pad, g += pad)
    for (int64_t v = 0; v < pad; v += kLane) {
      const vec a = load(z + v);
      store(g + v, a * normal_cdf(a) * load(z + pad + v));
    }
}
// the same, and z becomes d(loss)/dz, given d(loss)/dg in `dg`
void gate_row_back(float* z, float* g, const float* dg, int64_t w, int64_t pad) {
  for (int64_t x = 0; x < w; ++x, z += 2 * pad, g += pad, dg += pad)
    for (int64_t v = 0; v < pad; v += kLane) {
      const vec a = load(z + v), b = load(z + pad + v), d = load(dg + v);
      const vec cdf = normal_cdf(a), gelu = a * cdf, bell = exp_neg(a * a * -0.5f);
      store(g + v, gelu * b);
      store(z + v, d * b * (cdf + a * bell * 0.39894228f));
      store(z + pad + v, d * gelu);
    }
}

template <typename T> void forward(const Tensor& x, const Entry& entry, const Tensor& depth, const Tensor& weight, Tensor& out) {
  const int64_t h = x.size(1), w = x.size(2), c = entry.c;
  const Layout& l = entry.l;
  const auto k = spread_weight(depth, l);
  const float* wt = weight.data_ptr<float>();
  const Packed leave(l.each, c, [&](int64_t i, int64_t j) { return wt[j * l.each + i]; });
  T* to = out.data_ptr<T>();
  Bands(x.size(0), h).run([&](int64_t, int64_t i, int64_t y0, int64_t y1) {
    Ring u(3, w, l.wide());
    Source<T> row(x, i);
    Entry::Scratch scratch(w, c);
    std::vector<float> z(w * l.wide()), g(w * l.pad), y_row(w * c);
    auto fetch = [&](int64_t y) { u.fetch(y, h, [&](float* to) { entry.row(to, row(y), scratch, w); }); };
    fetch(y0 - 1);
    fetch(y0);
    for (int64_t y = y0; y < y1; ++y) {
      fetch(y + 1);
      convolve_row<false>(z.data(), u.row(y - 1), u.row(y), u.row(y + 1), k.data(), nullptr, w, l.wide());
      gate_row(g.data(), z.data(), w, l.pad);
      product(y_row.data(), c, g.data(), l.pad, leave, w);
      add_to(y_row.data(), row(y), w * c);
      narrow(to + (i * h + y) * w * c, y_row.data(), w * c);
    }
  });
}

template <typename T> void backward(const Tensor& grad, const Tensor& x, const Entry& entry, const Tensor& depth, const Tensor& weight, Tensor& dx,
                                    Tensors& grads) {
  const int64_t h = x.size(1), w = x.size(2), c = entry.c;
  const Layout& l = entry.l;
  const Bands bands(x.size(0), h);
  const auto k = spread_weight(depth, l);
  const float* wt = weight.data_ptr<float>();
  const Packed enter(c, l.pad, [&](int64_t i, int64_t j) { return j < l.each ? wt[i * l.each + j] : 0.f; });
  const int64_t at_depth = entry.sums(), at_leave = at_depth + 9 * l.wide(), size = at_leave + l.pad * c;
  std::vector<float> sums(bands.count() * size, 0.f);
  T* to = dx.data_ptr<T>();
  bands.run([&](int64_t t, int64_t i, int64_t y0, int64_t y1) {
    Ring u(3, w, l.wide()), dz(3, w, l.wide());
    Source<T> row(x, i), grad_row(grad, i);
    Entry::Scratch scratch(w, c);
    std::vector<float> du(w * l.wide()), g(w * l.pad), dg(w * l.pad), back(w * c);
    float* sum = sums.data() + t * size;
    auto fetch = [&](int64_t y) { u.fetch(y, h, [&](float* to) { entry.row(to, row(y), scratch, w); }); };
    auto derive = [&](int64_t y) {  // row y of d(loss)/d(depthwise); needs rows y−1 to y+1 of u
      dz.fetch(y, h, [&](float* d) {
        const float* dy = grad_row(y);
        product(dg.data(), l.pad, dy, c, enter, w);
        convolve_row<false>(d, u.row(y - 1), u.row(y), u.row(y + 1), k.data(), nullptr, w, l.wide());
        gate_row_back(d, g.data(), dg.data(), w, l.pad);
        if (y < y0 || y >= y1) return;  // a neighbour's row: its own band counts it
        outer(sum + at_leave, g.data(), l.pad, l.pad, dy, c, c, w);
        accumulate_weight(sum + at_depth, d, u.row(y - 1), u.row(y), u.row(y + 1), w, l.wide());
      });
    };
    for (int64_t y = y0 - 2; y <= y0; ++y) fetch(y);
    derive(y0 - 1);
    fetch(y0 + 1);
    derive(y0);
    for (int64_t y = y0; y < y1; ++y) {
      fetch(y + 2);
      derive(y + 1);
      convolve_row<true>(du.data(), dz.row(y - 1), dz.row(y), dz.row(y + 1), k.data(), nullptr, w, l.wide());
      entry.row_back(back.data(), sum, grad_row(y), du.data(), row(y), scratch, w);
      narrow(to + (i * h + y) * w * c, back.data(), w * c);
    }
  });
  gather_weight(grads[3], sums.data() + at_depth, size, bands.count(), l);
  float* dw = grads[4].data_ptr<float>();
  for (int64_t t = 0; t < bands.count(); ++t) {
    const float* sum = sums.data() + t * size;
    entry.gather(sum, grads[0], grads[1], grads[2]);
    for (int64_t i = 0; i < l.each; ++i)
      for (int64_t j = 0; j < c; ++j) dw[j * l.each + i] += sum[at_leave + i * c + j];
  }
}

}  // namespace

Tensor feed_forward(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& in, const Tensor& depth, const Tensor& weight) {
  TORCH_CHECK(x.is_contiguous() && x.size(3) % kLane == 0, "contiguous [n, h, w, c], c in whole vectors, expected");
  Tensor out = at::empty_like(x);
  const Entry entry(gamma, beta, in, 2);
  DISPATCH(x, forward<T>(x, entry, depth, weight, out));
  return out;
}

Tensors feed_forward_back(const Tensor& grad, const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& in, const Tensor& depth,
                          const Tensor& weight) {
  TORCH_CHECK(grad.is_contiguous() && grad.scalar_type() == x.scalar_type(), "gradient of the output's type expected");
  Tensor dx = at::empty_like(x);
  const Entry entry(gamma, beta, in, 2);
  Tensors grads;
  for (const Tensor& p : {gamma, beta, in, depth, weight}) grads.push_back(at::zeros_like(p));
  DISPATCH(x, backward<T>(grad, x, entry, depth, weight, dx, grads));
  grads.insert(grads.begin(), dx);
  return grads;
}

}  // namespace elfin
