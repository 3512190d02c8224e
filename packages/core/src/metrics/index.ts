export type { MetricSpace } from './planes.ts';
export { psnr } from './psnr.ts';
export { type SeamLines, seamStrength } from './seams.ts';
export { ssim } from './ssim.ts';
export { type Uciqe, uciqe } from './uciqe.ts';
export { type Uiqm, uiqm } from './uiqm.ts';
