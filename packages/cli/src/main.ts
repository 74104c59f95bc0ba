#!/usr/bin/env node
import { enableCompileCache } from 'node:module';

// What is compiled once starts faster the next time; it has to be said before anything else is loaded.
enableCompileCache();
await import('./program.ts');
