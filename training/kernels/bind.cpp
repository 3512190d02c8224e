#include <torch/extension.h>

#include "kernels.h"

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  const py::call_guard<py::gil_scoped_release> free;  // other threads have parts of the step to do
  m.def("depthwise", &elfin::depthwise, free);
  m.def("depthwise_back", &elfin::depthwise_back, free);
  m.def("pointwise", &elfin::pointwise, free);
  m.def("pointwise_back", &elfin::pointwise_back, free);
  m.def("conv3_weight", &elfin::conv3_weight, free);
  m.def("enlarge_back", &elfin::enlarge_back, free);
  m.def("attention", &elfin::attention, free);
  m.def("attention_back", &elfin::attention_back, free);
  m.def("feed_forward", &elfin::feed_forward, free);
  m.def("feed_forward_back", &elfin::feed_forward_back, free);
  m.def("self_attention", &elfin::self_attention, free);
  m.def("self_attention_back", &elfin::self_attention_back, free);
}
