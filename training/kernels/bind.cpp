#include <torch/extension.h>

#include "kernels.h"

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("depthwise", &elfin::depthwise);
  m.def("depthwise_back", &elfin::depthwise_back);
  m.def("pointwise", &elfin::pointwise);
  m.def("pointwise_back", &elfin::pointwise_back);
  m.def("conv3_weight", &elfin::conv3_weight);
  m.def("enlarge_back", &elfin::enlarge_back);
  m.def("attention", &elfin::attention);
  m.def("attention_back", &elfin::attention_back);
  m.def("feed_forward", &elfin::feed_forward);
  m.def("feed_forward_back", &elfin::feed_forward_back);
  m.def("self_attention", &elfin::self_attention);
  m.def("self_attention_back", &elfin::self_attention_back);
}
