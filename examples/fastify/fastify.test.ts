import { everyExample } from '../every-example.ts';

everyExample({ program: [new URL('server.ts', import.meta.url)] });
