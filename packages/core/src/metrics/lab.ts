/**
 * sRGB bytes to CIE L*a*b* in 8 bits, as OpenCV's `COLOR_RGB2LAB` gives it: L · 255/100, a + 128, b + 128. Its integer arithmetic
 * is followed (linear light in 11 bits, cube roots in 15, matrix in 12), so that values agree to the byte but for one in 30,000,
 * which is off by one.
 */
export function toLab(r: number, g: number, b: number, out: Uint8Array): void {
  const [R, G, B] = [LINEAR[r]!, LINEAR[g]!, LINEAR[b]!];
  const x = ROOT[(R * 1777 + G * 1541 + B * 778 + 2048) >> 12]!;
  const y = ROOT[(R * 871 + G * 2929 + B * 296 + 2048) >> 12]!;
  const z = ROOT[(R * 73 + G * 448 + B * 3575 + 2048) >> 12]!;
  out[0] = (296 * y - 1336934 + 16384) >> 15;
  out[1] = (500 * (x - y) + (128 << 15) + 16384) >> 15;
  out[2] = (200 * (y - z) + (128 << 15) + 16384) >> 15;
}

/** sRGB's transfer curve, 255 → 2040. */
const LINEAR = Uint16Array.from({ length: 256 }, (_, byte) => {
  const v = byte / 255;
  return Math.round(2040 * (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
});

/** CIE's lightness function with its linear toe, 1 → 2¹⁵. */
const ROOT = Uint16Array.from({ length: 3072 }, (_, i) => {
  const v = i / 2040;
  return Math.round(32768 * (v < 0.008856 ? v * 7.787 + 16 / 116 : Math.cbrt(v)));
});
