// An application that knows nothing of the emulator: it writes and reads a blob, and prints what it read.
import { BlobServiceClient, StorageSharedKeyCredential } from '@azure/storage-blob';

const { ACCOUNT, KEY } = process.env;
const credential = new StorageSharedKeyCredential(ACCOUNT, KEY);
const service = new BlobServiceClient(`https://${ACCOUNT}.blob.core.windows.net`, credential, {
  retryOptions: { maxTries: 1 },
});
try {
  const container = service.getContainerClient('from-an-app');
  await container.createIfNotExists();
  const blob = container.getBlockBlobClient('a folder/ü & 1+1.txt');
  const text = 'x'.repeat(3_000_000);
  await blob.upload(text, text.length);
  console.log((await blob.downloadToBuffer()).length, (await blob.getProperties()).requestId !== undefined);
} catch (error) {
  console.log(error.statusCode ?? error.message);
}
