// Channel attention, and the self-attention half of a transformer block around it.

#include "entry.h"
#include "heads.h"
#include "kernels.h"

namespace elfin {
namespace {

// `bands` sums of `size` floats → per image; bands of one image lie side by side
Tensor per_image(const std::vector<float>& sums, int64_t images, int64_t size, const Tensor& like) {
  Tensor out = at::zeros({images, size}, like.options());
  const int64_t each = static_cast<int64_t>(sums.size()) / size / images;
  float* to = out.data_ptr<float>();
  for (int64_t i = 0; i < images; ++i)
    for (int64_t t = 0; t < each; ++t)
      for (int64_t e = 0; e < size; ++e) to[i * size + e] += sums[(i * each + t) * size + e];
  return out;
}

// out = residual + v M, M from the images' stats
template <typename T> void apply(const Tensor& qkv, const Tensor& residual, const Tensor& stats, const Tensor& temperature, const Tensor& project,
                                 Tensor& out) {
  const int64_t h = residual.size(1), w = residual.size(2), c = residual.size(3);
  std::vector<Packed> mix;
  for (int64_t i = 0; i < residual.size(0); ++i)
    mix.push_back(Heads(stats.data_ptr<float>() + i * Heads::stats(c), temperature, project).mix());
  T* to = out.data_ptr<T>();
  Bands(residual.size(0), h).run([&](int64_t, int64_t i, int64_t y0, int64_t y1) {
    Source<T> qkv_row(qkv, i), residual_row(residual, i);
    std::vector<float> row(w * c);
    for (int64_t y = y0; y < y1; ++y) {
      product(row.data(), c, qkv_row(y) + 2 * c, 3 * c, mix[i], w);
      add_to(row.data(), residual_row(y), w * c);
      narrow(to + (i * h + y) * w * c, row.data(), w * c);
    }
  });
}

// qkv alone → stats per image
template <typename T> Tensor measure(const Tensor& qkv, const Tensor& like) {
  const int64_t n = qkv.size(0), w = qkv.size(2), c = qkv.size(3) / 3, size = Heads::stats(c);
  const Bands bands(n, qkv.size(1));
  std::vector<float> sums(bands.count() * size, 0.f);
  bands.run([&](int64_t t, int64_t i, int64_t y0, int64_t y1) {
    Source<T> qkv_row(qkv, i);
    for (int64_t y = y0; y < y1; ++y) add_stats(sums.data() + t * size, qkv_row(y), w, c);
  });
  return per_image(sums, n, size, like);
}

// The images' small matrices on the way back, with dtemperature and dproject.
template <typename T> std::vector<HeadsBack> small_back(const Tensor& grad, const Tensor& qkv, const Tensor& stats, const Tensor& temperature,
                                                        const Tensor& project, Tensor& dtemperature, Tensor& dproject) {
  const int64_t n = grad.size(0), h = grad.size(1), w = grad.size(2), c = grad.size(3);
  const Bands bands(n, h);
  std::vector<float> sums(bands.count() * c * c, 0.f);
  bands.run([&](int64_t t, int64_t i, int64_t y0, int64_t y1) {  // dM = sum of vᵀ dy
    Source<T> qkv_row(qkv, i), grad_row(grad, i);
    for (int64_t y = y0; y < y1; ++y) outer(sums.data() + t * c * c, qkv_row(y) + 2 * c, 3 * c, c, grad_row(y), c, c, w);
  });
  const Tensor dm = per_image(sums, n, c * c, stats);
  std::vector<HeadsBack> back;
  for (int64_t i = 0; i < n; ++i)
    back.emplace_back(Heads(stats.data_ptr<float>() + i * Heads::stats(c), temperature, project), dm.data_ptr<float>() + i * c * c,
                      dtemperature.data_ptr<float>(), dproject.data_ptr<float>());
  return back;
}

template <typename T> void backward(const Tensor& grad, const Tensor& qkv, const std::vector<HeadsBack>& small, Tensor& dqkv) {
  const int64_t h = grad.size(1), w = grad.size(2), c = grad.size(3);
  T* to = dqkv.data_ptr<T>();
  Bands(grad.size(0), h).run([&](int64_t, int64_t i, int64_t y0, int64_t y1) {
    Source<T> qkv_row(qkv, i), grad_row(grad, i);
    std::vector<float> d(w * 3 * c);
    for (int64_t y = y0; y < y1; ++y) {
      small[i].rows(d.data(), qkv_row(y), grad_row(y), w, c);
      narrow(to + (i * h + y) * w * 3 * c, d.data(), w * 3 * c);
    }
  });
}

// x → qkv [n, h, w, 3c], and its stats on the way
template <typename T> Tensor enter(const Tensor& x, const Entry& entry, const Tensor& depth, Tensor& qkv) {
  const int64_t h = x.size(1), w = x.size(2), c = entry.c, size = Heads::stats(c);
  const Bands bands(x.size(0), h);
  const auto k = spread_weight(depth, entry.l);
  std::vector<float> sums(bands.count() * size, 0.f);
  T* to = qkv.data_ptr<T>();
  bands.run([&](int64_t t, int64_t i, int64_t y0, int64_t y1) {
    Ring u(3, w, 3 * c);
    Source<T> x_row(x, i);
    Entry::Scratch scratch(w, c);
    std::vector<float> row(w * 3 * c);
    auto fetch = [&](int64_t y) { u.fetch(y, h, [&](float* to) { entry.row(to, x_row(y), scratch, w); }); };
    fetch(y0 - 1);
    fetch(y0);
    for (int64_t y = y0; y < y1; ++y) {
      fetch(y + 1);
      convolve_row<false>(row.data(), u.row(y - 1), u.row(y), u.row(y + 1), k.data(), nullptr, w, 3 * c);
      add_stats(sums.data() + t * size, row.data(), w, c);
      narrow(to + (i * h + y) * w * 3 * c, row.data(), w * 3 * c);
    }
  });
  return per_image(sums, x.size(0), size, depth);
}

template <typename T> void enter_back(const Tensor& grad, const Tensor& x, const Tensor& qkv, const std::vector<HeadsBack>& small, const Entry& entry,
                                      const Tensor& depth, Tensor& dx, Tensor& dgamma, Tensor& dbeta, Tensor& dweight, Tensor& ddepth) {
  const int64_t h = x.size(1), w = x.size(2), c = entry.c, wide = 3 * c;
  const Bands bands(x.size(0), h);
  const auto k = spread_weight(depth, entry.l);
  const int64_t at_depth = entry.sums(), size = at_depth + 9 * wide;
  std::vector<float> sums(bands.count() * size, 0.f);
  T* to = dx.data_ptr<T>();
  bands.run([&](int64_t t, int64_t i, int64_t y0, int64_t y1) {
    Ring u(3, w, wide), d(3, w, wide);
    Source<T> x_row(x, i), grad_row(grad, i), qkv_row(qkv, i);
    Entry::Scratch scratch(w, c);
    std::vector<float> du(w * wide), back(w * c);
    float* sum = sums.data() + t * size;
    auto fetch = [&](int64_t y) { u.fetch(y, h, [&](float* to) { entry.row(to, x_row(y), scratch, w); }); };
    auto derive = [&](int64_t y) { d.fetch(y, h, [&](float* to) { small[i].rows(to, qkv_row(y), grad_row(y), w, c); }); };
    for (int64_t y : {y0 - 1, y0}) {
      fetch(y);
      derive(y);
    }
    for (int64_t y = y0; y < y1; ++y) {
      fetch(y + 1);
      derive(y + 1);
      accumulate_weight(sum + at_depth, d.inner(y), u.row(y - 1), u.row(y), u.row(y + 1), w, wide);
      convolve_row<true>(du.data(), d.row(y - 1), d.row(y), d.row(y + 1), k.data(), nullptr, w, wide);
      entry.row_back(back.data(), sum, grad_row(y), du.data(), x_row(y), scratch, w);
      narrow(to + (i * h + y) * w * c, back.data(), w * c);
    }
  });
  gather_weight(ddepth, sums.data() + at_depth, size, bands.count(), entry.l);
  for (int64_t t = 0; t < bands.count(); ++t) entry.gather(sums.data() + t * size, dgamma, dbeta, dweight);
}

void check(const Tensor& x, const Tensor& project) {
  TORCH_CHECK(x.is_contiguous() && project.is_contiguous() && x.size(3) % kLane == 0, "contiguous [n, h, w, c], c in whole vectors, expected");
}

}  // namespace

Tensors attention(const Tensor& qkv, const Tensor& residual, const Tensor& temperature, const Tensor& project) {
  check(residual, project);
  TORCH_CHECK(qkv.is_contiguous() && residual.scalar_type() == qkv.scalar_type(), "qkv contiguous and of the residual's type expected");
  Tensor out = at::empty_like(residual), stats;
  DISPATCH(qkv, stats = measure<T>(qkv, temperature);
           apply<T>(qkv, residual, stats, temperature, project, out));
  return {out, stats};
}

Tensors attention_back(const Tensor& grad, const Tensor& qkv, const Tensor& stats, const Tensor& temperature, const Tensor& project) {
  check(grad, project);
  Tensor dqkv = at::empty_like(qkv), dt = at::zeros_like(temperature), dp = at::zeros_like(project);
  DISPATCH(qkv, backward<T>(grad, qkv, small_back<T>(grad, qkv, stats, temperature, project, dt, dp), dqkv));
  return {dqkv, dt, dp};
}

Tensors self_attention(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& in, const Tensor& depth, const Tensor& temperature,
                       const Tensor& project) {
  check(x, project);
  const Entry entry(gamma, beta, in, 1);
  Tensor qkv = at::empty({x.size(0), x.size(1), x.size(2), 3 * x.size(3)}, x.options()), out = at::empty_like(x), stats;
  DISPATCH(x, stats = enter<T>(x, entry, depth, qkv); apply<T>(qkv, x, stats, temperature, project, out));
  return {out, qkv, stats};
}

Tensors self_attention_back(const Tensor& grad, const Tensor& x, const Tensor& qkv, const Tensor& stats, const Tensor& gamma, const Tensor& beta,
                            const Tensor& in, const Tensor& depth, const Tensor& temperature, const Tensor& project) {
  check(grad, project);
  const Entry entry(gamma, beta, in, 1);
  Tensor dx = at::empty_like(x), dgamma = at::zeros_like(gamma), dbeta = at::zeros_like(beta), din = at::zeros_like(in), ddepth = at::zeros_like(depth),
         dt = at::zeros_like(temperature), dp = at::zeros_like(project);
  DISPATCH(x, const auto small = small_back<T>(grad, qkv, stats, temperature, project, dt, dp);
           enter_back<T>(grad, x, qkv, small, entry, depth, dx, dgamma, dbeta, din, ddepth));
  return {dx, dgamma, dbeta, din, ddepth, dt, dp};
}

}  // namespace elfin
