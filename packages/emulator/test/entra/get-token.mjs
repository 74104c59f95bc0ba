// An application that knows nothing of the emulator: it prints the token it gets, or the error's message.
import {
  ClientSecretCredential,
  ManagedIdentityCredential,
  WorkloadIdentityCredential,
} from '@azure/identity';

const { CREDENTIAL, SCOPE, AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET } = process.env;
const credentials = {
  workload: () => new WorkloadIdentityCredential(),
  secret: () => new ClientSecretCredential(AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET),
  managed: () => new ManagedIdentityCredential(),
};
try {
  const { token } = await credentials[CREDENTIAL]().getToken(SCOPE);
  console.log(token);
} catch (error) {
  console.log(error.message);
}
