// What Python calls. Images are contiguous [n, h, w, c] in float32 or bfloat16, weights float32; arithmetic is float32.

#pragma once

#include <ATen/ATen.h>

#include <vector>

namespace elfin {

using at::Tensor;
using Optional = c10::optional<Tensor>;
using Tensors = std::vector<Tensor>;

// weight [c, 1, 3, 3] → x * weight + bias; back: dx, dweight, dbias
Tensor depthwise(const Tensor& x, const Tensor& weight, const Optional& bias);
Tensors depthwise_back(const Tensor& grad, const Tensor& x, const Tensor& weight, bool has_bias);

// x [pixels, cin], weight [cout, cin, 1, 1] → [pixels, cout]; back: dx, dweight, dbias
Tensor pointwise(const Tensor& x, const Tensor& weight, const Optional& bias);
Tensors pointwise_back(const Tensor& grad, const Tensor& x, const Tensor& weight, bool has_bias);

// dweight [cout, cin, 3, 3] of a 3x3 convolution with zero padding; cin in whole vectors
Tensor conv3_weight(const Tensor& grad, const Tensor& x);

// the gradient of bilinear enlargement by `factor`, without corner alignment; c in whole vectors
Tensor enlarge_back(const Tensor& grad, int64_t factor);

// qkv [n, h, w, 3c], residual [n, h, w, c] → {residual + project · attention, what backward needs}; back: dqkv, dtemperature, dproject
Tensors attention(const Tensor& qkv, const Tensor& residual, const Tensor& temperature, const Tensor& project);
Tensors attention_back(const Tensor& grad, const Tensor& qkv, const Tensor& saved, const Tensor& temperature, const Tensor& project);

// x + project_out(gelu(a)·b), [a b] = depthwise(project_in(norm(x))); back: dx, dgamma, dbeta, dproject_in, ddepthwise, dproject_out
Tensor feed_forward(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& in, const Tensor& depth, const Tensor& out);
Tensors feed_forward_back(const Tensor& grad, const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& in, const Tensor& depth,
                          const Tensor& out);

// x + project · attention(depthwise(qkv(norm(x)))) and what backward needs; back: dx, dgamma, dbeta, dqkv, ddepthwise, dtemperature, dproject
Tensors self_attention(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& in, const Tensor& depth, const Tensor& temperature,
                       const Tensor& project);
Tensors self_attention_back(const Tensor& grad, const Tensor& x, const Tensor& qkv, const Tensor& saved, const Tensor& gamma, const Tensor& beta,
                            const Tensor& in, const Tensor& depth, const Tensor& temperature, const Tensor& project);

}  // namespace elfin
