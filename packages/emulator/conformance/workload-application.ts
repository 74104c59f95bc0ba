// An application that knows nothing of any emulator. It tells whom its token speaks for, never the token.
import { DefaultAzureCredential, ManagedIdentityCredential } from '@azure/identity';
import { SecretClient } from '@azure/keyvault-secrets';

const [url = '', kind] = process.argv.slice(2);
const credential = kind === 'default' ? new DefaultAzureCredential() : new ManagedIdentityCredential();
const { token } = await credential.getToken('https://vault.azure.net/.default');
const { oid } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { oid: string };
const { value } = await new SecretClient(url, credential).getSecret('granted');
process.stdout.write(JSON.stringify({ oid, value }));
