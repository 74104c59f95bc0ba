import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openTraces } from '../../rotator/src/telemetry/traces.ts';
import { at, outcome, rotation, vault } from '../../rotator/test/notices.ts';
import { openTracing } from '../src/tracing.ts';

interface Sent {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly { key: string; value: { stringValue?: string } }[] };
    readonly scopeSpans: readonly {
      readonly spans: readonly { readonly name: string; readonly traceId: string }[];
    }[];
  }[];
}

let receiver: Server;
let sent: { path: string; body: Sent }[];
let url: string;

beforeEach(async () => {
  sent = [];
  receiver = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => (text += chunk.toString()));
    request.on('end', () => {
      sent.push({ path: request.url ?? '', body: JSON.parse(text) as Sent });
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  }).listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
});
afterEach(() => {
  vi.unstubAllEnvs();
  receiver.close();
  receiver.closeAllConnections();
});

describe('the traces of keyturn serve', () => {
  // One tracer provider a process is all that OpenTelemetry registers, so all of it is one test.
  it('reach the receiver that the standard variables name, at the latest when it ends', async () => {
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', url);
    vi.stubEnv('OTEL_RESOURCE_ATTRIBUTES', 'deployment.environment.name=staging');
    const tracing = await openTracing(process.env);
    const traces = openTraces(vault);
    for (const phase of ['preflight', 'issue', 'publish', 'converge', 'revoke', 'close'] as const)
      traces.record({ kind: 'phase', phase, rotation, at });
    traces.ended(outcome, at);
    await tracing.close();

    expect(sent.map(({ path }) => path)).toEqual(['/v1/traces']);
    const [resourceSpans] = sent[0]?.body.resourceSpans ?? [];
    const attributes = resourceSpans?.resource.attributes.map(
      ({ key, value }) => `${key}=${value.stringValue}`,
    );
    expect(attributes).toContain('service.name=keyturn');
    expect(attributes).toContain('deployment.environment.name=staging');
    const spans = resourceSpans?.scopeSpans.flatMap((scope) => scope.spans) ?? [];
    const names = ['preflight', 'issue', 'publish', 'converge', 'revoke', 'close', 'rotation'];
    expect(spans.map(({ name }) => name)).toEqual(names);
    expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1);
  });

  it.each([
    [{}, []],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: '' }, []],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', OTEL_SDK_DISABLED: 'true' }, []],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', OTEL_TRACES_EXPORTER: 'none' }, []],
    [
      { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://127.0.0.1:9/v1/traces' },
      expect.arrayContaining(['@opentelemetry/sdk-trace']),
    ],
  ] as const)('with %o load of OpenTelemetry %o', async (environment, loaded) => {
    const program = fileURLToPath(new URL('children/tracing.ts', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [program], { env: environment });
    expect(JSON.parse(stdout)).toEqual(loaded);
  });
});
