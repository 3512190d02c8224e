// Channel attention's small matrices: y = residual + v M, M[j][o] = sum_i project[o][i] A[i][j], A = softmax(t · cosine(q_i, k_j)).
//
// Normalising the c×c Gram matrix instead of q and k is exact and saves two passes over them.

#pragma once

#include "product.h"

namespace elfin {

// One image's matrices, c×c each, zero outside the heads' blocks. `stats`: Gram of q and k, |q|², |k|².
struct Heads {
  int64_t c, d;
  const float *temperature, *project;
  std::vector<float> cosine, prob, m, rq, rk;

  static int64_t stats(int64_t c) { return c * c + 2 * c; }

  Heads(const float* s, const Tensor& temperature_, const Tensor& project_)
      : c(project_.size(0)), d(c / temperature_.numel()), temperature(temperature_.data_ptr<float>()), project(project_.data_ptr<float>()),
        cosine(c * c), prob(c * c), m(c * c), rq(c), rk(c) {
    for (int64_t i = 0; i < c; ++i) {  // as F.normalize: the norm is at least 1e-12
      rq[i] = 1.f / std::sqrt(std::max(s[c * c + i], 1e-24f));
      rk[i] = 1.f / std::sqrt(std::max(s[c * c + c + i], 1e-24f));
    }
    for (int64_t i = 0; i < c; ++i) {
      const int64_t b = i / d * d;
      const float t = temperature[i / d];
      float top = -INFINITY, sum = 0;
      for (int64_t j = b; j < b + d; ++j) {
        cosine[i * c + j] = s[i * c + j] * rq[i] * rk[j];
        top = std::max(top, t * cosine[i * c + j]);
      }
      for (int64_t j = b; j < b + d; ++j) sum += prob[i * c + j] = std::exp(t * cosine[i * c + j] - top);
      for (int64_t j = b; j < b + d; ++j) prob[i * c + j] /= sum;
    }
    for (int64_t i = 0; i < c; ++i)
      for (int64_t j = i / d * d; j < (i / d + 1) * d; ++j)
        for (int64_t o = 0; o < c; ++o) m[j * c + o] += project[o * c + i] * prob[i * c + j];
  }
  Packed mix() const {
    return Packed(c, c, [&](int64_t j, int64_t o) { return m[j * c + o]; });
  }
};

// The way back: with dM = sum of vᵀ dy, dq = q·dqq + k·to_q, dk = k·dkk + q·to_k, dv = dy·to_v; adds to dtemperature and dproject.
struct HeadsBack {
  std::vector<float> dqq, dkk, dg;  // in this order: dg fills the others
  Packed to_q, to_k, to_v;

  HeadsBack(const Heads& h, const float* dm, float* dt, float* dp)
      : dg(gram(h, dm, dt, dp, dqq, dkk)), to_q(h.c, h.c, [&](int64_t j, int64_t i) { return dg[i * h.c + j]; }),
        to_k(h.c, h.c, [&](int64_t i, int64_t j) { return dg[i * h.c + j]; }),
        to_v(h.c, h.c, [&](int64_t o, int64_t j) { return h.m[j * h.c + o]; }) {}

  // d(loss)/d(Gram), and twice that of |q|² and |k|², so that dq += q·dqq
  static std::vector<float> gram(const Heads& h, const float* dm, float* dt, float* dp, std::vector<float>& dqq, std::vector<float>& dkk) {
    const int64_t c = h.c, d = h.d;
    std::vector<float> dg(c * c, 0.f), da(d);
    dqq.assign(c, 0.f);
    dkk.assign(c, 0.f);
    for (int64_t a = 0; a < c; ++a) {
      const int64_t b = a / d * d;
      float dot = 0;
      for (int64_t j = b; j < b + d; ++j) {
        float sum = 0;
        for (int64_t o = 0; o < c; ++o) {
          sum += h.project[o * c + a] * dm[j * c + o];
          dp[o * c + a] += h.prob[a * c + j] * dm[j * c + o];
        }
        da[j - b] = sum;
        dot += sum * h.prob[a * c + j];
      }
      for (int64_t j = b; j < b + d; ++j) {
        const float dl = h.prob[a * c + j] * (da[j - b] - dot);
        dt[a / d] += dl * h.cosine[a * c + j];
        const float ds = dl * h.temperature[a / d];
        dg[a * c + j] = ds * h.rq[a] * h.rk[j];
        // d(1/|q|) = −|q|⁻³ q dq
        dqq[a] -= ds * h.cosine[a * c + j] * h.rq[a] * h.rq[a];
        dkk[j] -= ds * h.cosine[a * c + j] * h.rk[j] * h.rk[j];
      }
    }
    return dg;
  }

  // d [rows][3c] = the gradients of qkv [rows][3c], given those of the output, dy [rows][c]
  void rows(float* d, const float* qkv, const float* dy, int64_t rows, int64_t c) const {
    product(d, 3 * c, qkv + c, 3 * c, to_q, rows);
    product(d + c, 3 * c, qkv, 3 * c, to_k, rows);
    product(d + 2 * c, 3 * c, dy, c, to_v, rows);
    for (int64_t p = 0; p < rows; ++p, d += 3 * c, qkv += 3 * c)
      for (int64_t v = 0; v < c; v += kLane) {
        store(d + v, load(d + v) + load(qkv + v) * load(dqq.data() + v));
        store(d + c + v, load(d + c + v) + load(qkv + c + v) * load(dkk.data() + v));
      }
  }
};

// stats += those of `rows` pixels of qkv [rows][3c]
inline void add_stats(float* stats, const float* qkv, int64_t rows, int64_t c) {
  outer(stats, qkv, 3 * c, c, qkv + c, 3 * c, c, rows);
  float* squares = stats + c * c;  // |q|² and |k|² lie side by side, as q and k do
  for (int64_t p = 0; p < rows; ++p, qkv += 3 * c)
    for (int64_t v = 0; v < 2 * c; v += kLane) store(squares + v, load(squares + v) + load(qkv + v) * load(qkv + v));
}

}  // namespace elfin
