import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import rhea, { type Connection, type EventContext, type Message, type Receiver, type Sender } from 'rhea';
import { openHub, type Hub } from './amqp-hub.ts';
import { openQueue, type Queue } from './amqp-queue.ts';

/**
 * A namespace of Service Bus and Event Hubs, as far as logins go: AMQP 1.0 with claims-based security. A token is
 * accepted if a key that lives now has signed it, a link is opened only under an accepted token, and what is open
 * stays open when its key is replaced. Any address is a queue, except for the event hub `hub`.
 */
export interface AmqpPeer extends AsyncDisposable {
  readonly port: number;
  /** The live keys of the policy `app`; replace them at any time. */
  readonly keys: { key1: string; key2: string };
  /** For the plain SDK, without TLS. */
  connectionString(key: string, entity?: string): string;
  /** How many connections are open on which this key has signed a token. */
  connectionsOf(key: string): number;
  readonly connections: number;
  /** Tokens that were refused, and links without a token. */
  readonly refusals: { tokens: number; links: number };
  readonly hub: Hub;
  queue(address: string): Queue;
  /** Addresses that are refused with `amqp:not-found` from now on. */
  readonly missing: Set<string>;
  /** Whether a connection is lost as soon as its first link is closed. */
  diesWhenClosed: boolean;
  /** Cuts every connection as a network does. */
  cut(): void;
}

export const policyName = 'app';
export const hubName = 'hub';
export const newKey = (): string => randomBytes(32).toString('base64');

export async function startAmqpPeer(): Promise<AmqpPeer> {
  const keys = { key1: newKey(), key2: newKey() };
  const refusals = { tokens: 0, links: 0 };
  /** By connection: for which path each accepted token is good, and which key signed it. */
  const tokens = new Map<Connection, Map<string, string>>();
  const queues = new Map<string, Queue>();
  const hub = openHub(hubName);
  const missing = new Set<string>();
  const sockets = new Set<Socket>();

  const queue = (address: string): Queue => {
    const opened = queues.get(address) ?? openQueue();
    queues.set(address, opened);
    return opened;
  };

  const container = rhea.create_container({ id: 'peer' });
  container.on('connection_open', ({ connection }: EventContext) => {
    tokens.set(connection, new Map());
    toleratesLateDispositions(connection);
  });
  const gone = ({ connection }: EventContext): void => {
    tokens.delete(connection);
    for (const store of [hub, ...queues.values()]) store.detach(connection);
  };
  container.on('connection_close', gone);
  container.on('disconnected', gone);
  for (const event of ['connection_error', 'session_error', 'receiver_error', 'sender_error'])
    container.on(event, () => {}); // of links that are refused or cut
  container.on('error', (error: Error) => {
    if (error instanceof TypeError) throw error; // this file's own
  });

  container.on('receiver_close', ({ connection }: EventContext) => {
    if (peer.diesWhenClosed) socketOf(connection).destroy(new Error('The network is cut.'));
  });

  const mayOpen = (link: Sender | Receiver, address: string): boolean => {
    if (missing.has(address.replace(/\/\$management$/, ''))) {
      link.close({
        condition: 'amqp:not-found',
        description: `The messaging entity ${address} could not be found.`,
      });
      return false;
    }
    const paths = [...(tokens.get(link.connection)?.keys() ?? [])];
    if (address === '$cbs' || paths.some((path) => path === address || path.endsWith(`/${address}`)))
      return true;
    refusals.links += 1;
    link.close({ condition: 'amqp:unauthorized-access', description: `No token for ${address}.` });
    return false;
  };

  container.on('receiver_open', ({ receiver }: EventContext) => {
    if (!receiver) return;
    receiver.set_source(receiver.source);
    receiver.set_target(receiver.target);
    mayOpen(receiver, addressOf(receiver.target));
  });
  container.on('sender_open', ({ sender }: EventContext) => {
    if (!sender) return;
    sender.set_source(sender.source);
    sender.set_target(sender.target);
    const address = addressOf(sender.source);
    if (!mayOpen(sender, address) || address.includes('$cbs') || address.endsWith('$management')) return;
    if (address.startsWith(`${hubName}/`)) hub.attach(sender);
    else queue(address).attach(sender);
  });
  container.on('message', ({ connection, receiver, message, delivery }: EventContext) => {
    if (!receiver || !message) return;
    const address = addressOf(receiver.target);
    if (address === '$cbs') respond(connection, message, putToken(connection, message));
    else if (address === '$management') {
      const { partition } = message['application_properties'] as { partition?: string };
      const body = partition === undefined ? hub.properties() : hub.propertiesOf(partition);
      respond(connection, message, { status: 200, body });
    } else if (address.endsWith('/$management')) respond(connection, message, { status: 204 });
    else {
      const store = address.startsWith(hubName) ? hub : queue(address);
      for (const one of unpack(message, delivery?.format)) store.add(one, address);
    }
  });

  function putToken(connection: Connection, message: Message): Answer {
    const { name, type } = message['application_properties'] as { name: string; type: string };
    const path = new URL(name).pathname.slice(1);
    const key =
      type === 'servicebus.windows.net:sastoken' ? signerOf(String(message['body']), name) : undefined;
    if (key === undefined) {
      refusals.tokens += 1;
      return { status: 401, description: 'InvalidSignature: The token has an invalid signature.' };
    }
    tokens.get(connection)?.set(path, key);
    return { status: 202 };
  }

  /** Which of the live keys has signed this token; none if it isn't for this audience, or out of date. */
  function signerOf(token: string, audience: string): string | undefined {
    const fields = new URLSearchParams(token.replace(/^SharedAccessSignature /, ''));
    const [sr, se] = [fields.get('sr') ?? '', fields.get('se') ?? ''];
    if (sr !== audience || fields.get('skn') !== policyName || Number(se) * 1000 < Date.now())
      return undefined;
    const given = Buffer.from(fields.get('sig') ?? '', 'base64');
    return Object.values(keys).find((key) => {
      const made = createHmac('sha256', key)
        .update(`${encodeURIComponent(sr)}\n${se}`)
        .digest();
      return made.length === given.length && timingSafeEqual(made, given);
    });
  }

  const server = container.listen({
    port: 0,
    host: '127.0.0.1',
    receiver_options: { max_message_size: 1024 ** 2 },
    sender_options: { max_message_size: 1024 ** 2 },
  } as never);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('close', () => sockets.delete(socket));
  });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const cut = (): void => {
    for (const socket of sockets) socket.destroy(new Error('The network is cut.')); // rhea hears of errors only
  };

  const peer: AmqpPeer = {
    port,
    keys,
    diesWhenClosed: false,
    refusals,
    missing,
    hub,
    queue,
    cut,
    connectionString: (key, entity) =>
      `Endpoint=sb://127.0.0.1:${port};SharedAccessKeyName=${policyName};SharedAccessKey=${key};UseDevelopmentEmulator=true${entity === undefined ? '' : `;EntityPath=${entity}`}`,
    connectionsOf: (key) =>
      [...tokens.values()].filter((signed) => [...signed.values()].includes(key)).length,
    get connections() {
      return tokens.size;
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      cut();
      await closed;
    },
  };
  return peer;
}

interface Answer {
  readonly status: number;
  readonly description?: string;
  readonly body?: object;
}

/** Answers a request on the link that its sender has opened for answers. */
function respond(connection: Connection, request: Message, answer: Answer): void {
  const replyTo = request['reply_to'] as string;
  const link = connection.find_sender(
    (sender: Sender) => sender.name === replyTo || addressOf(sender.target) === replyTo,
  );
  link?.send({
    to: replyTo,
    correlation_id: request['message_id'] as string,
    body: answer.body ?? {},
    application_properties: {
      'status-code': answer.status,
      statusCode: answer.status,
      'status-description': answer.description ?? 'OK',
    },
  });
}

const addressOf = (terminus: unknown): string => (terminus as { address?: string } | null)?.address ?? '';

const socketOf = (connection: Connection): Socket => (connection as unknown as { socket: Socket }).socket;

/** The SDK's rhea accepts what still arrives on a session that it has just ended. Here that is no error. */
function toleratesLateDispositions(connection: Connection): void {
  const open = connection as unknown as {
    remote_channel_map: Record<number, unknown>;
    on_disposition(frame: { channel: number }): void;
  };
  const handle = open.on_disposition.bind(connection);
  open.on_disposition = (frame) => {
    if (open.remote_channel_map[frame.channel]) handle(frame);
  };
}

const batchFormat = 0x80013700;

/** A batch is a message whose data sections are messages; rhea leaves it encoded. */
function unpack(message: Message | Buffer, format: number | undefined): readonly Message[] {
  if (format !== batchFormat) return [message as Message];
  const { content } = rhea.message.decode(message as Buffer)['body'] as { content: Buffer | Buffer[] };
  return [content].flat().map((encoded) => rhea.message.decode(encoded) as unknown as Message);
}
