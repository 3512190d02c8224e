import { expect, test } from 'vitest';
import { createAddressPolicy, isPublicAddress } from './address.ts';

test.each(['1.1.1.1', '93.184.215.14', '2606:4700::6810:84e5', '[2606:4700::6810:84e5]'])('%s is public', (address) => {
  expect(isPublicAddress(address)).toBe(true);
});

test.each([
  '0.0.0.0',
  '10.0.0.1',
  '100.64.0.1',
  '127.0.0.1',
  '127.255.255.254',
  '169.254.169.254',
  '172.16.0.1',
  '172.31.255.255',
  '192.0.0.1',
  '192.0.2.1',
  '192.88.99.1',
  '192.168.0.1',
  '198.18.0.1',
  '198.51.100.1',
  '203.0.113.1',
  '224.0.0.1',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  'fe80::1',
  'fe80::1%eth0',
  'fc00::1',
  'fd12::1',
  'ff02::1',
  '2001:db8::1',
  '100::1',
  '::ffff:127.0.0.1',
  '::ffff:8.8.8.8',
  '::ffff:7f00:1',
  '::127.0.0.1',
  '::ffff:0:127.0.0.1',
  '64:ff9b::7f00:1',
  '64:ff9b:1::a00:1',
  '2002:7f00:1::',
  '2002:a00:1::1',
  '2001:0:4136:e378:8000:63bf:80ff:fffe',
  'fe80::5efe:127.0.0.1',
  '2001:470::5efe:10.0.0.1',
  '2001:470::200:5efe:a00:1',
  'localhost',
  '',
  'not an address',
])('%j is not', (address) => {
  expect(isPublicAddress(address)).toBe(false);
});

test('a network of one’s own is allowed by name, and only that', () => {
  const policy = createAddressPolicy(['10.1.0.0/16', 'fd00::/8']);
  expect(['10.1.2.3', 'fd00::9', '1.1.1.1'].map(policy)).toEqual([true, true, true]);
  expect(['10.2.0.1', '::ffff:10.1.2.3', '127.0.0.1', 'fd00::9%1'].map(policy)).toEqual([false, false, false, false]);
  expect(() => createAddressPolicy(['10.1.0.0'])).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
});
