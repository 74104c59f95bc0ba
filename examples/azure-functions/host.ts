/**
 * Stands in for the Azure Functions host, which npm doesn't have: gives `@azure/functions` the module
 * '@azure/functions-core' that it finds in Azure, and runs HTTP invocations through the library's own model.
 *
 *     node host.ts orders.ts
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';

// What the library says to its host, as far as it is used here (Microsoft's names).
interface CoreApi {
  setProgrammingModel(model: ProgrammingModel): void;
  registerFunction(metadata: Metadata, handler: Handler): Disposable;
  registerHook(name: string, hook: Hook): Disposable;
  log(level: string, category: string, message: string): void;
}
interface ProgrammingModel {
  getCapabilities(capabilities: object): Promise<object>;
  getInvocationModel(context: object): InvocationModel;
}
interface InvocationModel {
  getArguments(): Promise<{ context: object; inputs: unknown[] }>;
  invokeFunction(context: object, inputs: unknown[], handler: Handler): Promise<unknown>;
  getResponse(context: object, result: unknown): Promise<{ returnValue?: { http?: RpcHttp } | null }>;
}
interface RpcHttp {
  readonly statusCode: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: { readonly bytes?: Uint8Array } | null;
}
interface Metadata {
  readonly name: string;
  readonly bindings: Readonly<Record<string, { readonly type: string }>>;
}
type Handler = (...inputs: unknown[]) => unknown;
type Hook = (context: object) => unknown;
interface Disposable {
  dispose(): void;
}

const functions = new Map<string, { readonly metadata: Metadata; readonly handler: Handler }>();
const hooks = new Map<string, Hook[]>();
let model: ProgrammingModel | undefined;

const coreApi: CoreApi = {
  setProgrammingModel: (given) => void (model = given),
  registerFunction(metadata, handler) {
    functions.set(metadata.name, { metadata, handler });
    return { dispose: () => void functions.delete(metadata.name) };
  },
  registerHook(name, hook) {
    hooks.set(name, [...(hooks.get(name) ?? []), hook]);
    return { dispose: () => undefined };
  },
  log: (_level, _category, message) => console.error(message),
};

// The library asks for it with `require`, inside a try: without an answer it would be in its test mode.
Object.assign(globalThis, { functionsCore: coreApi });
registerHooks({
  resolve: (specifier, context, next) =>
    specifier === '@azure/functions-core'
      ? { url: 'core:functions', format: 'commonjs', shortCircuit: true }
      : next(specifier, context),
  load: (url, context, next) =>
    url === 'core:functions'
      ? { source: 'module.exports = globalThis.functionsCore', format: 'commonjs', shortCircuit: true }
      : next(url, context),
});

async function runHooks(name: string): Promise<void> {
  for (const hook of hooks.get(name) ?? []) await hook({ hookData: {}, appHookData: {} });
}

async function invoke(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const name = request.url?.replace(/^\//, '') ?? '';
  const called = functions.get(name);
  if (!called || !model) return void response.writeHead(404).end();
  const { metadata, handler } = called;
  const [trigger] = Object.entries(metadata.bindings).find(([, { type }]) => type === 'httpTrigger') ?? [];
  const http = { method: request.method, url: `http://${request.headers.host}/api/${name}` };
  const invocationId = randomUUID();
  const invocation = model.getInvocationModel({
    invocationId,
    metadata,
    request: { invocationId, inputData: [{ name: trigger, data: { http } }] },
    log: coreApi.log,
  });
  const { context, inputs } = await invocation.getArguments();
  const result = await invocation.invokeFunction(context, inputs, handler);
  const { returnValue } = await invocation.getResponse(context, result);
  const { statusCode = '204', headers = {}, body } = returnValue?.http ?? {};
  response.writeHead(Number(statusCode), headers).end(body?.bytes);
}

const [, , program = ''] = process.argv;
await import(pathToFileURL(program).href);
await model?.getCapabilities({});
await runHooks('appStart');

const server = createServer((request, response) => {
  invoke(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
});
server.listen(Number(process.env.PORT), process.env.HOST, () => console.log('listening'));

process.once('SIGTERM', () => void close());

async function close(): Promise<void> {
  server.close();
  server.prependListener('request', (_request, response) => response.setHeader('connection', 'close'));
  await once(server, 'close');
  await runHooks('appTerminate');
}
