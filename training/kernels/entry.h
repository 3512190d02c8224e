// How both halves of a transformer block begin: u = W·norm(x), each pixel normalised over its channels.
//
// The norm's scale and shift are folded into W, so that only x̂ = (x − mean)/σ is computed, and one sum over du ⊗ x̂ gives the
// gradients of W, scale and shift alike.

#pragma once

#include "rows.h"

namespace elfin {

constexpr float kEpsilon = 1e-5f;

// rows of x [w][c] → x̂ and 1/σ
inline void normalise(float* hat, float* inverse, const float* x, int64_t w, int64_t c) {
  const float share = 1.f / static_cast<float>(c);
  for (int64_t p = 0; p < w; ++p, x += c, hat += c) {
    vec sum{};
    for (int64_t v = 0; v < c; v += kLane) sum += load(x + v);
    const float mean = total(sum) * share;
    vec squares{};
    for (int64_t v = 0; v < c; v += kLane) {
      const vec d = load(x + v) - mean;
      squares += d * d;
      store(hat + v, d);
    }
    inverse[p] = 1.f / std::sqrt(total(squares) * share + kEpsilon);
    for (int64_t v = 0; v < c; v += kLane) store(hat + v, load(hat + v) * inverse[p]);
  }
}

// dx = dy + d(loss)/dx̂ through the norm
inline void normalise_back(float* dx, const float* dy, const float* dhat, const float* hat, const float* inverse, int64_t w, int64_t c) {
  const float share = 1.f / static_cast<float>(c);
  for (int64_t p = 0; p < w; ++p, dx += c, dy += c, dhat += c, hat += c) {
    vec sum{}, along{};
    for (int64_t v = 0; v < c; v += kLane) {
      sum += load(dhat + v);
      along += load(dhat + v) * load(hat + v);
    }
    const float mean = total(sum) * share, slope = total(along) * share;
    for (int64_t v = 0; v < c; v += kLane) store(dx + v, load(dy + v) + (load(dhat + v) - mean - load(hat + v) * slope) * inverse[p]);
  }
}

struct Entry {
  int64_t c;
  Layout l;
  const float *gamma, *beta, *weight;
  Packed forth, back;
  std::vector<float> start;

  Entry(const Tensor& gamma_, const Tensor& beta_, const Tensor& weight_, int64_t groups)
      : c(gamma_.size(0)), l(weight_.size(0), groups), gamma(gamma_.data_ptr<float>()), beta(beta_.data_ptr<float>()),
        weight(weight_.data_ptr<float>()), forth(c, l.wide(), [&](int64_t i, int64_t j) { return scaled(j, i); }),
        back(l.wide(), c, [&](int64_t j, int64_t i) { return scaled(j, i); }), start(l.wide(), 0.f) {
    for (int64_t j = 0; j < l.wide(); ++j)
      if (const float* row = find(j))
        for (int64_t i = 0; i < c; ++i) start[j] += row[i] * beta[i];
  }
  // the weights of padded channel j, or null for padding
  const float* find(int64_t j) const { return j % l.pad < l.each ? weight + (j / l.pad * l.each + j % l.pad) * c : nullptr; }
  float scaled(int64_t j, int64_t i) const { return find(j) ? find(j)[i] * gamma[i] : 0.f; }

  // what one band's rows need on the way: x̂ and d(loss)/dx̂ [w][c], 1/σ [w]
  struct Scratch {
    std::vector<float> hat, dhat, inverse;
    Scratch(int64_t w, int64_t c) : hat(w * c), dhat(w * c), inverse(w) {}
  };

  int64_t sums() const { return l.wide() * (c + 1); }  // floats of one band's du ⊗ x̂, then of its du
  // one row: u [w][wide] from x
  void row(float* u, const float* x, Scratch& s, int64_t w) const {
    normalise(s.hat.data(), s.inverse.data(), x, w, c);
    product(u, l.wide(), s.hat.data(), c, forth, w, start.data());
  }
  // one row back: dx = dy + …, with the sums of the weights' gradients
  void row_back(float* dx, float* sum, const float* dy, const float* du, const float* x, Scratch& s, int64_t w) const {
    normalise(s.hat.data(), s.inverse.data(), x, w, c);
    outer(sum, du, l.wide(), l.wide(), s.hat.data(), c, c, w);
    add_rows(sum + l.wide() * c, du, w, l.wide());
    product(s.dhat.data(), c, du, l.wide(), back, w);
    normalise_back(dx, dy, s.dhat.data(), s.hat.data(), s.inverse.data(), w, c);
  }
  // one band's sums into dgamma, dbeta, dweight
  void gather(const float* sum, Tensor& dgamma, Tensor& dbeta, Tensor& dweight) const {
    float *dg = dgamma.data_ptr<float>(), *db = dbeta.data_ptr<float>(), *dw = dweight.data_ptr<float>();
    for (int64_t j = 0; j < l.wide(); ++j) {
      const float* row = find(j);
      if (!row) continue;
      const float total = sum[l.wide() * c + j];
      for (int64_t i = 0; i < c; ++i) {
        const float s = sum[j * c + i];
        dw[row - weight + i] += s * gamma[i] + total * beta[i];
        dg[i] += s * row[i];
        db[i] += total * row[i];
      }
    }
  }
};

}  // namespace elfin
