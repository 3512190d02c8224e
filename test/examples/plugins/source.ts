import { ElfinError } from '@elfin/core';
import type { EventSource } from '@elfin/plugins';

/** A shop's own message: `{ "shop": "1", "uploaded": ["incoming/a.jpg", …] }`. */
export const shop: EventSource = {
  name: 'shop',
  is: (value) => typeof value === 'object' && value !== null && 'shop' in value && 'uploaded' in value,
  parse(value, path) {
    const { uploaded } = value as { uploaded: unknown };
    if (!Array.isArray(uploaded)) {
      const message = `The shop event is malformed at ${path}.uploaded: it is no list.`;
      return [{ path, error: new ElfinError('EVENT_INVALID', message, { data: { path } }) }];
    }
    // One item each: what cannot be read is an error in its place, never left out.
    return uploaded.map((key, index) => {
      const at = `${path}.uploaded[${index}]`;
      return typeof key === 'string' && key !== ''
        ? { path: at, event: { kind: 'created', name: 'Uploaded', source: 'shop', bucket: 'photos', key } }
        : { path: at, error: new ElfinError('EVENT_INVALID', `The shop event is malformed at ${at}: it is no key.`) };
    });
  },
};
