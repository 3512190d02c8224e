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
  const T* in = qkv.data_ptr<T>();
  const T* add = residual.data_ptr<T>();
  T* to = out.data_ptr<T>();
  Bands(residual.size(0), h).run([&](int64_t, int64_t i, int64_t y0, int64_t y1) {
    std::vector<float> wide(w * 3 * c), scratch(w * c), row(w * c);
    for (int64_t at = (i * h + y0) * w; at < (i * h + y1) * w; at += w) {
      const float* v = floats(in + at * 3 * c, w * 3 * c, wide.data()) + 2 * c;
      product(row.data(), c, v, 3 * c, mix[i], w);
      add_to(row.data(), floats(add + at * c, w * c, scratch.data()), w * c);
      narrow(to + at * c, row.data(), w * c);
    }
  });
}

// qkv alone → stats per image
template <typename T> Tensor measure(const Tensor& qkv, int64_t h, int64_t w, int64_t c, const Tensor& like) {
  const int64_t n = qkv.size(0), size = Heads::stats(c);
  const Bands bands(n, h);
  std::vector<float> sums(bands.count() * size, 0.f);
  const T* in = qkv.data_ptr<T>();
  bands.run([&](int64_t t, int64_t i, int64_t y0, int64_t y1) {
    std::vector<float> wide(w * 3 * c);
    for (int64_t at = (i * h + y0) * w; at < (i * h + y1) * w; at += w)
      add_stats(sums.data() + t * size, floats(in + at * 3 * c, w * 3 * c, wide.data()), w, c);
  });
  return per_image(sums, n, size, like);
}

// The images' small matrices on the way back, with dtemperature and dproject.
template <typename T> std::vector<HeadsBack> small_back(const Tensor& grad, const Tensor& qkv, const Tensor& stats, const Tensor& temperature,
                                                        const Tensor& project, Tensor& dtemperature, Tensor& dproject) {
  const int64_t n = grad.size(0), h = grad.size(1), w = grad.size(2), c = grad.size(3);
  const Bands bands(n, h);
  std::vector<float> sums(bands.count() * c * c, 0.f);
  const T* in = qkv.data_ptr<T>();
  const T* g = grad.data_ptr<T>();
  bands.run([&](int64_t t, int64_t i, int64_t y0, int64_t y1) {  // dM = sum of vᵀ dy
    std::vector<float> wide(w * 3 * c), scratch(w * c);
    for (int64_t at = (i * h + y0) * w; at < (i * h + y1) * w; at += w) {
      const float* v = floats(in + at * 3 * c, w * 3 * c, wide.data()) + 2 * c;
      outer(sums.data() + t * c * c, v, 3 * c, c, floats(g + at * c, w * c, scratch.data()), c, c, w);
    }
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
  const T* in = qkv.data_ptr<T>();
  const T* g = grad.data_ptr<T>();
  T* to = dqkv.data_ptr<T>();
  Bands(grad.size(0), h).run([&](int64_t, int64_t i, int64_t y0, int64_t y1) {
    std::vector<float> wide(w * 3 * c), scratch(w * c), d(w * 3 * c);
    for (int64_t at = (i * h + y0) * w; at < (i * h + y1) * w; at += w) {
      small[i].rows(d.data(), floats(in + at * 3 * c, w * 3 * c, wide.data()), floats(g + at * c, w * c, scratch.data()), w, c);
      narrow(to + at * 3 * c, d.data(), w * 3 * c);
    }
  });
}

// x → qkv [n, h, w, 3c], and its stats on the way
template <typename T> Tensor enter(const Tensor& x, const Entry& entry, const Tensor& depth, Tensor& qkv) {
  const int64_t h = x.size(1), w = x.size(2), c = entry.c, size = Heads::stats(c);
  const Bands bands(x.size(0), h);
  const auto k = spread_weight(depth, entry.l);
  std::vector<float> sums(bands.count() * size, 0.f);
  const T* in = x.data_ptr<T>();
  T* to = qkv.data_ptr<T>();
  bands.run([&](int64_t t, int64_t i, int64_t y0, int64_t y1) {
    Ring u(3, w, 3 * c);
    std::vector<float> row(w * 3 * c), hat(w * c), inverse(w), scratch(w * c);
    auto fetch = [&](int64_t y) {
      if (y < 0 || y >= h) u.clear(y);
      else entry.row(u.inner(y), floats(in + (i * h + y) * w * c, w * c, scratch.data()), hat.data(), inverse.data(), w);
    };
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
  const T* in = x.data_ptr<T>();
  const T* g = grad.data_ptr<T>();
  const T* mid = qkv.data_ptr<T>();
  T* to = dx.data_ptr<T>();
  bands.run([&](int64_t t, int64_t i, int64_t y0, int64_t y1) {
    Ring u(3, w, wide), d(3, w, wide);
    std::vector<float> du(w * wide), hat(w * c), inverse(w), dhat(w * c), back(w * c), x_scratch(w * c), g_scratch(w * c), q_scratch(w * wide);
    float* sum = sums.data() + t * size;
    auto row = [&](int64_t y) { return floats(in + (i * h + y) * w * c, w * c, x_scratch.data()); };
    auto grad_row = [&](int64_t y) { return floats(g + (i * h + y) * w * c, w * c, g_scratch.data()); };
    auto fetch = [&](int64_t y) {
      if (y < 0 || y >= h) u.clear(y);
      else entry.row(u.inner(y), row(y), hat.data(), inverse.data(), w);
    };
    auto derive = [&](int64_t y) {
      if (y < 0 || y >= h) return d.clear(y);
      small[i].rows(d.inner(y), floats(mid + (i * h + y) * w * wide, w * wide, q_scratch.data()), grad_row(y), w, c);
    };
    for (int64_t y : {y0 - 1, y0}) {
      fetch(y);
      derive(y);
    }
    for (int64_t y = y0; y < y1; ++y) {
      fetch(y + 1);
      derive(y + 1);
      accumulate_weight(sum + at_depth, d.inner(y), u.row(y - 1), u.row(y), u.row(y + 1), w, wide);
      convolve_row<true>(du.data(), d.row(y - 1), d.row(y), d.row(y + 1), k.data(), nullptr, w, wide);
      entry.row_back(back.data(), sum, grad_row(y), du.data(), row(y), hat.data(), inverse.data(), dhat.data(), w);
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
  DISPATCH(qkv, stats = measure<T>(qkv, residual.size(1), residual.size(2), residual.size(3), temperature);
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
