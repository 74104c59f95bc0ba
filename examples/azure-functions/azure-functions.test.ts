import { everyExample } from '../every-example.ts';

everyExample({ program: [new URL('host.ts', import.meta.url), new URL('orders.ts', import.meta.url)] });
