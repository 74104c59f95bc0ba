// An application that knows nothing of the emulator: its vault's real URL, and the credential of any Azure app.
import { DefaultAzureCredential } from '@azure/identity';
import { SecretClient } from '@azure/keyvault-secrets';

const client = new SecretClient(process.argv[2], new DefaultAzureCredential());
await client.setSecret('from-child', 'hello');
const { value, properties } = await client.getSecret('from-child');
const names = [];
for await (const secret of client.listPropertiesOfSecrets()) names.push(secret.name);
process.stdout.write(JSON.stringify({ value, version: properties.version, names }));
