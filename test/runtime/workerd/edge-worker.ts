import { StoreObject } from '@elfin/storage/workerd';

export { StoreObject };

/** The Worker under test is made in the tests; this one only brings the Durable Object's class along. */
export default { fetch: () => new Response(null, { status: 404 }) };
