import { createServer, type Server } from 'node:http';
import { connect } from 'node:net';

const refusal =
  'This proxy leads to the local emulator only: CONNECT to port 443 of a host under .vault.azure.net or ' +
  '.blob.core.windows.net, or of login.microsoftonline.com, login.windows.net, graph.microsoft.com or ' +
  'management.azure.com. Put other hosts into NO_PROXY.\n';

const destinations =
  /^(?:[^.:]+\.(?:vault\.azure\.net|blob\.core\.windows\.net)|login\.(?:microsoftonline\.com|windows\.net)|graph\.microsoft\.com|management\.azure\.com):443$/i;

/**
 * A proxy that lets unmodified code keep its `https://NAME.vault.azure.net` URL, and those of the other services
 * that the emulator stands in for. It passes TLS through unread, and refuses every other destination: a test that
 * reaches for the internet should fail loudly.
 */
export function createConnectProxy(vaultPort: number): Server {
  const server = createServer((_request, response) => {
    response.writeHead(403, { 'Content-Type': 'text/plain', Connection: 'close' }).end(refusal);
  });

  server.on('connect', (request, client, head) => {
    // Either side may vanish at any moment; the other one follows, and there is nobody to tell.
    client.on('error', () => client.destroy());
    if (!destinations.test(request.url ?? '')) {
      client.end(
        `HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: ${refusal.length}\r\nConnection: close\r\n\r\n${refusal}`,
      );
      return;
    }
    const vault = connect(vaultPort, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      vault.write(head);
      vault.pipe(client);
      client.pipe(vault);
    });
    vault.on('error', () => client.destroy());
    vault.on('close', () => client.destroy());
    client.on('close', () => vault.destroy());
  });
  return server;
}
