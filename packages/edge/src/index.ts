export * from './options.ts';
export * from './sign.ts';
export * from './source/address.ts';
export * from './source/allow-list.ts';
export * from './source/name.ts';
export * from './unsigned.ts';
export * from './url.ts';
