export { depthwise } from './depthwise.ts';
export { copy, depthToSpace, resize } from './gather.ts';
export { add, addChannels, clip, gateAdd, gelu, geluMul, leakyRelu, mul, mulChannels, mulPixels, normalise, relu, round, sub, sumChannels, sumSquares } from './pointwise.ts';
export { gram, pack, product } from './product.ts';
