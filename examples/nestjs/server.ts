/**
 * A NestJS application whose database login is rotated while it serves. Node runs this file as it is: it strips
 * types and knows no decorators, so they are applied as the functions that they are, at the end of each part.
 * With a compiler that knows them it is shorter: see with-decorators/server.ts.
 */
import type { Server } from 'node:http';
import { openSecrets, type Secrets } from '@keyturn/client';
import { keyVault } from '@keyturn/client/azure';
import { createPool, type SecretPool } from '@keyturn/client/pg';
import { Controller, Get, Inject, Module, ServiceUnavailableException } from '@nestjs/common';
import type { DynamicModule, OnApplicationShutdown } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';

type OrdersSecrets = Secrets<'orders-db'>;
const secretsToken = Symbol('secrets');
const poolToken = Symbol('pool');

class Database implements OnApplicationShutdown {
  readonly #secrets: OrdersSecrets;
  readonly #pool: SecretPool;

  constructor(secrets: OrdersSecrets, pool: SecretPool) {
    this.#secrets = secrets;
    this.#pool = pool;
  }

  static forRoot({ vaultUrl, ttlMs }: { vaultUrl: string; ttlMs: number }): DynamicModule {
    const secrets = {
      provide: secretsToken,
      async useFactory() {
        const opened = openSecrets<'orders-db'>({ vault: keyVault(vaultUrl), ttlMs });
        await opened.ready(['orders-db'], { withinMs: 10_000 }); // without it the application doesn't start
        return opened;
      },
    };
    const pool = {
      provide: poolToken,
      inject: [secretsToken],
      useFactory: (opened: OrdersSecrets) =>
        createPool(opened, 'orders-db', { max: 10, connectionTimeoutMillis: 10_000 }).on('error', (error) =>
          console.error(`orders-db: ${error.message}`),
        ),
    };
    return { module: Database, global: true, providers: [secrets, pool], exports: [secrets, pool] };
  }

  /** Runs when everything that was under way has been served; `onModuleDestroy` would be too early. */
  async onApplicationShutdown(): Promise<void> {
    await this.#pool.end();
    await this.#secrets.close(); // last: the rotator is told goodbye when nothing is in use any more
  }
}
Module({})(Database);
Inject(secretsToken)(Database, undefined, 0);
Inject(poolToken)(Database, undefined, 1);

class OrdersController {
  readonly #pool: SecretPool;

  constructor(pool: SecretPool) {
    this.#pool = pool;
  }

  async list(): Promise<unknown[]> {
    return (await this.#pool.query('select id, item from orders order by id')).rows;
  }

  /** It asks the database and not the vault: while that is away, the last good value goes on working. */
  async health(): Promise<{ healthy: boolean }> {
    await this.#pool.query('select 1').catch(() => {
      throw new ServiceUnavailableException();
    });
    return { healthy: true };
  }
}
Controller()(OrdersController);
Inject(poolToken)(OrdersController, undefined, 0);
route(Get('orders'), 'list');
route(Get('health'), 'health');

function route(decorator: MethodDecorator, method: 'list' | 'health'): void {
  const descriptor = Object.getOwnPropertyDescriptor(OrdersController.prototype, method) ?? {};
  decorator(OrdersController.prototype, method, descriptor);
}

const { HOST = '0.0.0.0', PORT = '3000', SECRETS_TTL_MS = '60000' } = process.env; // no secret among them

class App {}
Module({
  imports: [
    Database.forRoot({
      vaultUrl: 'https://orders.vault.azure.net', // by managed identity
      ttlMs: Number(SECRETS_TTL_MS),
    }),
  ],
  controllers: [OrdersController],
})(App);

const app = await NestFactory.create(App, { logger: ['error', 'warn'] });
app.enableShutdownHooks(['SIGTERM'], { useProcessExit: true });
const server: Server = await app.listen(Number(PORT), HOST);
console.log(`listening on port ${PORT}`);

// Otherwise busy connections that are kept alive would keep the server from closing.
process.once('SIGTERM', () => {
  server.prependListener('request', (_request, response) => response.setHeader('connection', 'close'));
});
