import { Agent, request } from 'node:http';
import { follow, SecretsError, type Secrets } from '../../src/index.ts';

/** An HTTP API with user and password, the value being `user:password`; each version has connections of its own. */
export function openApi(secrets: Secrets, name: string, origin: string) {
  return follow(secrets, name, {
    open(secret) {
      if (!secret.reveal().includes(':'))
        throw new SecretsError('VALUE_FORMAT', `The value of ${secret.toString()} is not user:password.`);
      const agent = new Agent({ keepAlive: true });
      return { agent, get: (path: string) => get(new URL(path, origin), { agent, auth: secret.reveal() }) };
    },
    prove: (login) => login.get('/ping'), // throws when it is refused
    close: (login) => login.agent.destroy(), // nothing uses it any more
    refused: (error) => (error as { status?: number }).status === 401,
    failed: (error) => console.warn(error.message),
  });
}

function get(url: URL, options: { agent: Agent; auth: string }): Promise<string> {
  return new Promise((resolve, reject) => {
    request(url, options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => (text += chunk));
      response.on('end', () => {
        const { statusCode: status = 0 } = response;
        if (status < 400) resolve(text);
        else reject(Object.assign(new Error(`HTTP ${status}`), { status }));
      });
    })
      .on('error', reject)
      .end();
  });
}
