// The way back through bilinear enlargement by a whole factor, which PyTorch takes seven times as long for as for the way there.

#include "kernels.h"
#include "vec.h"

namespace elfin {
namespace {

// Where output position `at` reads from: `low` and `high`, with `share` of the latter.
struct Between {
  int64_t low, high;
  float share;
  Between(int64_t at, int64_t factor, int64_t size) {
    const float source = std::max((static_cast<float>(at) + 0.5f) / static_cast<float>(factor) - 0.5f, 0.f);
    low = static_cast<int64_t>(source);
    high = std::min(low + 1, size - 1);
    share = source - static_cast<float>(low);
  }
};

void add_scaled(float* to, const float* from, float scale, int64_t n) {
  for (int64_t v = 0; v < n; v += kLane) store(to + v, load(to + v) + load(from + v) * scale);
}

template <typename T> void backward(const Tensor& grad, int64_t factor, Tensor& dx) {
  const int64_t h = dx.size(1), w = dx.size(2), c = dx.size(3), wide = w * factor;
  std::vector<Between> columns;
  for (int64_t x = 0; x < wide; ++x) columns.emplace_back(x, factor, w);
  at::parallel_for(0, dx.size(0), 1, [&](int64_t begin, int64_t end) {
    std::vector<float> row(w * c), image(h * w * c), scratch(wide * c);
    for (int64_t i = begin; i < end; ++i) {
      std::fill(image.begin(), image.end(), 0.f);
      for (int64_t y = 0; y < h * factor; ++y) {
        const float* from = floats(grad.data_ptr<T>() + (i * h * factor + y) * wide * c, wide * c, scratch.data());
        std::fill(row.begin(), row.end(), 0.f);
        for (int64_t x = 0; x < wide; ++x) {
          add_scaled(row.data() + columns[x].low * c, from + x * c, 1.f - columns[x].share, c);
          add_scaled(row.data() + columns[x].high * c, from + x * c, columns[x].share, c);
        }
        const Between rows(y, factor, h);
        add_scaled(image.data() + rows.low * w * c, row.data(), 1.f - rows.share, w * c);
        add_scaled(image.data() + rows.high * w * c, row.data(), rows.share, w * c);
      }
      narrow(dx.data_ptr<T>() + i * h * w * c, image.data(), h * w * c);
    }
  });
}

}  // namespace

Tensor enlarge_back(const Tensor& grad, int64_t factor) {
  TORCH_CHECK(grad.is_contiguous() && grad.size(3) % kLane == 0 && grad.size(1) % factor == 0 && grad.size(2) % factor == 0,
              "contiguous [n, h, w, c], c in whole vectors and sides in multiples of the factor, expected");
  Tensor dx = at::empty({grad.size(0), grad.size(1) / factor, grad.size(2) / factor, grad.size(3)}, grad.options());
  DISPATCH(grad, backward<T>(grad, factor, dx));
  return dx;
}

}  // namespace elfin
